package install

import (
	"context"
	"io"
	"time"

	"patchmesh/policy"
)

// Installer detects, installs and removes one kind of update. Methods are safe for concurrent use.
// Every error is *Error.
type Installer interface {
	// Kind is the name that descriptors use.
	Kind() string
	// Available says whether this machine has what the installer needs; nil if so.
	Available() error
	// Detect looks whether the update is there. It changes nothing and reads no payload.
	Detect(ctx context.Context, j Job) (Detection, error)
	// Install brings the update in. Present already is success without change. ErrVerify if the
	// payload is not the described one.
	Install(ctx context.Context, j Job) (Result, error)
	// Remove takes the update away. Absent already is success without change.
	Remove(ctx context.Context, j Job) (Result, error)
}

// Job is one update on this machine.
type Job struct {
	Root string // folder that stands for "/"; empty or "/" is this system
	Work string // private staging folder, made with mode 0700; must not be shared with other users
	// Keep is a private folder for what must outlive a restart: trials, previous payloads, logs. May be
	// empty: then nothing is kept.
	Keep string
	Spec Spec
	// Open reads the plain payload from the store. Only Install calls it. A reader that is Copied is
	// told what came of it.
	Open func() (io.ReadCloser, error)
	// Early may hold a copy of the payload that was made while it came. May be nil.
	Early *Early
	// Step notes durably how far the work is, before it goes on: StepStaged and so on. May be nil.
	Step func(step string) error
	// Free tells the free bytes of the disk that holds a path. May be nil: then a full disk is met
	// only when writing.
	Free func(path string) (int64, error)
}

// Copied is a payload that wants to know how the hash of the whole that was read from it came out.
type Copied interface {
	// Matched: it was the described one.
	Matched()
	// Recheck: it was not. It finds out what is wrong and has it repaired; nil: nothing is, now.
	Recheck() error
}

// Spec is what an installer reads of a descriptor.
type Spec struct {
	Update     string
	Revision   int
	Installer  string
	Args       map[string]string
	FileName   string
	SHA256     [32]byte // of the plain payload
	PlainBytes int64

	// Of packages; empty for other kinds. Arch is Go's name or the package system's; empty means any.
	Package, Version, Arch string

	// Signed rules; nil: the installer looks by itself, and nothing is probed.
	Applicable, Installed, Probe *policy.Condition
	ProbeTime                    time.Duration // how long the probe may take to hold
	MaxRun                       time.Duration // of a script; 0: unknown

	Before, After *policy.Hook // scripts around the install; nil: none
}

// Detection is what Detect found.
type Detection struct {
	Present bool
	Version string // what is there, present or not; empty if nothing or if the kind has no versions
	// Interrupted: an earlier install was cut off half-way; Install repairs it first.
	Interrupted bool
	Foreign     string // reason why it is not for this machine; empty: it is
	Detail      string // what a rule has seen, for people
}

// Result is what Install or Remove did.
type Result struct {
	Changed       bool   // false: it was as wanted before
	Version       string // what is there now
	RestartNeeded bool   // the system asks for a restart
	ExitCode      int    // of the tool, where one ran; may be other than 0 if the update is there all the same
	Log           string // end of the tool's output, at most 4 KiB, safe to print
}

// The steps of an install, in order. "planned" and "done" are its caller's.
const (
	StepStaged   = "staged"   // a verified copy lies ready
	StepStarted  = "started"  // the machine is being changed from here on
	StepExited   = "exited"   // the tool has ended
	StepVerified = "verified" // it was looked at again, and the update is there
	StepRollBack = "rolling back"
)

// step notes a step; a journal that cannot be written stops the work while it still can be stopped.
func (j Job) step(step string) error {
	if j.Step == nil {
		return nil
	}
	if err := j.Step(step); err != nil {
		return failed(ReasonDiskError, err, "note that %s is %s", j.Spec.Update, step)
	}
	return nil
}

// reserveBytes stay free on a disk that we write to: a machine with a full disk cannot even log why.
const reserveBytes = 16 << 20

// checkSpace refuses to begin writing needBytes to the disk that holds path if they will not fit, even without the copy
// that is made early of some payload.
func (j Job) checkSpace(path string, needBytes int64) error {
	if j.Free == nil {
		return nil
	}
	free, err := j.Free(path)
	if err == nil && free < needBytes+reserveBytes && j.Early != nil {
		j.Early.GiveUp()
		free, err = j.Free(path)
	}
	if err != nil || free >= needBytes+reserveBytes {
		return nil // unknown is no reason to refuse: writing will tell
	}
	e := failed(ReasonDiskShort, nil, "install %s below %s", j.Spec.Update, path)
	e.Facts = map[string]int64{factNeeded: needBytes + reserveBytes, factFree: free}
	return e
}
