package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"patchmesh/policy"
)

// The steps of hooks, in the journal.
const (
	stepBefore = "before"
	stepAfter  = "after"
)

// runHook runs a signed hook as a script installer runs its payload: a copy that nobody else can change, in a
// folder of its own, with a cleaned environment and nothing on its standard input; it is killed with all that
// it started when its time is up. restart: the machine needs one.
func (j Job) runHook(ctx context.Context, when string, h *policy.Hook) (restart bool, err error) {
	if err := j.step(when); err != nil {
		return false, err
	}
	fail := func(reason string, code int, output []byte, err error) (bool, error) {
		e := failed(reason, err, "run the script %s the install of %s", when, j.Spec.Update)
		e.ExitCode, e.Log = code, tail(output)
		return false, e
	}
	if err := h.Check(); err != nil { // checked with the descriptor; this is the last door before a program runs
		return fail(ReasonDenied, 0, nil, err)
	}
	if err := privateFolder(j.Work); err != nil {
		return fail(ReasonDenied, 0, nil, err)
	}
	held, err := j.onlyRun(ctx)
	if err != nil {
		return false, err
	}
	defer held.Close()
	dir, err := os.MkdirTemp(j.Work, "hook-*")
	if err != nil {
		return false, writeError(err, j, "make the working folder of a script of %s", j.Spec.Update)
	}
	defer os.RemoveAll(dir)
	script := filepath.Join(dir, hookName(h))
	if err := os.WriteFile(script, []byte(h.Script), 0o700); err != nil {
		return false, writeError(err, j, "write a script of %s", j.Spec.Update)
	}
	run := program{path: script, dir: dir, most: time.Duration(h.TimeoutSeconds) * time.Second, held: held,
		env: programEnvironment("PATCHMESH_UPDATE="+j.Spec.Update, "PATCHMESH_ROOT="+j.rootPath(), "PATCHMESH_HOOK="+when, "TMPDIR="+dir)}
	if h.Interpreter != "" {
		run.path, run.args = h.Interpreter, []string{script}
	}
	code, output, err := run.unbusy(ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fail(ReasonTimeout, 0, output, err)
	case errors.Is(err, os.ErrPermission), errors.Is(err, os.ErrNotExist):
		return fail(ReasonDenied, 0, output, err)
	case err != nil:
		return fail(ReasonExit, code, output, err)
	}
	switch h.Judge(code, runtime.GOOS != "windows") {
	case policy.HookRestart:
		return true, nil
	case policy.HookOK:
		return false, nil
	}
	return fail(ReasonExit, code, output, errors.New("it did not end well"))
}

// hookName ends as the system wants it: on Windows the end of a name says what a file is.
func hookName(h *policy.Hook) string {
	switch base := filepath.Base(filepath.FromSlash(h.Interpreter)); {
	case runtime.GOOS != "windows":
		return "hook"
	case base == "powershell.exe" || base == "pwsh.exe":
		return "hook.ps1"
	default:
		return "hook.cmd"
	}
}

// bringHooked is Install with what runs before and after it. An install that was done before a crash, or
// whose last script failed, is not prepared again: only what is left is done.
func (j Job) bringHooked(ctx context.Context, i Installer) (Result, error) {
	restart := false
	if j.Spec.Before != nil {
		seen, err := present(ctx, i, j)
		if err == nil && !seen.Present {
			restart, err = j.runHook(ctx, stepBefore, j.Spec.Before)
		}
		if err != nil {
			return Result{}, err
		}
	}
	res, err := i.Install(ctx, j)
	res.RestartNeeded = res.RestartNeeded || err == nil && restart
	return res, err
}

// afterHook runs what comes after an install that is there. Its failure is told, and does not undo the install:
// the update does not count as present until it has worked.
func (j Job) afterHook(ctx context.Context, res *Result) error {
	if j.Spec.After == nil {
		return nil
	}
	restart, err := j.runHook(ctx, stepAfter, j.Spec.After)
	res.RestartNeeded = res.RestartNeeded || restart
	if err != nil {
		err = fmt.Errorf("%w; the update itself is there", err)
	}
	return err
}
