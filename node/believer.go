package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"patchmesh/node/enrol"
	"patchmesh/node/trustdir"
	"patchmesh/policy"
)

// believer guards what this node trusts: the verified set, on disk and in memory, the newest head
// whose signature holds, and the time to judge all of it by.
type believer struct {
	dir   *trustdir.Dir
	clock *trustClock
	certs enrol.Proofs // of members

	mu    sync.Mutex // also guards dir
	trust *policy.Trust
	head  []byte // signed timestamp, newest verified; nil while there is none
	headV int64
	// adoptedAt is when trust was adopted by this run of the program; zero if loaded from disk.
	adoptedAt time.Time
	// lost says what was damaged on disk, until a head from the mesh has been adopted.
	lost error
}

// openBeliever recalls and verifies what is on disk. Roots are those that this machine has trusted,
// kept elsewhere: the last resort when the whole folder is gone.
func openBeliever(path string, wall func() time.Time, roots ...[]byte) (*believer, error) {
	dir, err := trustdir.Open(path)
	if err != nil {
		return nil, err
	}
	r, err := dir.Recall(roots...)
	if err != nil {
		return nil, fmt.Errorf("trusted documents: %w", err)
	}
	b := &believer{
		dir: dir, clock: newTrustClock(wall, r.Clock), trust: r.Trust,
		head: r.Trust.Files().Timestamp, headV: r.Trust.HeadVersion(), lost: r.Lost,
	}
	b.clock.learn(r.Trust)
	return b, nil
}

// current is the trust in force. It never changes in place.
func (b *believer) current() *policy.Trust {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.trust
}

// newestHead is the newest head heard, with its version; nil if none was.
func (b *believer) newestHead() ([]byte, int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.head, b.headV
}

// newer keeps a head that was judged by a root, unless a newer root has come meanwhile: its keys may be
// those of before.
func (b *believer) newer(head []byte, version, root int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if version > b.headV && root == b.trust.RootVersion() {
		b.head, b.headV = head, version
	}
}

// believable is what counts of the head version in a hello: no more than this machine has seen signed, with
// the version of the root that it was judged by. A liar's would have it ask everybody for a head that does not
// exist, for ever; who has a newer one sends it at once.
func (b *believer) believable(version int64) (head, root int64) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return min(version, b.headV), b.trust.RootVersion()
}

// missing says what was lost on disk and not confirmed by the mesh since; nil if nothing is.
func (b *believer) missing() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.lost
}

// shown is the head version that this node names to others: none while it has something to catch up
// on, so that everybody who has a head shows it.
func (b *believer) shown() int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost != nil {
		return 0
	}
	return b.trust.HeadVersion()
}

// adopt makes a new trust durable and then current. One that is not newer is left alone. A newer root
// may come with lower versions: its online keys are new, and those of a thief no longer bind.
func (b *believer) adopt(t *policy.Trust, now time.Time) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	newRoot := t.RootVersion() > b.trust.RootVersion()
	if t.HeadVersion() < b.trust.HeadVersion() && !newRoot {
		return nil
	}
	b.clock.learn(t)
	if err := b.dir.Keep(t, b.clock.state()); err != nil {
		return err
	}
	b.trust, b.adoptedAt, b.lost = t, now, nil
	if t.HeadVersion() >= b.headV || newRoot {
		b.head, b.headV = t.Files().Timestamp, t.HeadVersion()
	}
	return nil
}

// keepTimeEvery is how much proven time a power cut may cost.
const keepTimeEvery = 10 * time.Minute

// keepTime saves the proven time now and then, and when the node stops.
func (b *believer) keepTime(ctx context.Context, log *slog.Logger) {
	for {
		b.mu.Lock()
		err := b.dir.KeepTime(b.clock.state())
		left := b.trust.ExpiresAt().Sub(b.clock.now())
		b.mu.Unlock()
		if err != nil {
			log.Warn("the proven time was not saved", "err", err)
		}
		if ctx.Err() != nil {
			return
		}
		wait := keepTimeEvery
		if left += 2 * time.Second; left > 0 && left < wait { // that they have expired is kept at once
			wait = left
		}
		select {
		case <-ctx.Done():
		case <-time.After(wait):
		}
	}
}

// trouble is what people must know of trust and time, worst first; nil if all is well.
func (b *believer) trouble(now time.Time, late time.Duration) *trouble {
	b.mu.Lock()
	t, lost, since := b.trust, b.lost, b.adoptedAt
	b.mu.Unlock()
	behind := b.clock.behind()
	switch {
	case lost != nil:
		return &trouble{policy.ReasonTrustFloorRebuilt, lost.Error()}
	case t.Stale(now.Add(-late)):
		return &trouble{policy.ReasonTrustStale, "the approvals have expired and were not renewed"}
	case behind > 0:
		return &trouble{policy.ReasonClockBehind, fmt.Sprintf("the clock is %s behind what signed documents and the program's own run prove", behind.Round(time.Hour))}
	}
	if at := t.AgeingAt(since); !at.IsZero() && now.After(at) {
		return &trouble{policy.ReasonTrustAgeing, fmt.Sprintf("no newer approvals were heard of for half of their life; they expire at %s", t.ExpiresAt().UTC().Format(time.RFC3339))}
	}
	return nil
}

// errNoHead: documents were lost and nobody has shown a head yet, so there is nothing to ask for.
var errNoHead = errors.New("no head was shown yet")
