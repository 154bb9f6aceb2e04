package install

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"time"

	"patchmesh/content/durable"
	"patchmesh/policy"
)

// agentInstaller updates patchmesh itself. The payload is its program; the descriptor names its version.
// Arguments:
//
//   - prove-seconds: how long the new program may take to prove itself, 60 if not given.
//   - os, arch: what the program is for, as Go names it; on any other machine the update is not applicable.
//   - allow-downgrade: true: a lower version than the present one is meant.
//
// The verified program is written into the slot that does not run, asked what it is, and then the pointer is
// turned to it. From there on the launcher is in charge (Slots): the processes of before end, it starts the
// new program, and puts the old one back if that does not say in time that it is well. Install waits for the
// outcome; where the process that waits is itself replaced, the next one takes the wait up.
type agentInstaller struct{}

func (agentInstaller) Kind() string { return "agent" }

func (agentInstaller) Available() error { return nil }

const (
	defaultProveSeconds = 60
	maxProveSeconds     = 3600
	helloWait           = time.Minute
	awaitEvery          = 100 * time.Millisecond
)

// AgentHello is what a program answers to the arguments HelloArgs.
type AgentHello struct {
	Patchmesh string `json:"patchmesh"` // "agent"
	Version   string `json:"version"`
	OS        string `json:"os"`
	Arch      string `json:"arch"`
}

// HelloArgs ask a program whether it is a patchmesh that can be launched, and which one.
var HelloArgs = []string{"launch", "--hello"}

// agentPlan is what a descriptor says.
type agentPlan struct {
	downgrade bool
	seconds   int
	os, arch  string // empty: not said
}

func (agentInstaller) check(s Spec) error {
	_, err := readAgent(s)
	return err
}

func readAgent(s Spec) (agentPlan, error) {
	p := agentPlan{seconds: defaultProveSeconds}
	deny := func(format string, a ...any) (agentPlan, error) {
		return agentPlan{}, failed(ReasonDenied, fmt.Errorf(format, a...), "read descriptor of %s", s.Update)
	}
	if _, err := parseVersion(s.Version); err != nil {
		return deny("it must say its version: %w", err)
	}
	if s.Installed != nil {
		return deny("an agent needs no installed rule: the pointer says which program runs")
	}
	for key, v := range s.Args {
		switch key {
		case "allow-downgrade":
			if p.downgrade = v == "true"; v != "true" && v != "false" {
				return deny("allow-downgrade is true or false")
			}
		case "prove-seconds":
			n, err := strconv.Atoi(v)
			if err != nil || n < 1 || n > maxProveSeconds {
				return deny("prove-seconds are 1 to %d", maxProveSeconds)
			}
			p.seconds = n
		case "os":
			p.os = v
		case "arch":
			p.arch = v
		default:
			return deny("argument %.40q is none of an agent's", key)
		}
	}
	return p, nil
}

func (j Job) agentSlots() *Slots {
	return AgentSlots(filepath.Join(j.rootPath(), filepath.FromSlash(AgentDir)))
}

// openAgent reads descriptor and pointer.
func openAgent(j Job) (plan agentPlan, s *Slots, p AgentPointer, err error) {
	if plan, err = readAgent(j.Spec); err != nil {
		return plan, nil, p, err
	}
	s = j.agentSlots()
	if p, err = s.Read(); err != nil {
		err = failed(ReasonMissing, err, "look which patchmesh runs")
	}
	return plan, s, p, err
}

// satisfies says whether a program is the one of a spec, or a newer one.
func (a AgentSlot) satisfies(s Spec, plan agentPlan) bool {
	if a.SHA256 == hex.EncodeToString(s.SHA256[:]) {
		return true
	}
	c, err := compareVersions(a.Version, s.Version) // a version for tests has no order: it is never newer
	return err == nil && (c == 0 || c > 0 && !plan.downgrade)
}

// of says whether an update brought the program.
func (a AgentSlot) of(s Spec) bool { return a.Update == s.Update && a.Revision == s.Revision }

// Detect reads the pointer. A program on trial is not there yet.
func (agentInstaller) Detect(_ context.Context, j Job) (Detection, error) {
	plan, _, p, err := openAgent(j)
	if err != nil {
		return Detection{}, err
	}
	d := Detection{Version: p.Current.Version}
	switch {
	case plan.os != "" && plan.os != runtime.GOOS:
		d.Foreign, d.Detail = string(policy.ReasonCompatOS), "for "+plan.os+", this machine runs "+runtime.GOOS
		return d, nil
	case plan.arch != "" && plan.arch != runtime.GOARCH:
		d.Foreign, d.Detail = string(policy.ReasonCompatArch), "for "+plan.arch+", this machine is "+runtime.GOARCH
		return d, nil
	}
	if p.Trial != nil {
		d.Version, d.Interrupted = p.Previous.Version, p.Trial.Update == j.Spec.Update
		return d, nil
	}
	d.Present = p.Current.satisfies(j.Spec, plan)
	return d, nil
}

