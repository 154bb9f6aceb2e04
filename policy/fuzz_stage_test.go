package policy

import (
	"maps"
	"slices"
	"testing"
)

// The fuzz targets that walk along signed documents hold the walk as it stands before each of them,
// made once with real signatures, and copy it: what an input changes is verified as always, what stands
// before it is not verified again.

// fork copies a walk, so that the copy may go on by itself.
func (r *Refresh) fork() *Refresh {
	c, tm := *r, *r.tm
	tm.Targets = maps.Clone(r.tm.Targets)
	c.tm = &tm
	c.delegates = slices.Clone(r.delegates)
	for i, g := range c.delegates {
		own := *g
		c.delegates[i] = &own
	}
	return &c
}

// stages is a walk as it stands before each document that it needs, with the right document. give has
// them by role; none is an answer too, for a root.
func stages(t testing.TB, r *Refresh, give map[string][]byte) (at []*Refresh, docs [][]byte) {
	t.Helper()
	for {
		need, more := r.Need()
		if !more {
			break
		}
		at, docs = append(at, r.fork()), append(docs, give[need.Role])
		if err := r.Supply(give[need.Role]); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := r.Result(); err != nil {
		t.Fatal(err)
	}
	return at, docs
}

// finish supplies a document at a stage and the right ones after it.
func finish(r *Refresh, b []byte, rest [][]byte) (*Trust, error) {
	r = r.fork()
	if err := r.Supply(b); err != nil {
		return r.Result()
	}
	for _, doc := range rest {
		if _, more := r.Need(); !more {
			break
		}
		if err := r.Supply(doc); err != nil {
			break
		}
	}
	return r.Result()
}

// at gives a client that has verified what stands before a role, as it goes on from there.
func (c *TUFClient) at(role string) *TUFClient {
	d := &TUFClient{now: c.now, all: c.all, root: c.root, targets: map[string][]byte{}}
	if role == "timestamp" {
		d.fetchTimestamp()
		return d
	}
	d.timestamp = c.timestamp
	if role == "snapshot" {
		d.timestampDone()
		return d
	}
	d.snapshot = c.snapshot
	d.loadTargets()
	return d
}
