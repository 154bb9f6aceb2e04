package apply

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// approveSo approves an update whose descriptor the test completes.
func (o *org) approveSo(name string, edit func(*policy.Descriptor)) content.ID {
	o.t.Helper()
	plain := o.update(name, body(1000, 1))
	d, err := policy.DecodeDescriptor(o.docs[plain])
	if err != nil {
		o.t.Fatal(err)
	}
	edit(d)
	b, err := d.Encode()
	if err != nil {
		o.t.Fatal(err)
	}
	id := content.Sum(b)
	o.docs[id], o.loads[id] = b, o.loads[plain]
	o.publish(func(m *policy.Manifest) {
		if !hasGroup(m, "office") {
			m.Groups = append(m.Groups, policy.Group{Name: "office"})
		}
		m.Approvals = append(m.Approvals, o.approval(id, "office", policy.ActionInstall))
	})
	return id
}

// The role looks by itself whether what an update needs is there. Whoever orders cannot turn the declared
// order round, and what is there lets it go on.
func TestDeclaredOrderIsWhatTheRoleSeesItself(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	base := o.approveSo("base", func(*policy.Descriptor) {})
	top := o.approveSo("top", func(d *policy.Descriptor) { d.Prerequisites = []policy.UpdateID{"base"} })
	c, ctx := NewClient(p.sock, o), context.Background()
	_, err := c.Do(ctx, top, Install)
	wantRefused(t, "what needs another one first", err, policy.ReasonDepOtherFirst)
	for _, id := range []content.ID{base, top} {
		if _, err := c.Do(ctx, id, Install); err != nil {
			t.Fatal(err)
		}
	}
	if p.hands.installs != 2 {
		t.Errorf("%d installs", p.hands.installs)
	}
}

// One that replaces what is needed serves as well.
func TestWhatReplacesAPrerequisiteServesAsWell(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	newer := o.approveSo("base-2", func(d *policy.Descriptor) { d.Supersedes = []policy.UpdateID{"base"} })
	top := o.approveSo("top", func(d *policy.Descriptor) { d.Prerequisites = []policy.UpdateID{"base"} })
	c, ctx := NewClient(p.sock, o), context.Background()
	for _, id := range []content.ID{newer, top} {
		if _, err := c.Do(ctx, id, Install); err != nil {
			t.Fatal(err)
		}
	}
}

// R-H8, R-B8: a chain counts as a whole, as the role sees it itself: what stands at its end serves for what stands at its
// beginning, and nothing of it is laid over that, whoever orders it. What is due and not there yet keeps nothing away.
func TestRH8AChainCountsAsAWhole(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	first := o.approveSo("v1", func(*policy.Descriptor) {})
	second := o.approveSo("v2", func(d *policy.Descriptor) { d.Supersedes = []policy.UpdateID{"v1"} })
	third := o.approveSo("v3", func(d *policy.Descriptor) { d.Supersedes = []policy.UpdateID{"v2"} })
	top := o.approveSo("top", func(d *policy.Descriptor) { d.Prerequisites = []policy.UpdateID{"v1"} })
	c, ctx := NewClient(p.sock, o), context.Background()
	_, err := c.Do(ctx, top, Install)
	wantRefused(t, "while nothing of the chain is there", err, policy.ReasonDepOtherFirst)
	for _, id := range []content.ID{second, third, top} { // the second: the third may be held by the machine's own people
		if _, err := c.Do(ctx, id, Install); err != nil {
			t.Fatal(err)
		}
	}
	before := p.hands.changes()
	_, err = c.Do(ctx, first, Install)
	wantRefused(t, "over what replaces it", err, policy.ReasonDepOtherFirst)
	if p.hands.changes() != before {
		t.Error("it was installed over what replaces it")
	}
}

// R-B8, R-H8: the chain is as whole to the role as to whoever orders where one in its middle is approved for other machines only:
// else what needs its beginning would be ordered and refused for ever, and its beginning could be laid over its end.
func TestRB8TheRoleKnowsAChainThroughWhatIsForOthers(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	first := o.approveSo("v1", func(*policy.Descriptor) {})
	for _, name := range []string{"v2", "v3"} {
		before := policy.UpdateID("v" + string(name[1]-1))
		o.approveSo(name, func(d *policy.Descriptor) { d.Supersedes = []policy.UpdateID{before} })
	}
	last := o.approveSo("v4", func(d *policy.Descriptor) { d.Supersedes = []policy.UpdateID{"v3"} })
	top := o.approveSo("top", func(d *policy.Descriptor) { d.Prerequisites = []policy.UpdateID{"v1"} })
	o.publish(func(m *policy.Manifest) {
		m.Groups = append(m.Groups, policy.Group{Name: "zebra"})
		for i := range m.Approvals {
			if u := m.Approvals[i].Update; u == "v2" || u == "v3" {
				m.Approvals[i].Group = "zebra"
			}
		}
	})
	c, ctx := NewClient(p.sock, o), context.Background()
	for _, id := range []content.ID{last, top} {
		if _, err := c.Do(ctx, id, Install); err != nil {
			t.Error(err)
		}
	}
	if err := c.OfferMetadata(ctx); err != nil { // what is not needed any more goes from the shelf
		t.Fatal(err)
	}
	before := p.hands.changes()
	_, err := c.Do(ctx, first, Install)
	wantRefused(t, "over what replaces it", err, policy.ReasonDepOtherFirst)
	if p.hands.changes() != before {
		t.Error("it was installed over what replaces it")
	}
}

