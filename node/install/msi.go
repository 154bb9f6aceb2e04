package install

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"time"
)

// msiInstaller hands a Windows Installer package to msiexec. Arguments:
//
//   - product-code: {8-4-4-4-12}. With it the registry says whether the product is there and in which version,
//     and the update can be removed; without, the descriptor must have an installed rule.
//   - NAME=VALUE of the package's public properties, as property-NAME.
//
// msiexec never restarts the machine by itself: that is policy's business.
type msiInstaller struct{}

func (msiInstaller) Kind() string { return "msi" }

// msiRun is one run of a tool of Windows.
type msiRun struct {
	tool string // file name in System32
	args []string
	most time.Duration
}

// runWindowsTool runs a tool of Windows; tests put something else in its place.
var runWindowsTool = func(ctx context.Context, j Job, r msiRun) (exitCode int, output []byte, err error) {
	release, err := j.onlyRun(ctx)
	if err != nil {
		return 0, nil, err
	}
	defer release.Close()
	p := program{path: filepath.Join(os.Getenv("SystemRoot"), "System32", r.tool), args: r.args, dir: j.Work, most: r.most, held: release, env: programEnvironment()}
	return p.run(ctx)
}

func (msiInstaller) Available() error { return windowsTool("msiexec.exe") }

// windowsTool says whether a tool of Windows is here; tests have one elsewhere.
var windowsTool = func(name string) error {
	if runtime.GOOS != "windows" {
		return &Error{Reason: ReasonMissing, What: "find " + name}
	}
	if _, err := os.Stat(filepath.Join(os.Getenv("SystemRoot"), "System32", name)); err != nil {
		return &Error{Reason: ReasonMissing, What: "find " + name, Err: err}
	}
	return nil
}

var (
	productCode  = regexp.MustCompile(`^\{[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}\}$`)
	propertyName = regexp.MustCompile(`^property-[A-Z_][A-Z0-9_.]{0,71}$`)
)

// forbiddenProperties would take decisions that are policy's.
var forbiddenProperties = []string{"REBOOT", "REBOOTPROMPT", "TRANSFORMS", "PATCH", "REINSTALL", "REMOVE", "ADDLOCAL", "ADDSOURCE", "ADVERTISE"}

func (msiInstaller) check(s Spec) error {
	deny := func(format string, a ...any) error {
		return failed(ReasonDenied, fmt.Errorf(format, a...), "read descriptor of %s", s.Update)
	}
	for key, value := range s.Args {
		switch {
		case key == "product-code":
			if !productCode.MatchString(value) {
				return deny("product-code %.60q is not like {01234567-89AB-CDEF-0123-456789ABCDEF}", value)
			}
		case !propertyName.MatchString(key):
			return deny("argument %.40q is none of an msi's", key)
		case slices.Contains(forbiddenProperties, strings.TrimPrefix(key, "property-")):
			return deny("property %.40q is not the descriptor's to set", key)
		case len(value) > 4<<10 || strings.ContainsAny(value, "\"\x00\r\n"): // msiexec reads its command line by rules of its own
			return deny("value of %.40q holds a quote or a line end", key)
		}
	}
	if s.Args["product-code"] == "" && s.Installed == nil {
		return deny("an msi needs its product-code or an installed rule: nothing else says whether it is there")
	}
	if s.Args["product-code"] != "" && s.Installed == nil && s.Version == "" {
		return deny("an msi with a product-code needs its version")
	}
	return nil
}

