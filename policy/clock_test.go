package policy

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"patchmesh/content"
)

func TestClockNeverReadsBeforeWhatIsProven(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	c := NewClock(ClockState{ProvenAt: t0.Add(-day)}, t0.Add(-time.Hour))
	if got := c.Read(t0.Add(-30 * day)); !got.Equal(t0.Add(-time.Hour)) {
		t.Fatalf("before any document: %s", got)
	}
	c.Learn(m.trust)
	if got := c.Read(t0.Add(-30 * day)); !got.Equal(t0) {
		t.Fatalf("an issue time proves itself: %s", got)
	}
	c.Pass(2 * time.Hour)
	c.Pass(-time.Hour)
	if got := c.Read(time.Time{}); !got.Equal(t0.Add(2 * time.Hour)) {
		t.Fatalf("time passes while the program runs: %s", got)
	}
	if got := c.Read(t0.Add(3 * day)); !got.Equal(t0.Add(3 * day)) {
		t.Fatalf("a clock that is ahead counts: %s", got)
	}
	if got := c.Read(t0); !got.Equal(t0.Add(3 * day)) {
		t.Fatalf("it went back: %s", got)
	}
	proven := t0.Add(2 * time.Hour)
	if c.Behind(proven.Add(-ClockTolerance)) != 0 || c.Behind(proven.Add(-day-time.Second)) != day+time.Second {
		t.Fatal("the alarm does not follow the tolerance")
	}
}

// A clock that was decades in the future makes everything seem expired; set right, it does so no longer.
func TestClockThatWasInTheFutureHeals(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	c := NewClock(ClockState{}, time.Time{})
	c.Learn(m.trust)
	now := c.Read(t0.Add(30 * 365 * day))
	if !m.trust.Stale(now) {
		t.Fatal("30 years later nothing is stale")
	}
	m.mustNext(t0.Add(time.Hour), hold("h1"))
	now = c.Read(t0.Add(time.Hour)) // somebody set the clock
	newer, _, err := m.open(m.trust.Files()).CheckHead(m.trust.Files().Timestamp, now)
	if newer || err != nil {
		t.Fatalf("%v", err)
	}
	c.Learn(m.trust)
	if m.trust.Stale(c.Read(t0.Add(time.Hour))) {
		t.Fatal("the next head does not heal it")
	}
}

// A head that was once seen to have expired stays so, however the clock is turned back.
func TestExpiredStaysExpired(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	c := NewClock(ClockState{}, time.Time{})
	c.Learn(m.trust)
	c.Read(t0.Add(8 * day))
	if !m.trust.Stale(c.Read(t0)) {
		t.Fatal("the clock was turned back and the approvals live again")
	}
	again := NewClock(c.State(), time.Time{}) // a restart
	again.Learn(m.trust)
	if !m.trust.Stale(again.Read(t0)) {
		t.Fatal("a restart and the approvals live again")
	}
}

// Whoever steals the online keys can write any time into roster and head. It pushes nobody's time past
// the approvals' own expiry, which approvers have signed.
func TestStolenOnlineKeysCannotPushTheTimeFar(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	far := t0.Add(20 * 365 * day)
	online := m.keys.Online
	online.Life = Life{Roster: 40 * 365 * day, Snapshot: 40 * 365 * day, Timestamp: 40 * 365 * day}
	f, err := m.trust.Publish(nil, &Roster{Org: "acme"}, online, t0)
	if err != nil {
		t.Fatal(err)
	}
	evil := m.open(f)
	evil.roster.IssuedAt = far
	evil.tm.Timestamp.Signed.UnrecognizedFields[issuedField] = far.Format(time.RFC3339)
	c := NewClock(ClockState{}, time.Time{})
	c.Learn(evil)
	if got := c.ProvenAt; got.After(evil.ApprovalsExpireAt()) {
		t.Fatalf("proven %s", got)
	}
	c.Read(far)
	if got, most := c.SeenAt, evil.ApprovalsExpireAt().Add(DefaultLife().Targets+time.Second); got.After(most) {
		t.Fatalf("with the wall clock's help: %s, at most %s", got, most)
	}
}

