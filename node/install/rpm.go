package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"patchmesh/policy"
)

// rpmInstaller calls rpm. Argument: allow-downgrade, as of deb. Version is [epoch:]version-release.
type rpmInstaller struct {
	inWork
	busy chan struct{}
}

func newRPMInstaller() *rpmInstaller { return &rpmInstaller{busy: make(chan struct{}, 1)} }

func (*rpmInstaller) Kind() string { return "rpm" }

func (*rpmInstaller) Available() error {
	_, err := findTool("rpm")
	return err
}

// rpmVersion: epoch, version and release as rpm writes them; it becomes an argument.
var rpmVersion = regexp.MustCompile(`^([0-9]{1,9}:)?[A-Za-z0-9][A-Za-z0-9.+~^_]{0,127}-[A-Za-z0-9.+~^_]{1,64}$`)

func (i *rpmInstaller) check(s Spec) error {
	switch {
	case !policy.ValidPackage(s.Package):
		return failed(ReasonDenied, fmt.Errorf("package name %.60q", s.Package), "read descriptor of %s", s.Update)
	case !rpmVersion.MatchString(s.Version):
		return failed(ReasonDenied, fmt.Errorf("package version %.60q is not version-release", s.Version), "read descriptor of %s", s.Update)
	}
	for key, value := range s.Args {
		if key != "allow-downgrade" || value != "true" && value != "false" {
			return failed(ReasonDenied, fmt.Errorf("argument %.40q is none of an rpm's", key), "read descriptor of %s", s.Update)
		}
	}
	return nil
}

// withEpoch writes a version as the database prints it.
func withEpoch(v string) string {
	if strings.Contains(v, ":") {
		return v
	}
	return "0:" + v
}

// Detect: the update is present if the package is installed in the approved version or a newer one; with
// allow-downgrade=true only in the approved version.
func (i *rpmInstaller) Detect(ctx context.Context, j Job) (Detection, error) {
	if err := errors.Join(i.check(j.Spec), i.Available()); err != nil {
		return Detection{}, firstError(err)
	}
	return newRPM(j).detect(ctx, j.Spec)
}

func (r rpm) detect(ctx context.Context, s Spec) (Detection, error) {
	if !r.hasDatabase() { // rpm would make one by asking
		return Detection{}, nil
	}
	versions, err := r.versions(ctx, s.Package)
	if err != nil {
		return Detection{}, err
	}
	var d Detection
	for _, v := range versions {
		c, err := policy.CompareVersions(policy.SystemRPM, v, withEpoch(s.Version))
		if err != nil {
			return Detection{}, failed(ReasonUndetected, err, "compare versions of %s", s.Package)
		}
		if enough := c == 0 || c > 0 && s.Args["allow-downgrade"] != "true"; enough || d.Version == "" {
			d.Present, d.Version = d.Present || enough, v
		}
	}
	return d, nil
}

// hasDatabase looks where rpm keeps its database: of RPM distributions, and below its home elsewhere.
func (r rpm) hasDatabase() bool {
	for _, dir := range []string{"var/lib/rpm", "usr/lib/sysimage/rpm", ".rpmdb"} {
		if entries, err := os.ReadDir(filepath.Join(r.root, filepath.FromSlash(dir))); err == nil && len(entries) > 0 {
			return true
		}
	}
	return false
}

// Install hands the verified package to rpm, which checks what it needs before it changes anything.
func (i *rpmInstaller) Install(ctx context.Context, j Job) (Result, error) {
	return i.locked(ctx, j, func() (Result, error) {
		before, err := i.Detect(ctx, j)
		if err != nil || before.Present {
			return Result{Version: before.Version}, err
		}
		path, drop, err := stage(ctx, j, ".rpm")
		if err != nil {
			return Result{}, err
		}
		defer drop()
		if err := j.step(StepStaged); err != nil {
			return Result{}, err
		}
		if err := i.payloadIs(ctx, j, path); err != nil {
			return Result{}, err
		}
		if err := j.step(StepStarted); err != nil {
			return Result{}, err
		}
		res, err := i.change(ctx, j, true, j.installArgs(path)...)
		if err != nil {
			return res, err
		}
		j.keepDeb(path)
		return res, j.step(StepVerified)
	})
}

func (j Job) installArgs(path string) []string {
	args := []string{"--upgrade"}
	if j.Spec.Args["allow-downgrade"] == "true" {
		args = append(args, "--oldpackage")
	}
	return append(args, "--", path)
}

// payloadIs makes sure that the file is the package that its descriptor names: what else it is would be
// installed, and then not be found.
func (i *rpmInstaller) payloadIs(ctx context.Context, j Job, path string) error {
	out, code, err := runQuery(ctx, "rpm", "--query", "--package", "--nosignature", "--queryformat=%{NAME} "+rpmVersionFormat, "--", path)
	if err != nil {
		return err
	}
	if got, want := strings.TrimSpace(string(out)), j.Spec.Package+" "+withEpoch(j.Spec.Version); code != 0 || got != want {
		return failed(ReasonExit, fmt.Errorf("the payload is %.200q, the descriptor says %q", got, want), "read %s", j.Spec.Update)
	}
	return nil
}

