package node

import (
	"runtime/debug"
	"sync"
	"time"

	"patchmesh/policy"
)

// trustClock is the clock that everything in the node reads once the trust folder is open: the wall
// clock, but never behind what policy.Clock calls proven. It never goes back and never stands still:
// retries, leases and deadlines are counted in it. Where the wall clock was set back, it goes on at half
// speed until the wall clock has caught up.
type trustClock struct {
	wall func() time.Time
	mono func() time.Time // the computer's monotonic clock, which nobody can set

	mu    sync.Mutex
	c     policy.Clock
	last  time.Time // by mono
	shown time.Time // what was read last
}

// newTrustClock begins with the time that was saved, zero if none was, and the age of the program.
func newTrustClock(wall func() time.Time, saved policy.ClockState) *trustClock {
	return &trustClock{wall: wall, mono: time.Now, c: policy.NewClock(saved, builtAt()), last: time.Now()}
}

// builtAt is when the program's source was committed; zero if the build does not say.
func builtAt() time.Time {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return time.Time{}
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.time" {
			at, _ := time.Parse(time.RFC3339, s.Value)
			return at
		}
	}
	return time.Time{}
}

// now is the time to judge by.
func (k *trustClock) now() time.Time {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.read()
}

func (k *trustClock) read() time.Time {
	t := k.mono()
	passed := max(t.Sub(k.last), 0)
	k.last = t
	k.c.Pass(passed)
	at := k.c.Read(k.wall())
	if on := k.shown.Add(passed / 2); on.After(at) && !k.shown.IsZero() {
		at = on
	}
	k.shown = at
	return at
}

// learn takes the times of a verified trust.
func (k *trustClock) learn(t *policy.Trust) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.c.Learn(t)
}

// state is what is saved for the next start.
func (k *trustClock) state() policy.ClockState {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.read()
	return k.c.State()
}

// behind is by how much the wall clock is wrong for certain; zero if it may be right.
func (k *trustClock) behind() time.Duration {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.read()
	return k.c.Behind(k.wall())
}
