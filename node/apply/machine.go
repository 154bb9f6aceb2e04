package apply

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"time"

	"patchmesh/content/durable"
	"patchmesh/policy"
)

// Enrolment is who this machine is, as the apply role knows it. It is written once, when the machine
// is enrolled or its service is installed, by root; no message can change it.
type Enrolment struct {
	Format int      `json:"format"`
	Org    string   `json:"org"`
	ID     string   `json:"id"` // peer id
	Name   string   `json:"name"`
	Site   string   `json:"site"`
	Groups []string `json:"groups"`
	Root   string   `json:"root"` // content id of the root of trust that was pinned, for people to compare
}

const (
	enrolmentFormat = 1
	maxEnrolment    = 64 << 10
)

// ErrNotEnrolled: nobody has told this folder which machine it belongs to.
var ErrNotEnrolled = errors.New("the apply role does not know which machine this is")

// LoadEnrolment reads the file strictly. ErrNotEnrolled if there is none.
func LoadEnrolment(path string) (Enrolment, error) {
	var e Enrolment
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return e, ErrNotEnrolled
	}
	if err != nil {
		return e, fmt.Errorf("read enrolment: %w", err)
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxEnrolment+1))
	if err != nil {
		return e, fmt.Errorf("read enrolment: %w", err)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(&e); err != nil || len(b) > maxEnrolment || d.More() {
		return e, fmt.Errorf("enrolment %s is damaged: %w", path, errors.Join(err, policy.ErrFormat))
	}
	return e, e.check()
}

func (e Enrolment) check() error {
	if e.Format != enrolmentFormat || e.Org == "" || e.ID == "" || !policy.ValidName(e.Name) || !policy.ValidName(e.Site) {
		return fmt.Errorf("enrolment of %.40q: %w", e.Name, policy.ErrFormat)
	}
	for _, g := range e.Groups {
		if !policy.ValidName(g) {
			return fmt.Errorf("enrolment: group %.40q: %w", g, policy.ErrFormat)
		}
	}
	return nil
}

// Save makes the file durable.
func (e Enrolment) Save(path string) error {
	e.Format = enrolmentFormat
	if err := e.check(); err != nil {
		return err
	}
	b, err := json.MarshalIndent(e, "", "  ")
	if err != nil {
		return fmt.Errorf("encode enrolment: %w", err)
	}
	if err := durable.Replace(path, append(b, '\n')); err != nil {
		return fmt.Errorf("write enrolment: %w", err)
	}
	return nil
}

// Machine gives the facts that plans are made from.
func (e Enrolment) Machine(installers []string) policy.Machine {
	return policy.Machine{
		ID: e.ID, Name: e.Name, Site: e.Site, Groups: e.Groups, OS: runtime.GOOS, Arch: runtime.GOARCH, Zone: time.Local, Installers: installers, UserElsewhere: true,
	}
}
