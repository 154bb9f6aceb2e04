package trustdir

import (
	"errors"
	"math/rand/v2"
	"syscall"
	"testing"
	"time"

	"patchmesh/policy"
)

// history is three trusts in a row, made once: signing is the slow part.
func history(t testing.TB) (a, b, c, next *policy.Trust) {
	o := newOrg(t)
	a = o.trust
	b = o.approve(t0.Add(time.Hour))
	c = o.freshen(&policy.Roster{Org: "acme", Revoked: []policy.Revocation{{Peer: "p", At: t0, Until: t0.Add(time.Hour)}}}, t0.Add(2*time.Hour))
	return a, b, c, o.approve(t0.Add(3 * time.Hour))
}

// steps counts the mutating steps of keeping a trust after others.
func steps(t *testing.T, before []*policy.Trust, last *policy.Trust) int {
	t.Helper()
	disk, d := newMachine(t, before[0])
	for _, x := range before[1:] {
		if err := d.Keep(x, at(t0)); err != nil {
			t.Fatal(err)
		}
	}
	disk.step = 0
	if err := d.Keep(last, at(t0.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	return disk.step
}

// R12: the power fails before every single step of keeping a trust, and what was not synced is lost,
// all of it or in part. The machine starts with the set before or the one after, floors sound, and
// goes on.
func TestPowerLossAtEveryStepLeavesAStoreThatStarts(t *testing.T) {
	a, b, c, next := history(t)
	n := steps(t, []*policy.Trust{a, b}, c)
	variants := soak(6, 60)
	t.Logf("%d steps, %d outcomes each", n, variants)
	for k := 1; k <= n+1; k++ {
		for v := range variants {
			disk, d := newMachine(t, a)
			if err := d.Keep(b, at(t0)); err != nil {
				t.Fatal(err)
			}
			disk.step, disk.cutAt = 0, k
			kept := d.Keep(c, at(t0.Add(time.Hour))) == nil
			var luck *rand.Rand
			if v > 0 {
				luck = rand.New(rand.NewPCG(uint64(k), uint64(v)))
			}
			disk.powerCut(luck)
			d, r := recall(t, disk)
			if r.Lost != nil {
				t.Fatalf("step %d, outcome %d: %v", k, v, r.Lost)
			}
			got := r.Trust.HeadVersion()
			if got != c.HeadVersion() && (kept || got != b.HeadVersion()) {
				t.Fatalf("step %d, outcome %d: head %d, kept %v", k, v, got, kept)
			}
			if kept && !r.Clock.ProvenAt.Equal(t0.Add(time.Hour)) {
				t.Fatalf("step %d, outcome %d: proven at %s", k, v, r.Clock.ProvenAt)
			}
			if err := d.Keep(next, at(t0.Add(2*time.Hour))); err != nil {
				t.Fatalf("step %d, outcome %d: going on: %v", k, v, err)
			}
			disk.powerCut(nil)
			if _, r = recall(t, disk); r.Lost != nil || r.Trust.HeadVersion() != next.HeadVersion() {
				t.Fatalf("step %d, outcome %d: after going on: head %d, %v", k, v, r.Trust.HeadVersion(), r.Lost)
			}
		}
	}
}

// The same for the very first set, which init and join keep, and for the time alone.
func TestPowerLossDuringTheFirstSetAndTheTime(t *testing.T) {
	a, b, _, _ := history(t)
	for v := range soak(6, 100) {
		for k := 1; ; k++ {
			disk := newMemDisk()
			_ = disk.mkdirAll("/data")
			_ = disk.syncDir("/")
			disk.step, disk.cutAt = 0, k
			d, err := openOn("/data/trust", disk)
			if err == nil {
				err = d.Keep(a, at(t0))
			}
			disk.powerCut(rand.New(rand.NewPCG(uint64(k), uint64(v))))
			d, oerr := openOn("/data/trust", disk)
			if oerr != nil {
				t.Fatal(oerr)
			}
			if r, rerr := d.Recall(a.Files().Root); rerr == nil && err == nil && r.Lost != nil {
				t.Fatalf("step %d: kept, and yet %v", k, r.Lost)
			} else if rerr != nil {
				t.Fatalf("step %d: not even the given root: %v", k, rerr)
			}
			if kerr := d.Keep(b, at(t0)); kerr != nil {
				t.Fatalf("step %d: %v", k, kerr)
			}
			if err == nil {
				break
			}
		}
		for k := 1; ; k++ {
			disk, d := newMachine(t, a)
			disk.step, disk.cutAt = 0, k
			err := d.KeepTime(at(t0.Add(time.Hour)))
			disk.powerCut(rand.New(rand.NewPCG(uint64(k), uint64(v))))
			_, r := recall(t, disk)
			if r.Lost != nil || r.Clock.ProvenAt.Before(t0) || err == nil && r.Clock.ProvenAt.Equal(t0) {
				t.Fatalf("step %d of the time: %s, %v", k, r.Clock.ProvenAt, r.Lost)
			}
			if err == nil {
				break
			}
		}
	}
}

// R13: an error of the disk at every step, once or from then on. It is never acknowledged unless the
// set is safe, the machine goes on with what it had, a second attempt succeeds, and a power cut after
// either finds a whole set.
func TestDiskErrorAtEveryStepIsNeverAcknowledged(t *testing.T) {
	a, b, c, next := history(t)
	n := steps(t, []*policy.Trust{a, b}, c)
	points := 0
	for _, fault := range []struct {
		err  error
		long bool // until somebody makes room, not once
	}{{syscall.EIO, false}, {syscall.ENOSPC, true}, {syscall.EIO, true}, {syscall.ENOSPC, false}} {
		for k := 1; k <= n; k++ {
			for v := range soak(3, 20) {
				points++
				disk, d := newMachine(t, a)
				if err := d.Keep(b, at(t0)); err != nil {
					t.Fatal(err)
				}
				disk.step, disk.failAt, disk.err = 0, k, fault.err
				if fault.long {
					disk.until = 1 << 30
				}
				err := d.Keep(c, at(t0.Add(time.Hour)))
				if err != nil && !errors.Is(err, fault.err) {
					t.Fatalf("step %d, %v: %v", k, fault.err, err)
				}
				disk.failAt, disk.until = 0, 0
				if v%3 == 0 { // at once, in the same process
					if err := d.Keep(next, at(t0.Add(time.Hour))); err != nil {
						t.Fatalf("step %d, %v: second attempt: %v", k, fault.err, err)
					}
					disk.powerCut(nil)
					if _, r := recall(t, disk); r.Lost != nil || r.Trust.HeadVersion() != next.HeadVersion() {
						t.Fatalf("step %d, %v: head %d, %v", k, fault.err, r.Trust.HeadVersion(), r.Lost)
					}
					continue
				}
				disk.powerCut(rand.New(rand.NewPCG(uint64(k), uint64(v))))
				_, r := recall(t, disk)
				got := r.Trust.HeadVersion()
				if r.Lost != nil || got != c.HeadVersion() && (err == nil || got != b.HeadVersion()) {
					t.Fatalf("step %d, %v: head %d after %v, %v", k, fault.err, got, err, r.Lost)
				}
			}
		}
	}
	t.Logf("%d points", points)
}

// A disk that stays full for days is tried again and again: what failed attempts leave does not add up.
func TestFailedAttemptsLeaveNothingBehind(t *testing.T) {
	a, b, _, _ := history(t)
	disk, d := newMachine(t, a)
	disk.err, disk.until = syscall.ENOSPC, 1<<30
	n := steps(t, []*policy.Trust{a}, b)
	for k := 1; k <= n; k++ {
		for range 3 {
			disk.step, disk.failAt = 0, k
			_ = d.Keep(b, at(t0))
		}
		disk.failAt = 0
		names, _ := disk.names("/data/trust")
		if len(names) > 2+2+3+2 { // pointers, floors, sets, temporary files
			t.Fatalf("step %d: %v", k, names)
		}
		if d.saved == digest(b.Files()) {
			break // from here on the set is safe
		}
	}
}
