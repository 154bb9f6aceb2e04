package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
)

// debInstaller calls dpkg. Arguments: allow-downgrade ("true": the approved version exactly, even if a
// newer one is there); packages, for a set (debset.go).
type debInstaller struct {
	inWork
	// busy holds one token: dpkg's own lock does not keep two callers in one process apart.
	busy chan struct{}
}

func newDeb() *debInstaller { return &debInstaller{busy: make(chan struct{}, 1)} }

func (*debInstaller) Kind() string { return "deb" }

func (*debInstaller) Available() error {
	for _, tool := range []string{"dpkg", "dpkg-query", "dpkg-deb"} {
		if _, err := findTool(tool); err != nil {
			return err
		}
	}
	return nil
}

// Names and versions become arguments of dpkg: these keep them from being read as options or patterns.
var (
	packageName = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{0,127}$`)
	versionText = regexp.MustCompile(`^[0-9][A-Za-z0-9.+~:-]{0,127}$`)
	archName    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,31}$`)
)

func checkDebSpec(s Spec) error {
	switch {
	case !packageName.MatchString(s.Package):
		return failed(ReasonDenied, fmt.Errorf("package name %q", s.Package), "read descriptor of %s", s.Update)
	case !versionText.MatchString(s.Version):
		return failed(ReasonDenied, fmt.Errorf("package version %q", s.Version), "read descriptor of %s", s.Update)
	case s.Arch != "" && !archName.MatchString(s.Arch):
		return failed(ReasonDenied, fmt.Errorf("package architecture %q", s.Arch), "read descriptor of %s", s.Update)
	}
	if _, err := parseVersion(s.Version); err != nil {
		return failed(ReasonDenied, err, "read descriptor of %s", s.Update)
	}
	return nil
}

// Detect: the update is present if the package is fully installed in the approved version or a newer
// one; with allow-downgrade=true only in the approved version.
func (d *debInstaller) Detect(ctx context.Context, j Job) (Detection, error) {
	_, err := parts(j.Spec)
	if err := errors.Join(err, d.Available()); err != nil {
		return Detection{}, firstError(err)
	}
	return newDpkg(j).detect(ctx, j)
}

// Install unpacks and configures the package with dpkg. It waits for other package tools until ctx
// ends. If ctx ends while dpkg works, dpkg goes on alone and the answer is ReasonTimeout.
func (d *debInstaller) Install(ctx context.Context, j Job) (Result, error) {
	return d.locked(ctx, j, func(p *dpkg) (Result, error) { return d.install(ctx, p, j) })
}

// Remove takes the package away and keeps its configuration files. A newer version than the
// update's is another update's business and stays, with ReasonDenied.
func (d *debInstaller) Remove(ctx context.Context, j Job) (Result, error) {
	return d.locked(ctx, j, func(p *dpkg) (Result, error) { return d.remove(ctx, p, j) })
}

// locked runs work as the only package tool on this root.
func (d *debInstaller) locked(ctx context.Context, j Job, work func(*dpkg) (Result, error)) (Result, error) {
	_, err := parts(j.Spec)
	if err := errors.Join(err, d.Available(), privateWork(j)); err != nil {
		return Result{}, firstError(err)
	}
	p := newDpkg(j)
	if err := p.ensureDatabase(); err != nil {
		return Result{}, writeError(err, j, "open package database below %s", p.root)
	}
	select {
	case d.busy <- struct{}{}:
	case <-ctx.Done():
		return Result{}, failed(ReasonLocked, ctx.Err(), "wait for another installation to end")
	}
	unlock, err := p.lockFrontend(ctx)
	if err != nil {
		<-d.busy
		return Result{}, err
	}
	type outcome struct {
		res Result
		err error
	}
	done := make(chan outcome, 1)
	go func() {
		// The locks are held until dpkg has ended, even if nobody waits for the answer any more.
		res, err := work(p)
		unlock()
		<-d.busy
		done <- outcome{res, err}
	}()
	select {
	case o := <-done:
		return o.res, o.err
	case <-ctx.Done():
	}
	// Time is up. What has not begun ends by itself at once; only a running tool outlives us.
	select {
	case o := <-done:
		return o.res, o.err
	case <-p.running:
		e := failed(ReasonTimeout, ctx.Err(), "work on %s: dpkg is still running and is left to finish", j.Spec.Update)
		return Result{}, e
	}
}

