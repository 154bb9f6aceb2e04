package restart

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"patchmesh/content/durable"
)

// note is one update that asked for a restart, and in which boot.
type note struct {
	Update string    `json:"update"`
	At     time.Time `json:"at"`
	Boot   string    `json:"boot"`
}

const (
	noteFile     = "restart.json" // below Keep
	maxNoteBytes = 1 << 20
	maxNotes     = 1000
)

// Note books that an update asked for a restart. It is durable when Note returns.
func (m *Machine) Note(update string) error {
	boot, err := m.bootName()
	if err != nil {
		return fmt.Errorf("note the restart for %s: %w", update, err)
	}
	notes, err := m.notes()
	if err != nil {
		return err
	}
	if slices.ContainsFunc(notes, func(n note) bool { return n.Update == update }) {
		return nil
	}
	if len(notes) >= maxNotes {
		return fmt.Errorf("note the restart for %s: %d updates wait for one already", update, len(notes))
	}
	return m.save(append(notes, note{Update: update, At: m.now(), Boot: boot}))
}

// Forget takes the note of an update back: it was rolled back, or removed.
func (m *Machine) Forget(update string) error {
	notes, err := m.notes()
	if err != nil {
		return err
	}
	n := len(notes)
	notes = slices.DeleteFunc(notes, func(n note) bool { return n.Update == update })
	if len(notes) == n {
		return nil
	}
	return m.save(notes)
}

func (m *Machine) now() time.Time {
	if m.Now == nil {
		return time.Now().UTC().Truncate(time.Second)
	}
	return m.Now().UTC().Truncate(time.Second)
}

// notes reads those of this boot. A damaged file says nothing: what it said is found by looking at the
// machine, and a machine that is not restarted does less harm than one that never stops being.
func (m *Machine) notes() ([]note, error) {
	f, err := os.Open(filepath.Join(m.Keep, noteFile))
	if errors.Is(err, fs.ErrNotExist) || m.Keep == "" {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read the notes of restarts: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxNoteBytes))
	if err != nil {
		return nil, fmt.Errorf("read the notes of restarts: %w", err)
	}
	notes := decodeNotes(b)
	boot, err := m.bootName()
	if err != nil {
		return nil, fmt.Errorf("read the notes of restarts: %w", err)
	}
	return slices.DeleteFunc(notes, func(n note) bool { return n.Boot != boot }), nil
}

func decodeNotes(b []byte) []note {
	var notes []note
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if d.Decode(&notes) != nil || len(notes) > maxNotes {
		return nil
	}
	for _, n := range notes {
		if n.Update == "" || len(n.Update) > 256 || strings.ContainsAny(n.Update, "\x00\n") {
			return nil
		}
	}
	return notes
}

func (m *Machine) save(notes []note) error {
	err := os.MkdirAll(m.Keep, 0o700)
	var b []byte
	if err == nil {
		b, err = json.Marshal(notes)
	}
	if err == nil {
		err = durable.Replace(filepath.Join(m.Keep, noteFile), b)
	}
	if err != nil {
		return fmt.Errorf("keep the notes of restarts: %w", err)
	}
	return nil
}

func (m *Machine) bootName() (string, error) {
	if m.boot != nil {
		return m.boot()
	}
	return bootName()
}