// Install turns the pointer to the new program and waits until it has proved itself or was taken back.
func (i agentInstaller) Install(ctx context.Context, j Job) (Result, error) {
	plan, s, p, err := openAgent(j)
	if err != nil {
		return Result{}, err
	}
	if t := p.Trial; t != nil {
		if t.Update == j.Spec.Update && t.Revision == j.Spec.Revision && !t.Removing {
			return i.await(ctx, j, s, plan)
		}
		return Result{}, failed(ReasonLocked, fmt.Errorf("the program of %s is being tried", t.Update), "install %s", j.Spec.Update)
	}
	if p.Current.satisfies(j.Spec, plan) {
		return Result{Version: p.Current.Version}, nil
	}
	if told, err := tellFailure(j, s, p); told || err != nil {
		return Result{}, err
	}
	if c, err := compareVersions(j.Spec.Version, p.Current.Version); err == nil && c < 0 && !plan.downgrade {
		return Result{}, failed(ReasonDenied, fmt.Errorf("%s is older than %s", j.Spec.Version, p.Current.Version), "install %s", j.Spec.Update)
	}
	if err := ctx.Err(); err != nil {
		return Result{}, failed(ReasonTimeout, err, "install %s", j.Spec.Update)
	}
	next := AgentSlot{Slot: slotA, Version: j.Spec.Version, SHA256: hex.EncodeToString(j.Spec.SHA256[:]), Update: j.Spec.Update, Revision: j.Spec.Revision}
	if p.Current.Slot == slotA {
		next.Slot = slotB
	}
	if err := s.fill(j, next.Slot); err != nil {
		return Result{}, err
	}
	if err := j.step(StepStaged); err != nil {
		return Result{}, err
	}
	if err := i.greet(ctx, j, s.Program(next.Slot)); err != nil {
		return Result{}, err
	}
	if err := j.step(StepStarted); err != nil {
		return Result{}, err
	}
	if err := turn(j, s, p.Current, next, plan.seconds, false); err != nil {
		return Result{}, err
	}
	return i.await(ctx, j, s, plan)
}

// tellFailure says once that the launcher took this very update back; asked again, somebody wants it tried
// again.
func tellFailure(j Job, s *Slots, p AgentPointer) (told bool, err error) {
	f := p.Failed
	if f == nil || f.Told || f.Update != j.Spec.Update || f.Revision != j.Spec.Revision {
		return false, nil
	}
	err = s.change(func(now *AgentPointer) error {
		if now.Failed != nil {
			now.Failed.Told = true
		}
		return nil
	})
	if err != nil {
		return false, failed(ReasonDiskError, err, "note what came of %s", j.Spec.Update)
	}
	return true, failed(ReasonRolledBack, errors.New(f.Why), "install %s: version %s is back", j.Spec.Update, p.Current.Version)
}

// fill writes the verified program into a slot that does not run.
func (s *Slots) fill(j Job, slot string) error {
	path := s.Program(slot)
	if err := j.checkSpace(s.dir, j.Spec.PlainBytes); err != nil {
		return err
	}
	write := func() error {
		dir := filepath.Dir(path)
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := errors.Join(os.Chmod(dir, 0o755), os.RemoveAll(path+".new")); err != nil {
			return err
		}
		f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600) // nobody starts it before it is verified
		if err != nil {
			return err
		}
		defer os.Remove(path + ".new") // gone already on success
		err = copyVerified(&ahead{f: f}, j)
		if err == nil {
			err = f.Chmod(0o755)
		}
		if err == nil {
			err = f.Sync()
		}
		if cerr := f.Close(); err == nil {
			err = cerr
		}
		if err == nil {
			err = placeProgram(path+".new", path)
		}
		if err == nil {
			err = durable.Folder(dir)
		}
		if err == nil {
			err = durable.Folder(s.dir)
		}
		return err
	}
	if err := write(); err != nil {
		return writeError(err, j, "write the program of %s", j.Spec.Update)
	}
	return nil
}

// greet asks the verified program what it is, before anything depends on it: one for another system, or of
// another version than its descriptor says, is found out here.
func (agentInstaller) greet(ctx context.Context, j Job, path string) error {
	if err := privateFolder(j.Work); err != nil {
		return failed(ReasonDenied, err, "ask the program of %s", j.Spec.Update)
	}
	dir, err := os.MkdirTemp(j.Work, "hello-*")
	if err != nil {
		return writeError(err, j, "ask the program of %s", j.Spec.Update)
	}
	defer os.RemoveAll(dir)
	run := program{path: path, args: slices.Clone(HelloArgs), dir: dir, most: helloWait, env: programEnvironment("TMPDIR=" + dir)}
	code, output, err := run.unbusy(ctx)
	var got AgentHello
	switch {
	case err != nil:
	case code != 0:
		err = errors.New("it does not say what it is")
	case json.Unmarshal(output, &got) != nil || got.Patchmesh != "agent":
		err = errors.New("it is no patchmesh that can be launched")
	case got.Version != j.Spec.Version || got.OS != runtime.GOOS || got.Arch != runtime.GOARCH:
		err = fmt.Errorf("it is version %.60q for %.20s/%.20s", got.Version, got.OS, got.Arch)
	default:
		return nil
	}
	e := failed(ReasonExit, err, "ask the program of %s", j.Spec.Update)
	e.ExitCode, e.Log = code, tail(output)
	return e
}

