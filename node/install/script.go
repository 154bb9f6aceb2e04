package install

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"

	"patchmesh/policy"
)

// scriptInstaller runs the payload, which may be any program. Its arguments are fixed by the approvers'
// signatures; no shell is involved unless the payload itself names one. Arguments:
//
//   - args, remove-args: JSON lists of texts. Without remove-args the update cannot be removed.
//   - interpreter: absolute path of the program that the payload is handed to; none: the payload itself.
//   - exit-success, exit-restart: exit codes, with commas between them. Default: 0 and none.
//
// The descriptor must have an installed rule: a program can be looked at in no other way.
type scriptInstaller struct{ inWork }

func (scriptInstaller) Kind() string     { return "script" }
func (scriptInstaller) Available() error { return nil }

const (
	maxScriptArgs = 64
	maxScriptArg  = 4 << 10
	defaultRun    = time.Hour
)

// scriptPlan is what a descriptor says about the run.
type scriptPlan struct {
	args, removeArgs []string
	removable        bool
	interpreter      string
	success, restart []int
	most             time.Duration
}

func (i scriptInstaller) check(s Spec) error {
	_, err := readScript(s)
	return err
}

func readScript(s Spec) (p scriptPlan, err error) {
	deny := func(format string, a ...any) (scriptPlan, error) {
		return scriptPlan{}, failed(ReasonDenied, fmt.Errorf(format, a...), "read descriptor of %s", s.Update)
	}
	if s.Installed == nil {
		return deny("a script needs an installed rule: nothing else says whether it has done its work")
	}
	for key := range s.Args {
		if !slices.Contains([]string{"args", "remove-args", "interpreter", "exit-success", "exit-restart"}, key) {
			return deny("argument %.40q is none of a script's", key)
		}
	}
	if p.args, err = textList(s.Args["args"]); err != nil {
		return deny("args: %w", err)
	}
	if text, ok := s.Args["remove-args"]; ok {
		p.removable = true
		if p.removeArgs, err = textList(text); err != nil {
			return deny("remove-args: %w", err)
		}
	}
	if p.interpreter = s.Args["interpreter"]; p.interpreter != "" {
		if err := policy.CheckPath(p.interpreter); err != nil {
			return deny("interpreter: %w", err)
		}
	}
	if p.success, err = exitCodes(s.Args["exit-success"]); err != nil {
		return deny("exit-success: %w", err)
	}
	if p.restart, err = exitCodes(s.Args["exit-restart"]); err != nil {
		return deny("exit-restart: %w", err)
	}
	if s.Args["exit-success"] == "" {
		p.success = []int{0}
	}
	if p.most = s.MaxRun; p.most <= 0 {
		p.most = defaultRun
	}
	return p, nil
}

// textList reads a JSON list of texts. Zero bytes would end an argument early.
func textList(text string) ([]string, error) {
	if text == "" {
		return nil, nil
	}
	var out []string
	if err := json.Unmarshal([]byte(text), &out); err != nil {
		return nil, errors.New(`want a list such as ["-q","now"]`)
	}
	if len(out) > maxScriptArgs {
		return nil, fmt.Errorf("%d arguments, at most %d", len(out), maxScriptArgs)
	}
	for _, a := range out {
		if len(a) > maxScriptArg || strings.ContainsRune(a, 0) {
			return nil, errors.New("an argument is too long or holds a zero byte")
		}
	}
	return out, nil
}

func exitCodes(text string) ([]int, error) {
	var out []int
	for word := range strings.SplitSeq(text, ",") {
		if word == "" && text == "" {
			break
		}
		n, err := strconv.ParseInt(strings.TrimSpace(word), 10, 32)
		if err != nil || len(out) >= 64 {
			return nil, fmt.Errorf("%.40q: want codes such as 0,3010", text)
		}
		out = append(out, int(n))
	}
	return out, nil
}

// Detect asks the installed rule.
func (scriptInstaller) Detect(ctx context.Context, j Job) (Detection, error) {
	if _, err := readScript(j.Spec); err != nil {
		return Detection{}, err
	}
	return present(ctx, nil, j)
}

// Install runs the verified copy and looks at the rule afterwards.
func (i scriptInstaller) Install(ctx context.Context, j Job) (Result, error) {
	p, err := readScript(j.Spec)
	if err != nil {
		return Result{}, err
	}
	if seen, err := i.Detect(ctx, j); err != nil || seen.Present {
		return Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return Result{}, failed(ReasonTimeout, err, "run %s", j.Spec.Update)
	}
	path, drop, err := stage(ctx, j, scriptSuffix(j.Spec.FileName))
	if err != nil {
		return Result{}, err
	}
	defer drop()
	if p.removable {
		if err := j.keepPayload(path); err != nil {
			return Result{}, err
		}
	}
	if err := errors.Join(j.step(StepStaged), j.step(StepStarted)); err != nil {
		return Result{}, firstError(err)
	}
	return i.runAndLook(ctx, j, p, path, p.args, true)
}

