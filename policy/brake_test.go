package policy

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

// braked publishes the roster with some brakes, as a seed does with its online keys alone.
func (m *mesh) braked(now time.Time, brakes ...Brake) Files {
	m.t.Helper()
	r := m.trust.Roster()
	for _, b := range brakes {
		var err error
		if r, err = r.Brake(b); err != nil {
			m.t.Fatal(err)
		}
	}
	f, err := m.trust.Publish(nil, r, m.keys.Online, now)
	if err != nil {
		m.t.Fatal(err)
	}
	m.trust = m.open(f)
	return f
}

func stopping(u UpdateID, revision int) Brake {
	return Brake{Update: u, Revision: revision, Reason: "2 of 3 machines failed", At: t0, Until: t0.Add(MaxBrakeLife)}
}

// brakedMesh has an approved update and a machine that follows it.
func brakedMesh(t *testing.T) (m *mesh, verdict func(now time.Time) Verdict) {
	m = newMesh(t, "acme", 2, 3)
	d := newBench(t).update("u", 1, nil)
	m.mustNext(t0, func(man *Manifest) {
		man.Approvals = []Approval{{Update: "u", Revision: 1, Descriptor: d.ID(), DescriptorBytes: 1000, Group: "all", Action: ActionInstall, At: t0}}
	})
	machine := m.trust
	return m, func(now time.Time) Verdict {
		if next, err := walk(machine, m.trust.Files(), now); err == nil {
			machine = next
		}
		mach := Machine{ID: "m1", Installers: []string{"file"}}
		return MakePlan(machine.Manifest(), func(content.ID) *Descriptor { return d }, mach, false, now).Verdicts[0]
	}
}

// R-B10: where approvers are elsewhere, the seed's own brake holds at once; its end, or what the approvers decide,
// lets go of it.
func TestRB10ASeedsBrakeHoldsUntilApproversDecide(t *testing.T) {
	m, verdict := brakedMesh(t)
	if v := verdict(t0); v.Verb != VerbInstall {
		t.Fatalf("before: %+v", v)
	}
	id := stopping("u", 1).ID()
	m.braked(t0, stopping("u", 1))
	v := verdict(t0.Add(time.Minute))
	if v.Verb != VerbHold || v.Reason != ReasonPolicyBrake || v.Hold != id || !strings.Contains(v.Detail, "by the seed alone: 2 of 3 machines failed") || !v.Until.Equal(t0.Add(MaxBrakeLife)) {
		t.Fatalf("braked: %+v", v)
	}
	if m.trust.Epoch() != 2 || len(m.trust.main.Holds) != 0 {
		t.Errorf("the brake changed what approvers signed: epoch %d, %+v", m.trust.Epoch(), m.trust.main.Holds)
	}
	if v := verdict(t0.Add(MaxBrakeLife)); v.Verb != VerbInstall {
		t.Errorf("after its end: %+v", v)
	}
	// The approvers let it go on, and the next brake of that revision meets their word too.
	m.mustNext(t0.Add(time.Hour), func(man *Manifest) {
		man.HoldExceptions = []HoldException{{ID: "x", Hold: id, Group: "all", Reason: "a test machine", At: t0, Until: t0.Add(30 * 24 * time.Hour)}}
	})
	if v := verdict(t0.Add(2 * time.Hour)); v.Verb != VerbInstall || len(v.Excepted) != 1 {
		t.Errorf("opened by the approvers: %+v", v)
	}
	again := stopping("u", 1)
	again.At, again.Until = t0.Add(3*time.Hour), t0.Add(4*time.Hour)
	m.braked(t0.Add(3*time.Hour), again)
	if v := verdict(t0.Add(3*time.Hour + 1)); v.Verb != VerbInstall {
		t.Errorf("braked again by the seed alone: %+v", v)
	}
	// They make a hold of it: then it has no end.
	m.mustNext(t0.Add(4*time.Hour), func(man *Manifest) {
		man.Holds = []Hold{{ID: "ring-1", Update: "u", Kind: HoldPause, Reason: "broken", At: t0}}
	})
	if v := verdict(t0.Add(5 * time.Hour)); v.Hold != "ring-1" || v.Reason != ReasonPolicyHold || !v.Until.IsZero() {
		t.Errorf("held by the approvers: %+v", v)
	}
}