// uninstallKeys are where Windows keeps what it has installed: packages of 64 bits, and those of 32.
var uninstallKeys = []string{
	`HKLM\SOFTWARE\Microsoft\Windows\CurrentVersion\Uninstall\`,
	`HKLM\SOFTWARE\WOW6432Node\Microsoft\Windows\CurrentVersion\Uninstall\`,
}

// product asks the registry for a product code.
func (j Job) product(ctx context.Context, code string) (version string, there bool, err error) {
	for _, key := range uninstallKeys {
		if version, there, err = (facts{ctx, j}).Registry(key+code, "DisplayVersion"); err != nil || there {
			return version, there, err
		}
	}
	return "", false, nil
}

// Detect asks the installed rule, or the registry for the product code.
func (i msiInstaller) Detect(ctx context.Context, j Job) (Detection, error) {
	if err := i.check(j.Spec); err != nil {
		return Detection{}, err
	}
	if j.Spec.Installed != nil {
		return present(ctx, nil, j)
	}
	version, there, err := j.product(ctx, j.Spec.Args["product-code"])
	if err != nil {
		return Detection{}, failed(ReasonUndetected, err, "look for product %s", j.Spec.Args["product-code"])
	}
	if !there {
		return Detection{}, nil
	}
	c, err := compareVersions(version, j.Spec.Version) // dotted numbers, which Debian's order reads as they are meant
	if err != nil {
		return Detection{}, failed(ReasonUndetected, err, "compare versions of product %s", j.Spec.Args["product-code"])
	}
	return Detection{Present: c >= 0, Version: version}, nil
}

// Install implements Installer.
func (i msiInstaller) Install(ctx context.Context, j Job) (Result, error) {
	if err := errors.Join(i.check(j.Spec), i.Available(), privateWork(j)); err != nil {
		return Result{}, firstError(err)
	}
	if seen, err := i.Detect(ctx, j); err != nil || seen.Present {
		return Result{Version: seen.Version}, err
	}
	path, drop, err := stage(ctx, j, ".msi")
	if err != nil {
		return Result{}, err
	}
	defer drop()
	if err := errors.Join(j.step(StepStaged), j.step(StepStarted)); err != nil {
		return Result{}, firstError(err)
	}
	if j.Keep != "" { // the way to remove one that has no product code, and Windows' own repair
		if err := j.keepPayload(path); err != nil {
			return Result{}, err
		}
	}
	return i.runAndLook(ctx, j, msiInstallArgs(j.Spec, path, msiLog(j)), true)
}

func msiLog(j Job) string { return filepath.Join(j.Work, "msiexec.log") }

// msiInstallArgs is the command line: silent, without a restart, with a log.
func msiInstallArgs(s Spec, path, log string) []string {
	args := []string{"/i", path, "/qn", "/norestart", "/l*v", log}
	for _, key := range slices.Sorted(maps.Keys(s.Args)) {
		if name, is := strings.CutPrefix(key, "property-"); is {
			args = append(args, name+"="+s.Args[key])
		}
	}
	return append(args, "REBOOT=ReallySuppress")
}

func msiRemoveArgs(what, log string) []string {
	return []string{"/x", what, "/qn", "/norestart", "/l*v", log, "REBOOT=ReallySuppress"}
}

// Remove implements Installer.
func (i msiInstaller) Remove(ctx context.Context, j Job) (Result, error) {
	if err := errors.Join(i.check(j.Spec), i.Available(), privateWork(j)); err != nil {
		return Result{}, firstError(err)
	}
	if seen, err := i.Detect(ctx, j); err != nil || !seen.Present {
		return Result{}, err
	}
	return i.takeOff(ctx, j)
}

// takeOff removes by product code, or by the kept package.
func (i msiInstaller) takeOff(ctx context.Context, j Job) (Result, error) {
	what := j.Spec.Args["product-code"]
	if what == "" {
		path, drop, err := j.keptPayload(".msi")
		if err != nil {
			return Result{}, err
		}
		defer drop()
		what = path
	}
	return i.runAndLook(ctx, j, msiRemoveArgs(what, msiLog(j)), false)
}

// Rollback implements Rollbacker: Windows Installer undoes a failed run by itself; what a probe has found
// wrong is taken off. An older version cannot be brought back so.
func (i msiInstaller) Rollback(ctx context.Context, j Job, before string) (Result, error) {
	if before != "" {
		return Result{}, failed(ReasonMissing, fmt.Errorf("version %s cannot be brought back by Windows Installer", before), "roll back %s", j.Spec.Update)
	}
	if err := errors.Join(i.check(j.Spec), privateWork(j)); err != nil {
		return Result{}, firstError(err)
	}
	return i.takeOff(ctx, j)
}

func (i msiInstaller) runAndLook(ctx context.Context, j Job, args []string, want bool) (Result, error) {
	run := msiRun{tool: "msiexec.exe", args: args, most: j.runTime()}
	return runWindows(ctx, j, run, msiCodes, want, func() (Detection, error) { return i.Detect(context.WithoutCancel(ctx), j) })
}

func (j Job) runTime() time.Duration {
	if j.Spec.MaxRun > 0 {
		return j.Spec.MaxRun
	}
	return defaultRun
}
