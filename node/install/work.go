package install

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/policy"
)

// Rollbacker is an installer that can bring back what was there before Install.
type Rollbacker interface {
	// Rollback puts the machine back: to that version, or to nothing if it is empty. It may be called
	// again after it was cut off. The package must be what Install left.
	Rollback(ctx context.Context, j Job, before string) (Result, error)
}

// undoer is a Rollbacker whose installs are rolled back when they fail half-way, probe or not: what they
// leave is worse than what was there.
type undoer interface {
	Rollbacker
	undoesFailures()
}

// onTrial: what is there before an install is noted, so that it can be brought back.
func (j Job) onTrial(i Installer) bool {
	_, undoes := i.(undoer)
	return j.Spec.Probe != nil || undoes || j.Spec.After != nil
}

// mayUndo: an install that fails half-way is rolled back.
func (j Job) mayUndo(i Installer) bool {
	_, undoes := i.(undoer)
	return j.Spec.Probe != nil || undoes
}

// probeEvery is the pause between two looks of a health probe: services take a moment to start.
const probeEvery = time.Second

// Look detects an update as its descriptor asks: by the signed rules where it has some, else as its
// installer does. What cannot be found out is an error with its reason, never a guess. An update whose
// health probe is outstanding, because a crash came before it, does not count as present.
func Look(ctx context.Context, i Installer, j Job) (Detection, error) {
	d, err := present(ctx, i, j)
	if err != nil {
		return Detection{}, err
	}
	if d.Present {
		if _, open := j.openTrial(); open && (j.Spec.Probe != nil || j.Spec.After != nil) {
			d.Present, d.Interrupted = false, true
		}
		return d, nil
	}
	if _, open := j.openTrial(); !open && j.Spec.Applicable != nil {
		a := Evaluate(ctx, j, j.Spec.Applicable)
		if a.Truth == policy.Uncertain {
			return Detection{}, uncertain(j, "whether it is for this machine", a)
		}
		if a.Truth == policy.No {
			d.Foreign, d.Detail = string(cmp.Or(a.Reason, policy.ReasonCompatEdition)), a.Detail
		}
	}
	return d, nil
}

func present(ctx context.Context, i Installer, j Job) (Detection, error) {
	if j.Spec.Installed == nil {
		return i.Detect(ctx, j)
	}
	a := Evaluate(ctx, j, j.Spec.Installed)
	if a.Truth == policy.Uncertain {
		return Detection{}, uncertain(j, "whether it is installed", a)
	}
	return Detection{Present: a.Truth == policy.Yes, Detail: a.Detail}, nil
}

func uncertain(j Job, what string, a policy.Answer) *Error {
	return failed(string(cmp.Or(a.Reason, policy.ReasonVerifyNotDetected)), errors.New(a.Detail), "find out of %s %s", j.Spec.Update, what)
}

// Bring installs an update, looks whether it is there, asks its health probe, and rolls back if the
// probe does not hold in its time: then the error has ReasonRolledBack, or ReasonProbe if even that
// did not work.
func Bring(ctx context.Context, i Installer, j Job) (Result, error) {
	if j.Spec.Applicable == nil && j.Spec.Installed == nil && j.Spec.Before == nil && !j.onTrial(i) {
		return i.Install(ctx, j) // which looks by itself, before and after
	}
	t, open := j.openTrial()
	if open && t.Failed != "" { // cut off while rolling back: that is finished, nothing is installed
		return Result{}, j.rollBack(ctx, i, t, "")
	}
	if !open {
		seen, err := Look(ctx, i, j)
		switch {
		case err != nil:
			return Result{}, err
		case seen.Foreign != "":
			return Result{}, failed(seen.Foreign, errors.New(seen.Detail), "install %s: it is not for this machine", j.Spec.Update)
		case seen.Present:
			return Result{Version: seen.Version}, nil
		}
		if t, err = j.beginTrial(ctx, i); err != nil {
			return Result{}, err
		}
	}
	res, err := j.bringHooked(ctx, i)
	if err == nil && res.RestartNeeded {
		return res, nil // what is in use is replaced by the restart: a trial stays open, and is ended after it
	}
	if err == nil {
		err = verify(ctx, i, j)
	}
	if err != nil {
		return res, j.afterFailure(ctx, i, t, err)
	}
	hooked := j.afterHook(ctx, &res)
	if j.Spec.Probe == nil {
		if hooked != nil {
			return res, hooked
		}
		return res, j.endTrial()
	}
	if a := waitFor(ctx, j, j.Spec.Probe, j.Spec.ProbeTime); a.Truth != policy.Yes {
		if ctx.Err() != nil { // nobody waits any more: the trial stays open and is taken up again
			return res, failed(ReasonTimeout, ctx.Err(), "ask the health probe of %s", j.Spec.Update)
		}
		return res, j.giveUp(ctx, i, t, fmt.Errorf("the health probe did not hold within %s: %s", j.Spec.ProbeTime, a.Detail), res.Log)
	}
	if hooked != nil { // the trial stays open: the script runs again with the next try
		return res, hooked
	}
	return res, j.endTrial()
}