// Remove takes the package away. A newer version than the update's stays, with ReasonDenied.
func (i *rpmInstaller) Remove(ctx context.Context, j Job) (Result, error) {
	return i.locked(ctx, j, func() (Result, error) {
		before, err := i.Detect(ctx, j)
		if err != nil || before.Version == "" {
			return Result{}, err
		}
		if c, err := policy.CompareVersions(policy.SystemRPM, before.Version, withEpoch(j.Spec.Version)); err != nil || c > 0 {
			return Result{}, failed(ReasonDenied, fmt.Errorf("version %s is installed, the update is %s", before.Version, j.Spec.Version), "remove %s", j.Spec.Package)
		}
		return i.change(ctx, j, false, "--erase", "--", j.Spec.Package)
	})
}

// Rollback implements Rollbacker: the kept package of before is installed over what is there now.
func (i *rpmInstaller) Rollback(ctx context.Context, j Job, before string) (Result, error) {
	return i.locked(ctx, j, func() (Result, error) {
		now, err := i.Detect(ctx, j)
		if err != nil {
			return Result{}, err
		}
		if before == "" {
			if now.Version == "" {
				return Result{}, nil
			}
			return i.change(ctx, j, false, "--erase", "--", j.Spec.Package)
		}
		old := j
		old.Spec.Version, old.Spec.Args = before, map[string]string{"allow-downgrade": "true"}
		if is, err := i.Detect(ctx, old); err != nil || is.Present {
			return Result{Version: is.Version}, err
		}
		if old.Spec.SHA256, err = j.keptNote(before); err != nil {
			return Result{}, err
		}
		path, drop, err := old.keptPayload(".rpm")
		if err != nil {
			return Result{}, err
		}
		defer drop()
		return i.change(ctx, old, true, "--upgrade", "--oldpackage", "--replacepkgs", "--", path)
	})
}

// keptNote finds the kept package of a version. Notes name versions as descriptors write them, and the
// database prints an epoch of 0 that those may leave out.
func (j Job) keptNote(version string) ([32]byte, error) {
	for _, v := range []string{version, strings.TrimPrefix(version, "0:")} {
		if sum, err := readNote(filepath.Join(j.Keep, debNote(j.Spec, v))); err == nil && j.Keep != "" {
			return sum, nil
		}
	}
	return [32]byte{}, failed(ReasonMissing, fmt.Errorf("version %s is not kept on this machine", version), "roll back %s", j.Spec.Package)
}

// locked runs work as the only rpm of this process; rpm itself waits for others.
func (i *rpmInstaller) locked(ctx context.Context, j Job, work func() (Result, error)) (Result, error) {
	if err := errors.Join(i.check(j.Spec), i.Available(), privateWork(j)); err != nil {
		return Result{}, firstError(err)
	}
	select {
	case i.busy <- struct{}{}:
	case <-ctx.Done():
		return Result{}, failed(ReasonLocked, ctx.Err(), "wait for another installation to end")
	}
	defer func() { <-i.busy }()
	return work()
}

// change runs rpm so that it changes the system, then looks again: what is there counts. Like dpkg it is
// not killed when nobody waits any more: half a transaction is worse than a late one.
func (i *rpmInstaller) change(ctx context.Context, j Job, want bool, args ...string) (Result, error) {
	if err := ctx.Err(); err != nil {
		return Result{}, failed(ReasonTimeout, err, "start rpm for %s", j.Spec.Package)
	}
	tool, err := findTool("rpm")
	if err != nil {
		return Result{}, err
	}
	root := newRPM(j).root
	p := &dpkg{root: root, running: make(chan struct{})} // how a package tool is run, whichever it is
	// Signatures of vendors are not asked: the approvers' signature covers the hash of every byte.
	run := p.runDetached(j, tool, append([]string{"--root=" + root, "--nosignature"}, args...))
	if run.notBegun != nil {
		return Result{}, run.notBegun
	}
	if err := j.step(StepExited); err != nil {
		return Result{}, err
	}
	after, err := i.Detect(context.WithoutCancel(ctx), j)
	if err != nil {
		return Result{}, err
	}
	if after.Present == want && (want || after.Version == "") {
		return Result{Changed: true, Version: after.Version, RestartNeeded: p.wantsRestart(), ExitCode: run.exitCode, Log: run.log}, nil
	}
	e := failed(rpmReason(run), nil, "rpm for %s", j.Spec.Package)
	e.ExitCode, e.Log, e.Killed = run.exitCode, run.log, run.killed
	return Result{}, e
}

// rpmReason reads rpm's messages for what is worth telling apart.
func rpmReason(run toolRun) string {
	switch {
	case run.exitCode == 0:
		return ReasonUndetected
	case strings.Contains(run.log, "Failed dependencies"):
		return ReasonDependency
	case strings.Contains(run.log, "needs") && strings.Contains(run.log, "on the") && strings.Contains(run.log, "filesystem"),
		strings.Contains(run.log, "No space left on device"):
		return ReasonDiskShort
	case strings.Contains(run.log, "can't create transaction lock"):
		return ReasonLocked
	case strings.Contains(run.log, "Permission denied"):
		return ReasonDenied
	}
	return ReasonExit
}
