package install

import (
	"context"
	"errors"
	"fmt"
	"regexp"
)

// msuInstaller hands a Windows update package to wusa. Argument: kb, the number without letters; it is what
// the update is removed by. The descriptor must have an installed rule: nothing simple says what is there.
type msuInstaller struct{}

func (msuInstaller) Kind() string     { return "msu" }
func (msuInstaller) Available() error { return windowsTool("wusa.exe") }

var kbNumber = regexp.MustCompile(`^[1-9][0-9]{4,9}$`)

func (msuInstaller) check(s Spec) error {
	deny := func(format string, a ...any) error {
		return failed(ReasonDenied, fmt.Errorf(format, a...), "read descriptor of %s", s.Update)
	}
	for key, value := range s.Args {
		if key != "kb" {
			return deny("argument %.40q is none of an msu's", key)
		}
		if !kbNumber.MatchString(value) {
			return deny("kb %.20q is not a number such as 5031234", value)
		}
	}
	if s.Installed == nil {
		return deny("an msu needs an installed rule: nothing else says whether it is there")
	}
	return nil
}

// Detect asks the installed rule.
func (i msuInstaller) Detect(ctx context.Context, j Job) (Detection, error) {
	if err := i.check(j.Spec); err != nil {
		return Detection{}, err
	}
	return present(ctx, nil, j)
}

// Install implements Installer.
func (i msuInstaller) Install(ctx context.Context, j Job) (Result, error) {
	if err := errors.Join(i.check(j.Spec), i.Available(), privateWork(j)); err != nil {
		return Result{}, firstError(err)
	}
	if seen, err := i.Detect(ctx, j); err != nil || seen.Present {
		return Result{}, err
	}
	path, drop, err := stage(ctx, j, ".msu")
	if err != nil {
		return Result{}, err
	}
	defer drop()
	if err := errors.Join(j.step(StepStaged), j.step(StepStarted)); err != nil {
		return Result{}, firstError(err)
	}
	return i.runAndLook(ctx, j, []string{path, "/quiet", "/norestart"}, true)
}

// Remove implements Installer. Cumulative updates often cannot be removed; then wusa says so.
func (i msuInstaller) Remove(ctx context.Context, j Job) (Result, error) {
	if err := errors.Join(i.check(j.Spec), i.Available(), privateWork(j)); err != nil {
		return Result{}, firstError(err)
	}
	if seen, err := i.Detect(ctx, j); err != nil || !seen.Present {
		return Result{}, err
	}
	return i.takeOff(ctx, j)
}

// Rollback implements Rollbacker.
func (i msuInstaller) Rollback(ctx context.Context, j Job, _ string) (Result, error) {
	if err := errors.Join(i.check(j.Spec), privateWork(j)); err != nil {
		return Result{}, firstError(err)
	}
	return i.takeOff(ctx, j)
}

func (i msuInstaller) takeOff(ctx context.Context, j Job) (Result, error) {
	kb := j.Spec.Args["kb"]
	if kb == "" {
		return Result{}, failed(ReasonDenied, errors.New("its descriptor names no kb"), "remove %s", j.Spec.Update)
	}
	return i.runAndLook(ctx, j, []string{"/uninstall", "/kb:" + kb, "/quiet", "/norestart"}, false)
}

func (i msuInstaller) runAndLook(ctx context.Context, j Job, args []string, want bool) (Result, error) {
	return runWindows(ctx, j, msiRun{tool: "wusa.exe", args: args, most: j.runTime()}, msuCodes, want,
		func() (Detection, error) { return i.Detect(context.WithoutCancel(ctx), j) })
}