// verify looks again after an install: what is there counts. Where there is no rule for it, the
// installer has looked already.
func verify(ctx context.Context, i Installer, j Job) error {
	if j.Spec.Installed == nil {
		return nil
	}
	d, err := present(context.WithoutCancel(ctx), i, j)
	if err == nil && !d.Present {
		err = failed(ReasonUndetected, errors.New(cmp.Or(d.Detail, "the installer was content, but it is not there")), "verify %s", j.Spec.Update)
	}
	return err
}

// waitFor asks a condition until it holds or its time is up.
func waitFor(ctx context.Context, j Job, c *policy.Condition, most time.Duration) policy.Answer {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		a := Evaluate(ctx, j, c)
		if a.Truth == policy.Yes || !sleep(ctx, probeEvery) {
			return a
		}
	}
}

// afterFailure: an install that failed and left something half-done is rolled back too where the update
// declares a probe, which is the approvers' wish for it, or where its kind asks for that. Half-done is also some packages
// of a set that are there, each whole, without the others; what is there whole is no half, even if a signed rule does not
// find it. Without a probe only what the tool itself says is wrong counts: a full disk or a lock heals, and the next try goes on.
func (j Job) afterFailure(ctx context.Context, i Installer, t trial, err error) error {
	if !j.mayUndo(i) {
		if j.onTrial(i) && ctx.Err() == nil {
			err = errors.Join(err, j.endTrial())
		}
		return err
	}
	final := j.Spec.Probe != nil || !heals(err)
	d, derr := i.Detect(context.WithoutCancel(ctx), j)
	_, undoes := i.(undoer)
	half := d.Interrupted || undoes && !d.Present && d.Version != t.Before
	if final && derr == nil && half && ctx.Err() == nil {
		return j.giveUp(ctx, i, t, err, "")
	}
	if ctx.Err() != nil || !final {
		return err // it may go on by itself, as dpkg does, or the next time
	}
	return errors.Join(err, j.endTrial())
}

// heals says whether time may mend a failure of a tool: it was killed, had to wait, or the disk was full.
func heals(err error) bool {
	var e *Error
	return !errors.As(err, &e) || e.Killed || !slices.Contains([]string{ReasonExit, ReasonDependency, ReasonUndetected}, e.Reason)
}

// giveUp notes durably that the update has failed here before anything is rolled back. said is what its tool printed,
// where why does not hold it.
func (j Job) giveUp(ctx context.Context, i Installer, t trial, why error, said string) error {
	t.Failed = tail([]byte(why.Error()))
	if err := j.saveTrial(t); err != nil {
		return err
	}
	var e *Error
	if errors.As(why, &e) {
		said = e.Log
	}
	return j.rollBack(ctx, i, t, said)
}

// rollBack brings back what was there. It is not tied to ctx: half a rollback is worse than a late one. said is what
// the tool printed that has failed: nobody finds out why without it, and of what is rolled back nothing else is left.
func (j Job) rollBack(ctx context.Context, i Installer, t trial, said string) error {
	r, can := i.(Rollbacker)
	stuck := ReasonProbe
	if j.Spec.Probe == nil {
		stuck = ReasonExit // as if nobody had tried to go back
	}
	if !can {
		e := failed(stuck, errors.New(t.Failed), "install %s: there is no way back for kind %q", j.Spec.Update, i.Kind())
		e.Log = said
		return firstError(errors.Join(e, j.endTrial()))
	}
	_ = j.step(StepRollBack) // the trial has it already; this is for people
	res, err := r.Rollback(context.WithoutCancel(ctx), j, t.Before)
	if err != nil {
		e := failed(stuck, fmt.Errorf("%s; rolling back did not work: %w", t.Failed, err), "install %s", j.Spec.Update)
		e.Log = said
		var cause *Error
		if errors.As(err, &cause) {
			e.ExitCode, e.Killed = cause.ExitCode, cause.Killed
			e.Log = tail([]byte(strings.Join([]string{said, cause.Log}, "\n")))
		}
		if cause != nil && (cause.Killed || slices.Contains([]string{ReasonDiskShort, ReasonDiskError, ReasonLocked}, cause.Reason)) {
			e.Reason = cause.Reason // the trial stays as it is, and the next try goes on with the way back
			return e
		}
		return firstError(errors.Join(e, j.endTrial()))
	}
	what := "what was there before is back"
	if res.Version != "" {
		what = "version " + res.Version + " is back"
	} else if t.Before == "" {
		what = "it was taken off again"
	}
	e := failed(ReasonRolledBack, errors.New(t.Failed), "install %s: %s", j.Spec.Update, what)
	e.Log = said
	return firstError(errors.Join(e, j.endTrial()))
}
