package install

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"patchmesh/content/durable"
)

// Slots is the folder from which the launcher starts patchmesh: two slots for programs that updates bring,
// and one small file, the pointer, which is replaced as a whole. Whatever is cut off, the pointer names a
// program that is whole; where it does not, the launcher's own program runs.
//
//	base ── the program that people installed; it is also the launcher, and no update writes it
//	a, b ── programs of updates; only the one that the pointer does not name is ever written
type Slots struct{ dir string }

// The names of slots.
const (
	SlotBase = "base"
	slotA    = "a"
	slotB    = "b"
)

// AgentSlot is one program.
type AgentSlot struct {
	Slot     string `json:"slot"`
	Version  string `json:"version"`
	SHA256   string `json:"sha256"` // of the program, hex
	Update   string `json:"update,omitempty"`
	Revision int    `json:"revision,omitempty"`
}

// AgentPointer is what the pointer says. The zero value names nothing.
type AgentPointer struct {
	Format   int       `json:"format"`
	Base     AgentSlot `json:"base"`
	Current  AgentSlot `json:"current"`
	Previous AgentSlot `json:"previous"` // what runs again if Current does not prove itself
	// Trial: Current has not proved itself yet. It does so within Seconds, or Previous is put back.
	Trial *AgentTrial `json:"trial,omitempty"`
	// Failed is the last program that did not prove itself, until it is tried again.
	Failed *AgentFailure `json:"failed,omitempty"`
}

// AgentTrial is the time in which a program has to prove itself.
type AgentTrial struct {
	Update   string `json:"update"`
	Revision int    `json:"revision"`
	Seconds  int    `json:"seconds"`
	Starts   int    `json:"starts"` // how often the launcher has begun with it
	Removing bool   `json:"removing,omitempty"`
}

// AgentFailure says why a program was taken back.
type AgentFailure struct {
	Update   string `json:"update"`
	Revision int    `json:"revision"`
	Version  string `json:"version"`
	Why      string `json:"why"`
	Told     bool   `json:"told,omitempty"` // whoever had asked for it knows
}

const (
	pointerFormat   = 1
	pointerName     = "agent.json"
	maxPointerBytes = 64 << 10
	// MaxAgentStarts is how often a program in its trial is started: a machine that loses its power just
	// then is no reason to give it up, a program that takes the machine down is.
	MaxAgentStarts = 5
	slotLockWait   = 10 * time.Second
)

// ErrNoSlots: patchmesh was not set up to be started by a launcher here.
var ErrNoSlots = errors.New("patchmesh is not started by a launcher on this machine")

// AgentSlots are the slots of a folder. Nothing is looked at yet.
func AgentSlots(dir string) *Slots { return &Slots{dir: dir} }

// Program is the file of a slot of updates.
func (s *Slots) Program(slot string) string {
	name := "patchmesh"
	if runtime.GOOS == "windows" {
		name += ".exe"
	}
	return filepath.Join(s.dir, slot, name)
}

// Prepare makes the folder and lets base be what runs, unless something runs already. base names its
// version and hash. Done again it only notes another base.
func (s *Slots) Prepare(base AgentSlot) error {
	base.Slot = SlotBase
	if err := os.MkdirAll(s.dir, 0o755); err != nil {
		return fmt.Errorf("make folder %s: %w", s.dir, err)
	}
	if err := os.Chmod(s.dir, 0o755); err != nil { // whatever the umask: the net role starts programs from it
		return fmt.Errorf("make folder %s: %w", s.dir, err)
	}
	if p, err := s.Read(); err == nil && p.Base == base {
		return nil
	}
	return s.change(func(p *AgentPointer) error {
		p.rebase(base)
		return nil
	})
}

// rebase notes that people have installed another base: it runs if it is newer than what updates brought.
func (p *AgentPointer) rebase(base AgentSlot) {
	was := p.Base
	p.Base = base
	if p.Previous.Slot == SlotBase {
		p.Previous = base
	}
	if newer, err := compareVersions(base.Version, p.Current.Version); p.Current.Slot == SlotBase || p.Current.Slot == "" ||
		was.SHA256 != "" && was.SHA256 != base.SHA256 && err == nil && newer > 0 {
		p.Current, p.Previous, p.Trial = base, AgentSlot{}, nil
	}
}