// Remove runs the kept copy with the arguments for removal.
func (i scriptInstaller) Remove(ctx context.Context, j Job) (Result, error) {
	p, err := readScript(j.Spec)
	if err != nil {
		return Result{}, err
	}
	if seen, err := i.Detect(ctx, j); err != nil || !seen.Present {
		return Result{}, err
	}
	return i.undo(ctx, j, p)
}

// Rollback implements Rollbacker: it runs even if the rule says that nothing is there, since half the
// work may be.
func (i scriptInstaller) Rollback(ctx context.Context, j Job, _ string) (Result, error) {
	p, err := readScript(j.Spec)
	if err != nil {
		return Result{}, err
	}
	return i.undo(ctx, j, p)
}

func (i scriptInstaller) undo(ctx context.Context, j Job, p scriptPlan) (Result, error) {
	if !p.removable {
		return Result{}, failed(ReasonDenied, errors.New("its descriptor has no remove-args"), "remove %s", j.Spec.Update)
	}
	if err := privateWork(j); err != nil {
		return Result{}, err
	}
	path, drop, err := j.keptPayload(scriptSuffix(j.Spec.FileName))
	if err != nil {
		return Result{}, err
	}
	defer drop()
	return i.runAndLook(ctx, j, p, path, p.removeArgs, false)
}

func scriptSuffix(name string) string {
	if runtime.GOOS == "windows" { // there the end of a name says what a file is
		return filepath.Ext(name)
	}
	return ""
}

// runAndLook runs the script; what the rule says afterwards counts as much as the exit code.
func (i scriptInstaller) runAndLook(ctx context.Context, j Job, p scriptPlan, path string, args []string, want bool) (Result, error) {
	release, err := j.onlyRun(ctx)
	if err != nil {
		return Result{}, err
	}
	defer release.Close()
	dir, err := os.MkdirTemp(j.Work, "run-*") // its own working folder, mode 0700
	if err != nil {
		return Result{}, writeError(err, j, "make the working folder of %s", j.Spec.Update)
	}
	defer os.RemoveAll(dir)
	if err := os.Chmod(path, 0o700); err != nil {
		return Result{}, writeError(err, j, "run %s", j.Spec.Update)
	}
	run := program{path: path, args: args, dir: dir, most: p.most, held: release, env: programEnvironment(
		"PATCHMESH_UPDATE="+j.Spec.Update, "PATCHMESH_ROOT="+j.rootPath(), "TMPDIR="+dir)}
	if p.interpreter != "" {
		run.path, run.args = p.interpreter, append([]string{path}, args...)
	}
	code, output, err := run.run(ctx)
	res := Result{Changed: true, ExitCode: code, Log: tail(output)}
	fail := func(reason string, err error) (Result, error) {
		e := failed(reason, err, "run %s", j.Spec.Update)
		e.ExitCode, e.Log = code, res.Log
		return Result{}, e
	}
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return fail(ReasonTimeout, err)
	case errors.Is(err, os.ErrPermission), errors.Is(err, os.ErrNotExist):
		return fail(ReasonDenied, err)
	case err != nil:
		return fail(ReasonExit, err)
	}
	res.RestartNeeded = slices.Contains(p.restart, code)
	if !res.RestartNeeded && !slices.Contains(p.success, code) {
		return fail(ReasonExit, nil)
	}
	after, err := i.Detect(context.WithoutCancel(ctx), j)
	if err != nil {
		return Result{}, err
	}
	if after.Present != want && !res.RestartNeeded {
		return fail(ReasonUndetected, errors.New(after.Detail))
	}
	return res, nil
}

func (j Job) rootPath() string {
	if j.isSystem() {
		if runtime.GOOS == "windows" { // without its letter it would mean the drive that somebody works on
			return os.Getenv("SystemDrive") + `\`
		}
		return string(filepath.Separator)
	}
	return j.Root
}

// onlyRun waits until no script of before runs any more: one that we started before a crash goes on
// without us, and two at once would meet half-done work.
func (j Job) onlyRun(ctx context.Context) (*os.File, error) {
	dir := j.Keep
	if dir == "" {
		dir = j.Work
	}
	if err := privateFolder(dir); err != nil {
		return nil, failed(ReasonDenied, err, "run %s", j.Spec.Update)
	}
	for wait := firstLockWait; ; wait = min(2*wait, maxLockWait) {
		f, ok, err := lockRun(dir)
		if err != nil {
			return nil, writeError(err, j, "lock the run of %s", j.Spec.Update)
		}
		if ok {
			return f, nil
		}
		if !sleep(ctx, wait) {
			return nil, failed(ReasonLocked, ctx.Err(), "wait for an earlier script to end before %s", j.Spec.Update)
		}
	}
}