// An approver whose clock is in the future signs an issue time that has not come: it counts no further
// than the seed's own word.
func TestIssueTimeOfAWrongClockIsBounded(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	m.mustNext(t0, func(man *Manifest) { man.IssuedAt = t0.Add(30 * 365 * day) })
	c := NewClock(ClockState{}, time.Time{})
	c.Learn(m.trust)
	if got := c.ProvenAt; got.After(m.trust.ExpiresAt()) {
		t.Fatalf("proven %s", got)
	}
}

func TestTrustWithoutDocumentsTeachesNothing(t *testing.T) {
	fresh, err := NewTrust(newMesh(t, "acme", 1, 1).trust.Files().Root)
	if err != nil {
		t.Fatal(err)
	}
	c := NewClock(ClockState{}, time.Time{})
	c.Learn(fresh)
	if wall := t0.Add(5 * day); !c.Read(wall).Equal(wall) || c.State() != (ClockState{}) {
		t.Fatal("a root proves no time")
	}
}

// clockTrace is one machine under a clock that somebody or something plays with.
type clockTrace struct {
	truth  time.Time
	offset time.Duration // wall clock minus truth
	clock  Clock
	least  time.Time // what the test itself knows to have passed: issue times seen, and running since
	trust  *Trust
	log    []string
}

func (c *clockTrace) wall() time.Time { return c.truth.Add(c.offset) }

func (c *clockTrace) say(format string, args ...any) {
	c.log = append(c.log, fmt.Sprintf(format, args...))
}

// run lets time pass, in the program or while it sleeps.
func (c *clockTrace) run(d time.Duration, asleep bool) {
	c.truth = c.truth.Add(d)
	if !asleep {
		c.clock.Pass(d)
		c.least = c.least.Add(d)
	}
}

// restart loses everything but what was saved.
func (c *clockTrace) restart(off time.Duration) {
	c.truth = c.truth.Add(off)
	c.clock = NewClock(c.clock.State(), time.Time{})
	c.clock.Learn(c.trust)
}

// mayInstall is what the node asks before it begins anything.
func (c *clockTrace) mayInstall() bool {
	p := MakePlan(c.trust.Manifest(), func(content.ID) *Descriptor { return fileDescriptor() },
		Machine{Arch: "all", Installers: []string{"file"}}, c.trust.Stale(c.clock.Read(c.wall())), c.clock.Read(c.wall()))
	for _, v := range p.Verdicts {
		if v.Verb == VerbInstall {
			return true
		}
	}
	return false
}

// S-CLOCK: traces of a clock that jumps by up to 30 years either way, sleeps and resets. Nothing is
// installed from approvals that expired by any time that was proven, nor by the true time while the
// clock is not behind it; a large step back is told; and once the clock is right again and a newer
// head has come, the machine installs again.
func TestClockTraces(t *testing.T) {
	heads := clockHeads(t)
	traces, installs := soak(30, 400), 0
	for seed := range traces {
		rng := rand.New(rand.NewPCG(uint64(seed), 32))
		c := &clockTrace{truth: t0, trust: heads[0], least: t0}
		c.say("seed %d", seed)
		c.clock.Learn(c.trust)
		c.clock.Read(c.wall())
		for range 30 {
			c.disturb(rng)
			if i := int(c.truth.Sub(t0) / day); rng.IntN(3) == 0 && i < len(heads) {
				c.hear(heads[i])
			}
			now := c.clock.Read(c.wall())
			if now.Before(c.clock.ProvenAt) {
				t.Fatalf("%s before the proven time: %v", now, c.log)
			}
			if c.clock.ProvenAt.Before(c.least) {
				t.Fatalf("proven %s, although %s has passed: %v", c.clock.ProvenAt, c.least, c.log)
			}
			if behind := c.least.Sub(c.wall()) > ClockTolerance; behind && c.clock.Behind(c.wall()) == 0 {
				t.Fatalf("no alarm while the clock is %s behind: %v", c.least.Sub(c.wall()), c.log)
			}
			if !c.mayInstall() {
				continue
			}
			installs++
			if end := c.trust.ExpiresAt(); c.least.After(end) || c.offset >= 0 && c.truth.After(end) {
				t.Fatalf("installed at %s from approvals that expired at %s: %v", c.truth, end, c.log)
			}
		}
		c.heal(t, heads)
	}
	t.Logf("%d traces, %d moments at which installing was allowed", traces, installs)
}

