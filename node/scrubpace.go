package node

import "time"

// scrubPace says when the next chunk of the store is hashed again. It is plain arithmetic on the time that it
// is given, so that a test drives it through weeks in a moment.
type scrubPace struct {
	// Share of one core, and of the disk, that a scrub may take.
	share float64
	// Every is the time from the begin of one pass to the begin of the next.
	every time.Duration

	begunAt, endedAt time.Time
}

// The default: rot is found within a week by a twentieth of a core.
const (
	scrubShare = 0.05
	scrubEvery = 7 * 24 * time.Hour
	maxPause   = 10 * time.Second // a chunk that took very long on a loaded disk must not stop the pass
)

// due is how long to wait until a pass may begin; zero: now.
func (p *scrubPace) due(now time.Time) time.Duration {
	if p.begunAt.IsZero() || p.begunAt.After(now) { // never, or a clock that went back
		return 0
	}
	return max(p.begunAt.Add(p.every).Sub(now), 0)
}

func (p *scrubPace) begin(now time.Time) { p.begunAt = now }
func (p *scrubPace) end(now time.Time)   { p.endedAt = now }

// pause is how long to rest after a step that took so long, so that no more than the share is used.
func (p *scrubPace) pause(took time.Duration) time.Duration {
	return min(time.Duration(float64(max(took, 0))*(1/p.share-1)), maxPause)
}

// next is when the next pass is due; zero: at once.
func (p *scrubPace) next() time.Time {
	if p.begunAt.IsZero() {
		return time.Time{}
	}
	return p.begunAt.Add(p.every)
}
