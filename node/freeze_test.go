package node

import (
	"crypto/ed25519"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

func roleKey(t *testing.T, name string) policy.Signer {
	t.Helper()
	seed := content.Sum([]byte(name)).SHA256()
	s, err := policy.NewSigner(ed25519.NewKeyFromSeed(seed[:]))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// organisation makes the keys and first documents of one whose heads live this long.
func organisation(t *testing.T, org string, life time.Duration, now time.Time) (*policy.Trust, policy.OnlineKeys) {
	t.Helper()
	k := policy.RoleKeys{
		Root: []policy.Signer{roleKey(t, org+" root")}, RootThreshold: 1, Approvers: []policy.Signer{roleKey(t, org+" approver")}, Threshold: 1,
		Online: policy.OnlineKeys{
			Timestamp: roleKey(t, org+" timestamp"), Snapshot: roleKey(t, org+" snapshot"), Roster: roleKey(t, org+" roster"),
			Life: policy.Life{Timestamp: life, Snapshot: 2 * life, Roster: 400 * 24 * time.Hour, Targets: 400 * 24 * time.Hour},
		},
	}
	f, err := policy.NewRepository(org, k, &policy.Roster{Org: org}, now)
	if err != nil {
		t.Fatal(err)
	}
	return opened(t, f), k.Online
}

func opened(t *testing.T, f policy.Files) *policy.Trust {
	t.Helper()
	tr, err := policy.OpenTrust(f, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	return tr
}

// frozen is a machine whose neighbours show it nothing but what it has, or what is older, or another
// organisation's.
type frozen struct {
	believer
	wall time.Time
}

func freeze(tr *policy.Trust, wall time.Time) *frozen {
	f := &frozen{wall: wall}
	f.trust, f.head, f.headV, f.adoptedAt = tr, tr.Files().Timestamp, tr.HeadVersion(), wall
	f.clock = newTrustClock(func() time.Time { return f.wall }, policy.ClockState{})
	f.clock.learn(tr)
	return f
}

// S-FREEZE: in virtual time, whoever freezes a machine is noticed no later than an hour after half of
// the head's life, however late the head reached it; when the life is over nothing new is begun; and no
// replayed head puts either off.
func TestFreezeIsNoticedAtHalfLifeAndStopsNewInstallsAtItsEnd(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	foreign, _ := organisation(t, "other", 400*24*time.Hour, start)
	runs := soak(20, 500)
	for seed := range runs {
		rng := rand.New(rand.NewPCG(uint64(seed), 3))
		life := 24*time.Hour + time.Duration(rng.Int64N(int64(89*24*time.Hour))).Truncate(time.Second)
		old, online := organisation(t, "acme", life, start)
		issued := start.Add(time.Duration(rng.Int64N(int64(life / 2)))).Truncate(time.Second)
		files, err := old.Publish(nil, nil, online, issued)
		if err != nil {
			t.Fatal(err)
		}
		late := time.Duration(rng.Int64N(int64(life * 9 / 10))) // the attacker held it back first
		f := freeze(opened(t, files), issued.Add(late))
		alarmed := time.Time{}
		for step := range 50 {
			f.wall = issued.Add(late + time.Duration(step)*(life-late)/45)
			now := f.clock.now()
			for name, head := range map[string][]byte{"the same": files.Timestamp, "an older": old.Files().Timestamp, "another organisation's": foreign.Files().Timestamp} {
				newer, _, err := f.trust.CheckHead(head, now)
				if newer || name != "the same" && err == nil {
					t.Fatalf("seed %d: %s head was taken: %v", seed, name, err)
				}
				if rng.IntN(40) > 0 || name == "the same" {
					continue
				}
				if err := f.trust.Refresh(head, now).Supply(nil); err == nil {
					t.Fatalf("seed %d: a refresh took %s head", seed, name)
				}
			}
			over := now.Sub(issued)
			trouble := f.trouble(now, 0)
			switch {
			case trouble != nil && alarmed.IsZero():
				alarmed = now
				if over <= life/2 {
					t.Fatalf("seed %d: alarm after %s of %s", seed, over, life)
				}
			case trouble == nil && over > life/2+time.Hour:
				t.Fatalf("seed %d: no alarm after %s of %s", seed, over, life)
			}
			if over > life && (trouble == nil || trouble.reason != policy.ReasonTrustStale) {
				t.Fatalf("seed %d: %+v after %s of %s", seed, trouble, over, life)
			}
			if got := f.mayBegin(now); got != (over <= life) {
				t.Fatalf("seed %d: may begin a new install: %v, after %s of %s", seed, got, over, life)
			}
		}
		if alarmed.IsZero() {
			t.Fatalf("seed %d: never noticed", seed)
		}
	}
	t.Logf("%d runs", runs)
}

// mayBegin asks the plan about an update that is approved and not there yet.
func (f *frozen) mayBegin(now time.Time) bool {
	m := *f.trust.Manifest()
	id := content.Sum([]byte("descriptor"))
	m.Approvals = []policy.Approval{{Update: "u1", Revision: 1, Descriptor: id, DescriptorBytes: 100, Group: policy.GroupAll, Action: policy.ActionInstall}}
	p := policy.MakePlan(&m, func(content.ID) *policy.Descriptor { return &policy.Descriptor{Update: "u1", Installer: "file"} },
		policy.Machine{Installers: []string{"file"}}, f.trust.Stale(now), now)
	return p.Verdicts[0].Verb == policy.VerbInstall
}

// A document set may not cross from one organisation to another, whatever keys they share.
func TestReplayAcrossOrganisationsIsRefused(t *testing.T) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	ours, _ := organisation(t, "acme", 7*24*time.Hour, now)
	theirs, online := organisation(t, "other", 7*24*time.Hour, now)
	f, err := theirs.Publish(nil, nil, online, now.Add(time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := ours.CheckHead(f.Timestamp, now); !errors.Is(err, policy.ErrUnknownKey) {
		t.Fatalf("%v", err)
	}
}

// The computer's clock is set back by years while the node is off: what it knew to have passed still
// counts, people are told, and it still works.
func TestClockSetBackIsToldAndDoesNotCount(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	before := a.cfg.Now()
	a.stop()
	a = m.run("a", Config{Egress: EgressYes, Now: func() time.Time { return time.Now().AddDate(-3, 0, 0) }})
	if now := a.cfg.Now(); now.Before(before.Add(-time.Minute)) {
		t.Fatalf("the node's time went back from %s to %s", before, now)
	}
	until(t, "people to be told", func() bool { return a.reason(t) == string(policy.ReasonClockBehind) })
	m.file("u1", payload(1000))
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
}

// An expired set does not come to life again when the clock of a machine that saw it expire goes back.
func TestExpiredApprovalsStayExpiredAcrossARestart(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	a.stop()
	m.seed.stop()
	a = m.run("a", Config{Egress: EgressYes, Now: func() time.Time { return time.Now().Add(8 * 24 * time.Hour) }})
	until(t, "the approvals to be stale", func() bool { return a.reason(t) == string(policy.ReasonTrustStale) })
	a.stop()
	a = m.run("a", Config{Egress: EgressYes})
	if got := a.reason(t); got != string(policy.ReasonTrustStale) {
		t.Fatalf("reason %q after the clock went back", got)
	}
	f, err := os.ReadFile(filepath.Join(m.dir, "a", "trust", "floor"))
	if err != nil || !strings.Contains(string(f), "seen_at") {
		t.Fatalf("the time is not kept: %v", err)
	}
}
