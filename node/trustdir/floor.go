package trustdir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"patchmesh/content"
	"patchmesh/policy"
)

// The two copies of the floor. They are written one after the other, each synced before the next, so
// that no crash damages both.
var floorNames = []string{"floor", "floor.copy"}

// maxFloorBytes bounds a floor file: the root in base64, and the versions.
const maxFloorBytes = 1 << 20

// floorDoc is what a floor file holds: the floor, the time, and the root, from which a machine
// that has lost all its documents fetches them again.
type floorDoc struct {
	Number uint64            `json:"number"` // grows with every write
	Floor  policy.Floor      `json:"floor"`
	Clock  policy.ClockState `json:"clock"`
	Root   []byte            `json:"root"`
}

// encode writes the checksum of the document and, behind a line feed, the document. A time that no
// reader would take is an error.
func (f floorDoc) encode() ([]byte, error) {
	body, err := json.Marshal(f)
	return seal(body), err
}

func seal(body []byte) []byte { return fmt.Appendf(nil, "%s\n%s", content.Sum(body), body) }

// decodeFloor reads a floor file; any damage is ErrDamaged.
func decodeFloor(b []byte) (floorDoc, error) {
	var f floorDoc
	sum, body, found := bytes.Cut(b, []byte("\n"))
	if !found || content.Sum(body).String() != string(sum) {
		return f, fmt.Errorf("%w: the floor does not match its checksum", ErrDamaged)
	}
	d := json.NewDecoder(bytes.NewReader(body))
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return f, fmt.Errorf("%w: floor: %w", ErrDamaged, err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) || f.Number == 0 {
		return f, fmt.Errorf("%w: the floor is not as it is written", ErrDamaged)
	}
	if err := f.Floor.Valid(); err != nil {
		return f, fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return f, nil
}

// readFloor gives the newer of the sound copies, and how many there are.
func (d *Dir) readFloor() (best floorDoc, sound int, damage error) {
	for _, name := range floorNames {
		b, err := d.readLimited(d.join(name), maxFloorBytes)
		var f floorDoc
		if err == nil {
			f, err = decodeFloor(b)
		}
		if err != nil {
			damage = fmt.Errorf("%s: %w", name, err)
			continue
		}
		sound++
		if f.Number > best.Number {
			best = f
		}
	}
	return best, sound, damage
}

// writeFloor makes a floor durable, in both copies.
func (d *Dir) writeFloor(f floorDoc) error {
	f.Number = d.floor.Number + 1
	b, err := f.encode()
	if err != nil {
		return fmt.Errorf("encode floor: %w", err)
	}
	d.whole = false
	for _, name := range floorNames {
		if err := d.replace(name, b); err != nil {
			return err
		}
	}
	d.floor, d.whole = f, true
	return nil
}
