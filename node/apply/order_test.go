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

// An update that must be installed alone holds the others back until it is there, and no longer.
func TestWhatMustBeAloneHoldsOthersBackUntilItIsThere(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	alone := o.approveSo("alone", func(d *policy.Descriptor) { d.Exclusive = "yes" })
	other := o.approveSo("other", func(*policy.Descriptor) {})
	c, ctx := NewClient(p.sock, o), context.Background()
	if _, err := c.Do(ctx, other, Install); err == nil || p.hands.installs != 0 {
		t.Fatalf("beside one that must be alone: %v, %d installs", err, p.hands.installs)
	}
	for _, id := range []content.ID{alone, other} {
		if _, err := c.Do(ctx, id, Install); err != nil {
			t.Fatal(err)
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

// R-H8: one that must be alone and failed here does not hold the others back any more, as the role's own journal tells it,
// also after the role was started anew; approving it anew gives it its turn again.
func TestRH8WhatFailedAloneHoldsNobodyBack(t *testing.T) {
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
	alone := o.approveSo("alone", func(d *policy.Descriptor) { d.Exclusive = "yes" })
	other := o.approveSo("other", func(*policy.Descriptor) {})
	j := open()
	p.role.cfg.Journal = j
	c, ctx := NewClient(p.sock, o), context.Background()
	if _, err := c.Do(ctx, other, Install); err == nil {
		t.Fatal("installed beside one that must be alone")
	}
	p.hands.fail = errors.New("its script failed")
	if _, err := c.Do(ctx, alone, Install); err == nil {
		t.Fatal("it did not fail")
	}
	p.hands.fail = nil
	_ = j.Close()
	p.role.cfg.Journal = open()
	if _, err := c.Do(ctx, other, Install); err != nil {
		t.Errorf("after it failed: %v", err)
	}
	third := o.approveSo("third", func(*policy.Descriptor) {})
	o.publish(func(m *policy.Manifest) {
		for i := range m.Approvals {
			if m.Approvals[i].Descriptor == alone {
				m.Approvals[i].At = p.role.cfg.Now().Add(time.Minute).UTC().Truncate(time.Second)
			}
		}
	})
	_, err := c.Do(ctx, third, Install)
	wantRefused(t, "once it was approved anew", err, policy.ReasonExclusive)
	if _, err := c.Do(ctx, alone, Install); err != nil {
		t.Errorf("its own turn: %v", err)
	}
	if _, err := c.Do(ctx, third, Install); err != nil {
		t.Errorf("once it is there: %v", err)
	}
}
