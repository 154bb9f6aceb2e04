package trustdir

import (
	"errors"
	"fmt"
	"io/fs"
	"time"

	"patchmesh/policy"
)

// Recalled is what a machine believes when it starts.
type Recalled struct {
	// Trust is never nil. After the loss of all documents it is the root alone.
	Trust *policy.Trust
	// Clock is what was saved of the time; zero if it is lost.
	Clock policy.ClockState
	// Lost says what was missing or damaged; nil if everything is as it was saved. Until a Keep has
	// confirmed the mesh's present state, nothing new may be begun on what this machine remembers.
	Lost error
}

// Recall decides what to believe, from whatever a crash, a failing disk or a careless restore has
// left. It never begins again from nothing: what is missing is replaced by the next best proof.
//
//	floors   documents   believed
//	sound    sound       the documents
//	sound    lost        the root kept with the floors, and nothing below the floors; Lost
//	sound    older       the same: somebody has put old documents back
//	lost     sound       the documents, whose signed versions are the floor; Lost
//	lost     lost        the newest of the roots given that can be one; Lost. ErrEmpty or ErrDamaged without one
//
// An older state of the whole folder is sound in itself. It is believed, until the next head shows
// the mesh's present state; that head is newer than all of it, so it cannot be mistaken.
//
// Recall only reads, so whoever does not own the folder may call it too.
func (d *Dir) Recall(roots ...[]byte) (Recalled, error) {
	floor, sound, damage := d.readFloor()
	d.floor, d.whole, d.lost = floor, sound == len(floorNames), nil
	t, err := d.recallSet(floor.Floor)
	switch {
	case err == nil && sound > 0:
		return Recalled{Trust: t, Clock: floor.Clock}, nil
	case err == nil:
		d.lost = fmt.Errorf("the versions that this machine had trusted are lost: %w", damage)
	case sound > 0:
		d.lost = fmt.Errorf("the trusted documents are lost: %w", err)
		t = newestRoot(append([][]byte{floor.Root}, roots...))
	default:
		d.lost = fmt.Errorf("everything that this machine had trusted is lost: %w", err)
		t = newestRoot(roots)
	}
	if t == nil {
		return Recalled{}, err
	}
	if sound == 0 {
		d.floor = floorDoc{Floor: t.Floor(), Root: t.Files().Root}
	}
	return Recalled{Trust: t, Clock: d.floor.Clock, Lost: d.lost}, nil
}

// newestRoot picks the root of the highest version; nil if none of them is one.
func newestRoot(roots [][]byte) *policy.Trust {
	var best *policy.Trust
	for _, b := range roots {
		if t, err := policy.NewTrust(b); err == nil && (best == nil || t.RootVersion() > best.RootVersion()) {
			best = t
		}
	}
	return best
}

// recallSet finds the newest set of documents that is whole, verifies and is not below the floor.
func (d *Dir) recallSet(floor policy.Floor) (*policy.Trust, error) {
	sets, err := d.sets()
	for _, f := range sets {
		t, bad := d.Verify(f, time.Time{})
		if bad == nil {
			bad = floor.Check(t)
		}
		if bad == nil {
			if d.saved = ""; len(sets) == len(pointerNames) {
				d.saved = digest(f)
			}
			return t, nil
		}
		err = fmt.Errorf("%w: %w", ErrDamaged, bad)
	}
	return nil, err
}

// Verify is policy.OpenTrust, for documents of which Recall may just have verified the very same bytes.
func (d *Dir) Verify(f policy.Files, now time.Time) (*policy.Trust, error) {
	return d.opener.Open(f, now)
}

// Keep makes a verified trust durable: its documents, then both copies of the floor that it sets.
// When it returns nil, no crash can lose it. A trust below the floor is refused (policy.ErrRollback)
// and changes nothing. After any other error the one before is still there, and Keep may be called
// again. It ends what Recall has called lost.
func (d *Dir) Keep(t *policy.Trust, at policy.ClockState) error {
	if err := d.floor.Floor.Check(t); err != nil {
		return err
	}
	f := t.Files()
	if d.lost == nil && d.whole && d.saved == digest(f) && d.floor.Floor.Equal(t.Floor()) {
		return nil
	}
	if err := d.Save(f); err != nil {
		return err
	}
	if err := d.writeFloor(floorDoc{Floor: t.Floor(), Clock: d.floor.Clock.Max(at), Root: f.Root}); err != nil {
		return err
	}
	d.lost = nil
	d.opener.Verified(t) // what was there before is not kept in memory, and t not verified again
	return nil
}

// KeepTime makes the time durable, for the next start, and replaces a damaged copy of the floor. While
// something is lost it does nothing: a floor on disk would say that all is well.
func (d *Dir) KeepTime(at policy.ClockState) error {
	f := d.floor
	f.Clock = f.Clock.Max(at)
	if d.lost != nil || f.Number == 0 || d.whole && f.Clock == d.floor.Clock.Max(policy.ClockState{}) {
		return nil
	}
	return d.writeFloor(f)
}

// Lost says what Recall found missing and no Keep has replaced yet; nil if all is well.
func (d *Dir) Lost() error { return d.lost }

// sets reads the sets that the pointers name, the newest first; without any, the error says why.
func (d *Dir) sets() ([]policy.Files, error) {
	type numbered struct {
		p pointer
		f policy.Files
	}
	var found []numbered
	var damage error
	seen := 0
	for _, name := range pointerNames {
		p, err := d.readPointer(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		seen++
		if err != nil {
			damage = err
			continue
		}
		if len(found) > 0 && p == found[0].p { // both name one set, as they mostly do: of thousands of updates it is megabytes
			found = append(found, found[0])
			continue
		}
		f, err := d.readSet(p)
		if err != nil {
			damage = err
			continue
		}
		if len(found) > 0 && p.Number > found[0].p.Number {
			found = append([]numbered{{p, f}}, found...)
		} else {
			found = append(found, numbered{p, f})
		}
	}
	var out []policy.Files
	for _, x := range found {
		out = append(out, x.f)
	}
	if seen == 0 {
		return nil, ErrEmpty
	}
	if len(out) == 0 {
		return nil, fmt.Errorf("%w: %w", ErrDamaged, damage)
	}
	return out, nil
}
