package apply

import (
	"context"
	"errors"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// restarter is a machine that counts how often it was told to restart.
type restarter struct {
	sees policy.PendingRestart
	err  error
	told int
}

func (r *restarter) Look() (policy.PendingRestart, error) { return r.sees, r.err }

func (r *restarter) Restart(context.Context, time.Duration, bool) error { r.told++; return r.err }

// The caller may ask for a restart at any time; whether the machine restarts is what this role sees and what is
// signed.
func TestOnlyARestartThatIsNeededIsCarriedOut(t *testing.T) {
	_, p, _, _ := withFaults(t)
	c, ctx := NewClient(p.sock, newOrg(t, "nobody")), context.Background()
	now := func() error { return c.call(ctx, request{verb: verbRestart, order: restartNow}, nil, nil, &struct{}{}) }
	if got, err := c.LookRestart(ctx); err != nil || got.Pending {
		t.Errorf("a role that restarts nothing sees %+v, %v", got, err)
	}
	wantRefused(t, "a role that restarts nothing", now(), policy.ReasonRestartBlocked)
	m := &restarter{}
	p.role.cfg.Restarter = m
	wantRefused(t, "a machine that needs none", now(), policy.ReasonPolicyDeclined)
	m.sees = policy.PendingRestart{Pending: true, Since: p.role.cfg.Now().Add(-90 * 24 * time.Hour), Why: "a new kernel"}
	if got, err := c.LookRestart(ctx); err != nil || !got.Pending || got.Why != "a new kernel" {
		t.Errorf("it sees %+v, %v", got, err)
	}
	wantRefused(t, "policy leaves it to people", now(), policy.ReasonRestartPending)
	m.err = errors.New("the disk is gone")
	if _, err := c.LookRestart(ctx); err == nil {
		t.Error("what cannot be seen is called well")
	}
	if err := now(); err == nil || m.told != 0 {
		t.Errorf("%v, told %d times", err, m.told)
	}
}

// What this role finds out itself about its machine counts, not what the caller has written down of it.
func TestPlansAreMadeFromWhatTheRoleSeesItself(t *testing.T) {
	_, p, _, id := withFaults(t)
	p.role.cfg.Machine.Groups = []string{"elsewhere"}
	c, ctx := NewClient(p.sock, nil), context.Background()
	if _, err := c.schedule(ctx, id, Install); err == nil || p.hands.changes() != 0 {
		t.Fatalf("a machine of another group: %v", err)
	}
	asked := 0
	p.role.cfg.Lately = func() (*policy.Inventory, []string) { asked++; return nil, nil }
	if _, err := c.schedule(ctx, id, Install); err == nil || asked == 0 {
		t.Errorf("%v, asked %d times", err, asked)
	}
	for o, want := range map[Order]string{Detect: "detect", Install: "install", Remove: "remove", restartNow: "restart", InstallAtShutdown: "install at shutdown", 99: "order 99"} {
		if o.String() != want {
			t.Errorf("order %d is called %q", byte(o), o)
		}
	}
}

// moving is a node that hears of newer approvals while it is asked for the documents of those it has offered, which
// it then no longer has.
type moving struct {
	*org
	next func() // once
}

func (m *moving) Document(id content.ID) ([]byte, error) {
	if m.next != nil {
		next := m.next
		m.next = nil
		next()
		return nil, nil
	}
	return m.org.Document(id)
}

func TestOfferThatIsOvertakenByNewerApprovalsGoesOn(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	o.approve("u1", body(900, 1), "office", policy.ActionInstall)
	src := &moving{org: o, next: func() { o.approve("u2", body(900, 2), "office", policy.ActionInstall) }}
	if err := NewClient(p.sock, src).OfferMetadata(context.Background()); err != nil {
		t.Fatal(err)
	}
	if s, err := p.role.Status(); err != nil || s.Head != o.trust.HeadVersion() {
		t.Errorf("%+v, %v", s, err)
	}
	src.next = func() { src.next = func() {} }
	o.approve("u3", body(900, 3), "office", policy.ActionInstall)
	m := &restarter{}
	p.role.cfg.Restarter = m
	if err := NewClient(p.sock, src).Restart(context.Background()); !errors.Is(err, ErrNotOrdered) || m.told != 0 {
		t.Errorf("documents that are not to be had: %v", err)
	}
}

// talker is a restarter that can tell people.
type talker struct {
	restarter
	said int
}

func (m *talker) TellWaits(context.Context) error { m.said++; return m.err }

// R-C6: while a restart waits, people at terminals are told by the process that is root, as policy says and at most once
// an hour; not where policy tells nobody, and not when none waits. How often it is asked changes nothing.
func TestRC6PeopleAtTerminalsAreToldOfARestartThatWaits(t *testing.T) {
	o := newOrg(t, "acme")
	p := newProcess(t, o)
	p.serve(t)
	o.approve("u1", body(900, 1), "office", policy.ActionInstall)
	c, ctx := NewClient(p.sock, o), context.Background()
	if err := c.OfferMetadata(ctx); err != nil {
		t.Fatal(err)
	}
	now := p.role.cfg.Now()
	p.role.cfg.Now = func() time.Time { return now }
	m := &talker{}
	p.role.cfg.Restarter = m
	look := func(what string, after time.Duration, want int) {
		t.Helper()
		now = now.Add(after)
		for range 3 {
			if _, err := c.LookRestart(ctx); err != nil {
				t.Fatal(err)
			}
		}
		if m.said != want {
			t.Errorf("%s: told %d times, want %d", what, m.said, want)
		}
	}
	look("no restart", 0, 0)
	m.sees = policy.PendingRestart{Pending: true, Since: now, Why: "evil\x1b]0;text of a package"}
	look("it waits", time.Minute, 1)
	look("soon afterwards", 20*time.Minute, 1)
	look("an hour later", 41*time.Minute, 2)
	m.sees.Impossible = "a folder is no machine"
	look("nothing can be restarted", 2*time.Hour, 2)
	m.sees = policy.PendingRestart{}
	look("it was restarted", 2*time.Hour, 2)
}