// R-B10, T17: what a thief of the seed's online keys can do with brakes: stop updates that he names one by one, for a
// while, under his own name. He can approve nothing, release nothing that was signed, stop no other revision, nor
// everything, nor for long.
func TestRB10AStolenSeedCanOnlyDelayWithABrake(t *testing.T) {
	roster := func(change func(*Roster)) error {
		r := &Roster{Org: "acme", IssuedAt: t0, EnrolmentKeys: []string{}, Seeds: []SeedEntry{}, Revoked: []Revocation{}, Brakes: []Brake{stopping("u", 1)}}
		change(r)
		b, err := r.Encode()
		if err == nil {
			_, err = DecodeRoster(b)
		}
		return err
	}
	if err := roster(func(*Roster) {}); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Roster){
		"everything":          func(r *Roster) { r.Brakes[0].Update = AllUpdates },
		"no update":           func(r *Roster) { r.Brakes[0].Update = "../x" },
		"every revision":      func(r *Roster) { r.Brakes[0].Revision = 0 },
		"for longer":          func(r *Roster) { r.Brakes[0].Until = t0.Add(MaxBrakeLife + time.Second) },
		"without end":         func(r *Roster) { r.Brakes[0].Until = time.Time{} },
		"from a time to come": func(r *Roster) { r.Brakes[0].At, r.Brakes[0].Until = t0.Add(time.Hour), t0.Add(2*time.Hour) },
		"without a word":      func(r *Roster) { r.Brakes[0].Reason = "" },
		"a word that hides":   func(r *Roster) { r.Brakes[0].Reason = "a\x1b[2Kb" },
		"twice":               func(r *Roster) { r.Brakes = append(r.Brakes, r.Brakes[0]) },
		"65 of them": func(r *Roster) {
			r.Brakes = nil
			for i := range MaxBrakes + 1 {
				r.Brakes = append(r.Brakes, stopping(UpdateID(fmt.Sprintf("u%03d", i)), 1))
			}
		},
	} {
		if err := roster(spoil); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("a brake of %s was taken: %v", name, err)
		}
	}
	m, verdict := brakedMesh(t)
	// A fix of the update is not stopped by a brake of what it fixes, nor anything else.
	m.braked(t0, stopping("u", 2), stopping("v", 1))
	if v := verdict(t0); v.Verb != VerbInstall {
		t.Errorf("another revision is braked: %+v", v)
	}
	// It cannot stand before what approvers have held, nor open it: it is a second hold.
	m.mustNext(t0, func(man *Manifest) {
		man.Holds = []Hold{{ID: "h", Update: "u", Kind: HoldSafeguard, Reason: "broken", At: t0}}
	})
	m.braked(t0.Add(time.Minute), stopping("u", 1))
	if v := verdict(t0.Add(MaxBrakeLife)); v.Hold != "h" || v.Reason != ReasonPolicyHold {
		t.Errorf("under a hold and a brake: %+v", v)
	}
	// Issued from the future, to end later than it may: nobody's clock believes it, and it is not counted.
	far := t0.Add(400 * 24 * time.Hour)
	late := Brake{Update: "u", Revision: 1, Reason: "r", At: far, Until: far.Add(MaxBrakeLife)}
	man := merge(&Manifest{}, nil, &Roster{Brakes: []Brake{late}})
	if h, held := man.holdsFor(belonging{}, Machine{}, t0).on("u", 1); held {
		t.Errorf("held until %s by a brake of %s, it is %s", h.ExpiresAt, h.At, t0)
	}
	// No document of approvers takes a brake's kind, and no role its name.
	if err := (Hold{ID: "h", Update: "u", Kind: HoldBrake, Reason: "r"}).Validate(); !errors.Is(err, ErrFormat) {
		t.Errorf("a brake in a manifest: %v", err)
	}
	if ValidRole(brakePrefix) {
		t.Error("a role may be called like the brakes of the seed")
	}
}

// R-B10, T2, T11: somebody on the network who has no key of the seed puts no brake on and takes none off.
func TestRB10NobodyOnTheNetworkBrakesOrReleases(t *testing.T) {
	m, _ := brakedMesh(t)
	before := m.trust
	old := before.Files()
	f := m.braked(t0, stopping("u", 1))
	machine, err := walk(before, f, t0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := walk(machine, old, t0); !errors.Is(err, ErrRollback) {
		t.Errorf("the head of before the brake: %v", err)
	}
	without := slices.Clone(f.Roster)
	without = []byte(strings.Replace(string(without), `"revision":1`, `"revision":9`, 1))
	forged := f
	forged.Roster = without
	if _, err := walk(before, forged, t0); !errors.Is(err, ErrHash) {
		t.Errorf("a roster with another brake: %v", err)
	}
	stranger := newMesh(t, "acme", 2, 3)
	stranger.keys.Online.Roster = key(t, "a stranger")
	r, err := before.Roster().Brake(stopping("u", 1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := before.Publish(nil, r, stranger.keys.Online, t0); err == nil {
		t.Error("a brake signed by a stranger was published")
	}
}

// What has served its time goes with the next roster, and rosters without brakes are the bytes they were.
func TestRB10BrakesGoWhenTheyEnd(t *testing.T) {
	m, _ := brakedMesh(t)
	plain := string(m.trust.Files().Roster)
	if strings.Contains(plain, "brakes") {
		t.Errorf("a roster without brakes: %s", plain)
	}
	m.braked(t0, stopping("u", 1))
	if len(m.trust.Roster().Brakes) != 1 {
		t.Fatal("no brake")
	}
	m.braked(t0.Add(MaxBrakeLife), stopping("v", 1))
	if b := m.trust.Roster().Brakes; len(b) != 0 {
		t.Errorf("after their end: %+v", b)
	}
	if r := m.trust.Roster().Unbrake(func(Brake) bool { return true }); r != nil {
		t.Error("took brakes off where there are none")
	}
}