// Read reads the pointer. ErrNoSlots if there is none.
func (s *Slots) Read() (AgentPointer, error) {
	var p AgentPointer
	var f *os.File
	err := unlessBusy(func() (err error) { f, err = os.Open(filepath.Join(s.dir, pointerName)); return err })
	if errors.Is(err, fs.ErrNotExist) {
		return p, ErrNoSlots
	}
	if err != nil {
		return p, fmt.Errorf("read the agent's pointer: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxPointerBytes+1))
	if err != nil {
		return p, fmt.Errorf("read the agent's pointer: %w", err)
	}
	return decodePointer(b)
}

func decodePointer(b []byte) (AgentPointer, error) {
	var p AgentPointer
	if len(b) > maxPointerBytes {
		return p, errors.New("read the agent's pointer: it is too long")
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&p); err != nil {
		return AgentPointer{}, fmt.Errorf("read the agent's pointer: %w", err)
	}
	for _, x := range []AgentSlot{p.Base, p.Current, p.Previous} {
		switch x.Slot { // these become part of a path
		case "", SlotBase, slotA, slotB:
		default:
			return AgentPointer{}, fmt.Errorf("read the agent's pointer: slot %.20q", x.Slot)
		}
	}
	if p.Format != pointerFormat || p.Current.Slot == "" || p.Trial != nil && (p.Previous.Slot == "" || p.Trial.Seconds < 1 || p.Trial.Seconds > maxProveSeconds) {
		return AgentPointer{}, errors.New("read the agent's pointer: it is not whole")
	}
	return p, nil
}

// change replaces the pointer by what f makes of it, alone and in one step. A pointer that cannot be read
// is given to f as if there were none.
func (s *Slots) change(f func(*AgentPointer) error) error {
	fi, err := os.Lstat(s.dir)
	if err == nil && !fi.IsDir() {
		err = fmt.Errorf("%s is not a folder", s.dir)
	}
	if err == nil {
		err = checkOurs(s.dir, fi)
	}
	if err != nil {
		return fmt.Errorf("the agent's folder: %w", err)
	}
	lock, err := s.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	p, err := s.Read()
	if err != nil {
		p = AgentPointer{}
	}
	if err := f(&p); err != nil {
		return err
	}
	p.Format = pointerFormat
	b, err := json.Marshal(p)
	if err == nil {
		err = unlessBusy(func() error { return durable.ReplaceReadable(filepath.Join(s.dir, pointerName), b) })
	}
	if err != nil {
		return fmt.Errorf("write the agent's pointer: %w", err)
	}
	return nil
}

// lock waits for whoever changes the pointer now: the launcher may give a program up in the very moment
// in which it proves itself, and one of the two must count.
func (s *Slots) lock() (*os.File, error) {
	for end := time.Now().Add(slotLockWait); ; {
		f, ok, err := lockRun(s.dir)
		if err != nil {
			return nil, fmt.Errorf("lock the agent's folder: %w", err)
		}
		if ok {
			return f, nil
		}
		if time.Now().After(end) {
			return nil, errors.New("lock the agent's folder: somebody else holds it")
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// Choose says which program to run now: the current one, where its bytes are what the pointer says, else
// the one of before, else base, whose program is the caller's own.
func (s *Slots) Choose() (AgentSlot, string) {
	p, err := s.Read()
	if err != nil {
		return AgentSlot{Slot: SlotBase}, ""
	}
	for _, x := range []AgentSlot{p.Current, p.Previous} {
		if x.Slot == slotA || x.Slot == slotB {
			if sum, err := FileSHA256(s.Program(x.Slot)); err == nil && sum == x.SHA256 {
				return x, s.Program(x.Slot)
			}
			continue
		}
		break
	}
	return p.Base, ""
}

// FileSHA256 hashes a file, hex.
func FileSHA256(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}

// ErrNotOnTrial: another program than the one that speaks is on trial, or none.
var ErrNotOnTrial = errors.New("this program is not on trial")

// Start counts one more start of the program on trial; too many are a failure, and then Previous is put
// back. trial is what is on trial after that; nil: nothing.
func (s *Slots) Start() (trial *AgentTrial, err error) {
	err = s.change(func(p *AgentPointer) error {
		if p.Trial == nil {
			return ErrNotOnTrial
		}
		if p.Trial.Starts++; p.Trial.Starts > MaxAgentStarts {
			p.back(fmt.Sprintf("it was started %d times and never said that it is well", MaxAgentStarts))
		}
		trial = p.Trial
		return nil
	})
	return trial, err
}

// Prove ends the trial of the program with this hash: it runs, and is well.
func (s *Slots) Prove(sum string) error {
	return s.change(func(p *AgentPointer) error {
		if p.Trial == nil || p.Current.SHA256 != sum {
			return ErrNotOnTrial
		}
		p.Trial = nil
		return nil
	})
}

// GiveUp puts Previous back, unless the program has proved itself meanwhile (ErrNotOnTrial).
func (s *Slots) GiveUp(sum, why string) error {
	return s.change(func(p *AgentPointer) error {
		if p.Trial == nil || p.Current.SHA256 != sum {
			return ErrNotOnTrial
		}
		p.back(why)
		return nil
	})
}

// back is the one way back: the pointer is swapped, and says why.
func (p *AgentPointer) back(why string) {
	p.Failed = &AgentFailure{Update: p.Trial.Update, Revision: p.Trial.Revision, Version: p.Current.Version, Why: why}
	p.Current, p.Previous, p.Trial = p.Previous, AgentSlot{}, nil
}

// Mend turns a pointer whose program is damaged on disk to one that is whole; nothing is done to any other.
func (s *Slots) Mend() error {
	p, err := s.Read()
	if err != nil {
		return err
	}
	chosen, _ := s.Choose()
	if chosen == p.Current {
		return nil
	}
	return s.change(func(now *AgentPointer) error {
		if now.Current != p.Current {
			return nil // turned meanwhile
		}
		if now.Trial == nil {
			now.Trial = &AgentTrial{Update: now.Current.Update, Revision: now.Current.Revision}
		}
		now.Previous = chosen
		now.back("its program was damaged on disk")
		return nil
	})
}