func (d *debInstaller) install(ctx context.Context, p *dpkg, j Job) (Result, error) {
	before, err := p.detect(ctx, j)
	if err != nil {
		return Result{}, err
	}
	if before.Present {
		return Result{Version: before.Version}, nil
	}
	all, err := parts(j.Spec)
	if err != nil {
		return Result{}, err
	}
	debs, drop, err := p.stageParts(ctx, j, all)
	if err != nil {
		return Result{}, err
	}
	defer drop()
	if err := j.step(StepStaged); err != nil {
		return Result{}, err
	}
	if err := p.repair(ctx, j); err != nil {
		return Result{}, err
	}
	if before.Interrupted {
		// What was unpacked before the power went may be finished by now.
		if now, err := p.detect(ctx, j); err != nil || now.Present {
			return Result{Changed: true, Version: now.Version, RestartNeeded: p.wantsRestart()}, err
		}
	}
	if err := errors.Join(p.checkDepends(ctx, j, debs), p.checkRoom(ctx, j, debs)); err != nil {
		return Result{}, firstError(err)
	}
	if err := j.step(StepStarted); err != nil {
		return Result{}, err
	}
	run := p.installDebs(ctx, j, debs)
	noted := j.step(StepExited) // dpkg has run: what it did counts first
	res, err := d.outcome(ctx, p, j, run, true)
	if err != nil {
		return res, err
	}
	j.keepDebs(debs)
	if noted == nil {
		noted = j.step(StepVerified)
	}
	return res, noted
}

func (d *debInstaller) remove(ctx context.Context, p *dpkg, j Job) (Result, error) {
	before, err := p.detect(ctx, j)
	if err != nil {
		return Result{}, err
	}
	if before.Version == "" {
		return Result{}, nil
	}
	all, err := parts(j.Spec)
	if err != nil {
		return Result{}, err
	}
	for _, x := range all {
		is, err := p.detectPart(ctx, x)
		if err != nil {
			return Result{}, err
		}
		if is.Version == "" {
			continue
		}
		if c, err := compareVersions(is.Version, x.Version); err != nil || c > 0 {
			why := fmt.Errorf("version %s is installed, the update is %s", is.Version, x.Version)
			return Result{}, failed(ReasonDenied, why, "remove %s", x.Package)
		}
	}
	return d.removeParts(ctx, p, j, all)
}

// outcome looks again after dpkg ran. What is there counts; the exit code only explains.
func (d *debInstaller) outcome(ctx context.Context, p *dpkg, j Job, run toolRun, want bool) (Result, error) {
	all, err := parts(j.Spec)
	if err != nil {
		return Result{}, err
	}
	return d.outcomeOf(ctx, p, j, run, all, want)
}

// outcomeOf is outcome for some packages of an update.
func (d *debInstaller) outcomeOf(ctx context.Context, p *dpkg, j Job, run toolRun, all []Spec, want bool) (Result, error) {
	if run.notBegun != nil {
		return Result{}, run.notBegun
	}
	after, err := p.detectParts(context.WithoutCancel(ctx), j.Spec, all)
	if err != nil {
		return Result{}, err
	}
	ok := after.Present
	if !want {
		ok = after.Version == ""
	}
	if ok {
		return Result{Changed: true, Version: after.Version, RestartNeeded: p.wantsRestart(),
			ExitCode: run.exitCode, Log: run.log}, nil
	}
	e := failed(run.reason(), nil, "dpkg for %s", j.Spec.named())
	e.ExitCode, e.Log, e.Killed = run.exitCode, run.log, run.killed
	if e.Reason == ReasonDiskShort {
		e.Facts = map[string]int64{factNeeded: j.Spec.PlainBytes}
		if j.Free != nil {
			if free, err := j.Free(p.root); err == nil {
				e.Facts[factFree] = free
			}
		}
	}
	return Result{}, e
}

func privateWork(j Job) error {
	if err := privateFolder(j.Work); err != nil {
		return failed(ReasonDenied, err, "prepare work folder for %s", j.Spec.Update)
	}
	return nil
}

// firstError takes the first *Error out of a joined one.
func firstError(err error) error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return err
}

// wantsRestart looks for the marker that Debian's packages leave.
func (p *dpkg) wantsRestart() bool {
	_, err := os.Lstat(filepath.Join(p.root, filepath.FromSlash(rebootMarker)))
	return err == nil
}