// clockHeads is a head a day over the same approvals, renewed every 60 days.
func clockHeads(t *testing.T) []*Trust {
	m := newMesh(t, "acme", 1, 1)
	m.mustNext(t0, func(man *Manifest) {
		d := fileDescriptor()
		b, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		man.Approvals = []Approval{{Update: d.Update, Revision: d.Revision, Descriptor: d.ID(), DescriptorBytes: len(b), Group: GroupAll, Action: ActionInstall, At: t0}}
	})
	heads := []*Trust{m.trust}
	for i := 1; i < 150; i++ {
		if i%60 == 0 {
			m.mustNext(t0.Add(time.Duration(i)*day), nil)
		} else {
			f, err := m.trust.Publish(nil, nil, m.keys.Online, t0.Add(time.Duration(i)*day))
			if err != nil {
				t.Fatal(err)
			}
			m.trust = m.open(f)
		}
		heads = append(heads, m.trust)
	}
	return heads
}

// disturb is one thing that happens to a clock.
func (c *clockTrace) disturb(rng *rand.Rand) {
	span := time.Duration(1 + rng.Int64N(int64(2*day)))
	switch rng.IntN(7) {
	case 0: // anything from 30 years back to 30 years ahead
		c.offset = time.Duration(rng.Int64N(60*365)-30*365) * day
		c.say("clock set to %s off", c.offset)
	case 1:
		c.offset = 0
		c.say("clock set right")
	case 2: // a battery that died: firmware begins at its own epoch
		c.restart(span)
		c.offset = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC).Sub(c.truth)
		c.say("off for %s, clock reset", span)
	case 3:
		c.run(span, true)
		c.say("suspended for %s", span)
	case 4:
		c.restart(span)
		c.say("off for %s", span)
	case 5: // a wrong time zone, a drift
		c.offset = time.Duration(rng.Int64N(int64(28*time.Hour))) - 14*time.Hour
		c.say("clock set %s off", c.offset)
	default:
		c.run(span, false)
		c.say("runs for %s", span)
	}
}

// hear shows the machine a head; it takes it if it can be believed now.
func (c *clockTrace) hear(next *Trust) {
	got, err := walk(c.trust, next.Files(), c.clock.Read(c.wall()))
	if err != nil {
		return
	}
	c.trust = got
	c.clock.Learn(got)
	if at := got.HeadIssuedAt(); at.After(c.least) {
		c.least = at
	}
	c.say("head %d", got.HeadVersion())
}

// heal sets the clock right and shows the newest head.
func (c *clockTrace) heal(t *testing.T, heads []*Trust) {
	t.Helper()
	c.offset = 0
	i := int(c.truth.Sub(t0)/day) + 8 // the longest that a head may have lived
	if i >= len(heads) {
		t.Fatalf("the trace is longer than the heads: %v", c.log)
	}
	c.run(t0.Add(time.Duration(i)*day).Sub(c.truth), false)
	c.hear(heads[i])
	if c.trust.HeadVersion() != heads[i].HeadVersion() || !c.mayInstall() {
		t.Fatalf("not healed at %s, proven %s: %v", c.truth, c.clock.ProvenAt, c.log)
	}
	if c.clock.Behind(c.wall()) != 0 {
		t.Fatalf("the alarm stays: %v", c.log)
	}
}