// turn is the one moment at which another program becomes the current one.
func turn(j Job, s *Slots, was, next AgentSlot, seconds int, removing bool) error {
	err := s.change(func(p *AgentPointer) error {
		if p.Current != was || p.Trial != nil {
			return errors.New("the pointer was turned by somebody else")
		}
		p.Current, p.Previous, p.Failed = next, was, nil
		p.Trial = &AgentTrial{Update: j.Spec.Update, Revision: j.Spec.Revision, Seconds: seconds, Removing: removing}
		return nil
	})
	if err != nil {
		return failed(ReasonDiskError, err, "let %s run", j.Spec.Update)
	}
	return nil
}

// await waits for the launcher's word. A launcher that does nothing at all, because the processes of before
// do not end, is not waited for without end.
func (agentInstaller) await(ctx context.Context, j Job, s *Slots, plan agentPlan) (Result, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Duration(MaxAgentStarts*plan.seconds)*time.Second+5*time.Minute)
	defer cancel()
	for {
		p, err := s.Read()
		switch {
		case err != nil:
			return Result{}, failed(ReasonDiskError, err, "wait for %s to prove itself", j.Spec.Update)
		case p.Trial != nil:
		case p.Current.satisfies(j.Spec, plan):
			if err := j.step(StepExited); err != nil {
				return Result{}, err
			}
			return Result{Changed: true, Version: p.Current.Version}, j.step(StepVerified)
		default:
			if told, err := tellFailure(j, s, p); told || err != nil {
				return Result{}, err
			}
			return Result{}, failed(ReasonUndetected, fmt.Errorf("%s runs", p.Current.Version), "verify %s", j.Spec.Update)
		}
		if !sleep(ctx, awaitEvery) {
			return Result{}, failed(ReasonTimeout, ctx.Err(), "wait for %s to prove itself", j.Spec.Update)
		}
	}
}

// Remove lets the program of before run again, which has to prove itself like any other.
func (i agentInstaller) Remove(ctx context.Context, j Job) (Result, error) {
	plan, s, p, err := openAgent(j)
	if err != nil {
		return Result{}, err
	}
	t := p.Trial
	switch {
	case t != nil && t.Removing && t.Update == j.Spec.Update:
		return i.awaitRemoval(ctx, j, s)
	case t != nil:
		return Result{}, failed(ReasonLocked, fmt.Errorf("the program of %s is being tried", t.Update), "remove %s", j.Spec.Update)
	case !p.Current.of(j.Spec):
		return Result{}, nil
	}
	to := p.Previous
	if to.Slot != slotA && to.Slot != slotB {
		to = p.Base
	} else if sum, err := FileSHA256(s.Program(to.Slot)); err != nil || sum != to.SHA256 {
		to = p.Base
	}
	if to.SHA256 == "" {
		return Result{}, failed(ReasonMissing, errors.New("no program of before is left"), "remove %s", j.Spec.Update)
	}
	if err := turn(j, s, p.Current, to, plan.seconds, true); err != nil {
		return Result{}, err
	}
	return i.awaitRemoval(ctx, j, s)
}

func (agentInstaller) awaitRemoval(ctx context.Context, j Job, s *Slots) (Result, error) {
	for {
		p, err := s.Read()
		switch {
		case err != nil:
			return Result{}, failed(ReasonDiskError, err, "remove %s", j.Spec.Update)
		case p.Trial != nil:
		case !p.Current.of(j.Spec):
			return Result{Changed: true, Version: p.Current.Version}, nil
		default:
			why := errors.New("the program of before does not run")
			if p.Failed != nil {
				why = errors.New(p.Failed.Why)
			}
			return Result{}, failed(ReasonUndetected, why, "remove %s", j.Spec.Update)
		}
		if !sleep(ctx, awaitEvery) {
			return Result{}, failed(ReasonTimeout, ctx.Err(), "remove %s", j.Spec.Update)
		}
	}
}

// Rollback implements Rollbacker, for a health probe that failed after the program had proved itself.
func (i agentInstaller) Rollback(ctx context.Context, j Job, _ string) (Result, error) {
	return i.Remove(ctx, j)
}