// R-H8: which of several goes first is left to whoever orders: one that must be alone may be impossible to fetch, which
// this role cannot know.
func TestRH8WhatMustBeAloneAndIsNotOrderedHoldsNobodyBack(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	alone := o.approveSo("alone", func(d *policy.Descriptor) { d.Exclusive = "yes" })
	other := o.approveSo("other", func(*policy.Descriptor) {})
	c, ctx := NewClient(p.sock, o), context.Background()
	for _, id := range []content.ID{other, alone} {
		if _, err := c.Do(ctx, id, Install); err != nil {
			t.Fatal(err)
		}
	}
}

// R-H8, R-B1: what is said for other machines does not count here: an older approval, or another revision, that stands behind
// this machine's own in the manifest must not make a new word of it, for which others would wait.
func TestRH8ApprovalsForOtherMachinesSetNothingBackHere(t *testing.T) {
	for name, edit := range map[string]func(*policy.Approval){
		"an older one":     func(a *policy.Approval) { a.At = a.At.Add(-time.Hour) },
		"another revision": func(a *policy.Approval) { a.Revision = 2 },
	} {
		o := newOrg(t, "acme")
		p := newProcess(t, o)
		p.serve(t)
		alone := o.approveSo("alone", func(d *policy.Descriptor) { d.Exclusive = "yes" })
		other := o.approveSo("other", func(*policy.Descriptor) {})
		o.publish(func(m *policy.Manifest) {
			m.Groups = append(m.Groups, policy.Group{Name: "zebra"})
			a := o.approval(alone, "zebra", policy.ActionInstall)
			edit(&a)
			m.Approvals = append(m.Approvals, a)
		})
		if _, err := NewClient(p.sock, o).Do(context.Background(), other, Install); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// R-H8: one that must be alone waits for what is removed, as the role sees it itself, and goes once that is gone.
func TestRH8WhatIsRemovedGoesBeforeWhatMustBeAlone(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	old := o.approveSo("old", func(*policy.Descriptor) {})
	c, ctx := NewClient(p.sock, o), context.Background()
	if _, err := c.Do(ctx, old, Install); err != nil {
		t.Fatal(err)
	}
	alone := o.approveSo("alone", func(d *policy.Descriptor) { d.Exclusive = "yes" })
	o.publish(func(m *policy.Manifest) {
		for i := range m.Approvals {
			if m.Approvals[i].Descriptor == old {
				m.Approvals[i].Action = policy.ActionRemove
			}
		}
	})
	_, err := c.Do(ctx, alone, Install)
	wantRefused(t, "beside a removal", err, policy.ReasonDepOtherFirst)
	if _, err := c.Do(ctx, old, Remove); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Do(ctx, alone, Install); err != nil {
		t.Fatal(err)
	}
}

// R-H8: a removal that failed here does not hold back what must be alone any more, as the role's own journal tells it,
// also after the role was started anew; approving it anew gives it its turn again.
func TestRH8ARemovalThatFailedHoldsNobodyBack(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	path := filepath.Join(t.TempDir(), "journal")
	open := func() *FileJournal {
		j, _, err := OpenJournal(path)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = j.Close() })
		return j
	}
	old := o.approveSo("old", func(*policy.Descriptor) {})
	j := open()
	p.role.cfg.Journal = j
	c, ctx := NewClient(p.sock, o), context.Background()
	if _, err := c.Do(ctx, old, Install); err != nil {
		t.Fatal(err)
	}
	alone := o.approveSo("alone", func(d *policy.Descriptor) { d.Exclusive = "yes" })
	second := o.approveSo("alone-2", func(d *policy.Descriptor) { d.Exclusive = "yes" })
	remove := func(later time.Duration) {
		o.publish(func(m *policy.Manifest) {
			for i := range m.Approvals {
				if m.Approvals[i].Descriptor == old {
					m.Approvals[i].Action, m.Approvals[i].At = policy.ActionRemove, p.role.cfg.Now().Add(later).UTC().Truncate(time.Second)
				}
			}
		})
	}
	remove(-time.Minute)
	_, err := c.Do(ctx, alone, Install)
	wantRefused(t, "beside a removal", err, policy.ReasonDepOtherFirst)
	p.hands.failRemove = errors.New("its script failed")
	if _, err := c.Do(ctx, old, Remove); err == nil {
		t.Fatal("it did not fail")
	}
	_ = j.Close()
	p.role.cfg.Journal = open()
	if _, err := c.Do(ctx, alone, Install); err != nil {
		t.Errorf("after the removal failed: %v", err)
	}
	remove(time.Minute)
	_, err = c.Do(ctx, second, Install)
	wantRefused(t, "once it was approved anew", err, policy.ReasonDepOtherFirst)
}
