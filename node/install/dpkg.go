package install

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"
)

// toolPath is where package tools and what their scripts call are looked for; the caller's PATH could
// name somebody else's dpkg.
var toolPath = []string{"/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"}

// Waiting for another package tool starts short, since most hold the lock for seconds.
const (
	firstLockWait = 100 * time.Millisecond
	maxLockWait   = 5 * time.Second
	maxQueryBytes = 16 << 20 // of dpkg-query's output: 100,000 packages of 160 bytes
)

// findTool finds a package tool.
func findTool(name string) (string, error) {
	for _, dir := range toolPath {
		path := filepath.Join(dir, name)
		if fi, err := os.Stat(path); err == nil && fi.Mode().IsRegular() && fi.Mode().Perm()&0o111 != 0 {
			return path, nil
		}
	}
	return "", &Error{Reason: ReasonMissing, What: "find " + name}
}

// dpkg is the package tool on one root.
type dpkg struct {
	root  string // absolute; "/" for this system
	admin string // its database
	// running is closed once a tool that changes the system has been started.
	running chan struct{}
}

func newDpkg(j Job) *dpkg {
	root := j.Root
	if root == "" {
		root = "/"
	}
	if abs, err := filepath.Abs(root); err == nil {
		root = abs
	}
	return &dpkg{root: root, admin: filepath.Join(root, filepath.FromSlash(dpkgDatabase)), running: make(chan struct{})}
}

func (p *dpkg) system() bool { return p.root == "/" }

// ensureDatabase makes an empty package database below a root that has none. This system's own is
// never made: without one it is no Debian system.
func (p *dpkg) ensureDatabase() error {
	if _, err := os.Stat(filepath.Join(p.admin, "status")); err == nil || p.system() {
		return err
	}
	root, err := os.OpenRoot(p.root)
	if err != nil {
		return err
	}
	defer root.Close()
	for _, dir := range []string{"info", "updates", "triggers"} {
		if err := root.MkdirAll(filepath.Join(filepath.FromSlash(dpkgDatabase), dir), 0o755); err != nil {
			return err
		}
	}
	status := filepath.Join(filepath.FromSlash(dpkgDatabase), "status")
	f, err := root.OpenFile(status, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if errors.Is(err, os.ErrExist) {
		return nil // somebody else made it meanwhile
	}
	if err != nil {
		return err
	}
	return f.Close()
}

// environment is all that dpkg and the scripts of packages see of ours.
func environment() []string {
	return []string{
		"PATH=" + strings.Join(toolPath, ":"),
		"HOME=/",
		"LC_ALL=C.UTF-8", // we read dpkg's messages
		"DEBIAN_FRONTEND=noninteractive", "DEBCONF_NONINTERACTIVE_SEEN=true",
		"DPKG_COLORS=never", "DPKG_PAGER=cat",
		"DPKG_FRONTEND_LOCKED=true", // lockFrontend holds that lock
	}
}

// query runs a tool that only reads and returns its output.
func (p *dpkg) query(ctx context.Context, tool string, args ...string) (out []byte, exitCode int, err error) {
	return runQuery(ctx, tool, args...)
}

// runQuery runs a package tool that only reads.
func runQuery(ctx context.Context, tool string, args ...string) (out []byte, exitCode int, err error) {
	path, err := findTool(tool)
	if err != nil {
		return nil, 0, err
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env, cmd.Dir = environment(), "/"
	var stdout, stderr capped
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err = cmd.Run()
	var exit *exec.ExitError
	switch {
	case ctx.Err() != nil:
		return nil, 0, failed(ReasonTimeout, ctx.Err(), "run %s", tool)
	case errors.As(err, &exit):
		return stdout.b.Bytes(), exit.ExitCode(), nil
	case err != nil:
		return nil, 0, failed(ReasonDenied, err, "run %s", tool)
	case stdout.cut:
		return nil, 0, failed(ReasonExit, errors.New("endless output"), "run %s", tool)
	}
	return stdout.b.Bytes(), 0, nil
}

// capped keeps the beginning of an output.
type capped struct {
	b   bytes.Buffer
	cut bool
}

func (c *capped) Write(b []byte) (int, error) {
	room := maxQueryBytes - c.b.Len()
	if len(b) > room {
		c.cut = true
		c.b.Write(b[:room])
	} else {
		c.b.Write(b)
	}
	return len(b), nil
}

// toolRun is what came of a tool that changes the system.
type toolRun struct {
	exitCode int
	killed   bool // by a signal
	log      string
	notBegun error // the tool was not started

	scriptFailed bool // of a package
	preDepends   bool // a package was not taken because another one must work before
}

// reason reads dpkg's messages for what is worth telling apart.
func (r toolRun) reason() string {
	switch {
	case r.exitCode == 0:
		return ReasonUndetected
	case strings.Contains(r.log, "No space left on device"): // a script's own failure too, as where /boot is full
		return ReasonDiskShort
	case r.scriptFailed: // those that need its package have "dependency problems" then
		return ReasonExit
	case strings.Contains(r.log, "dependency problems"):
		return ReasonDependency
	case strings.Contains(r.log, "requires superuser privilege"):
		return ReasonDenied
	case r.lockedOut():
		return ReasonLocked
	}
	return ReasonExit
}

// lockedOut: dpkg did nothing because another one is at work. Some tools take only dpkg's inner lock,
// which lockFrontend does not see.
func (r toolRun) lockedOut() bool {
	return r.exitCode == 2 && strings.Contains(r.log, "locked by another process")
}

// change runs dpkg so that it changes the system. It is not tied to ctx: see the package comment.
// While another tool has the database locked it tries again until ctx ends.
func (p *dpkg) change(ctx context.Context, j Job, args ...string) toolRun {
	path, err := findTool("dpkg")
	if err != nil {
		return toolRun{notBegun: err}
	}
	full := []string{"--root=" + p.root, "--force-confdef", "--force-confold"}
	if j.Spec.Args["allow-downgrade"] == "true" {
		full = append(full, "--force-downgrade")
	} else {
		full = append(full, "--refuse-downgrade")
	}
	if !p.system() && os.Geteuid() != 0 {
		// Below a folder of one's own, files need not belong to root.
		full = append(full, "--force-not-root")
	}
	full = append(full, args...)
	for wait := firstLockWait; ; wait = min(2*wait, maxLockWait) {
		if err := ctx.Err(); err != nil {
			return toolRun{notBegun: failed(ReasonTimeout, err, "start dpkg for %s", j.Spec.named())}
		}
		run := p.runDetached(j, path, full)
		if run.notBegun != nil || !run.lockedOut() || !sleep(ctx, wait) {
			return run
		}
	}
}

// runDetached runs the tool in its own process group with a file for its output, so that it survives
// us: a key press in our terminal, or our end, must not stop dpkg half-way.
func (p *dpkg) runDetached(j Job, path string, args []string) toolRun {
	out, err := os.CreateTemp(j.Work, "dpkg-*.log")
	if err != nil {
		return toolRun{notBegun: writeError(err, j, "keep the log of dpkg for %s", j.Spec.named())}
	}
	defer func() {
		out.Close()
		os.Remove(out.Name())
	}()
	cmd := exec.Command(path, args...)
	cmd.Env, cmd.Dir = environment(), "/"
	cmd.Stdout, cmd.Stderr = out, out // standard input is empty: nobody answers questions
	detach(cmd)
	if err := cmd.Start(); err != nil {
		return toolRun{notBegun: failed(ReasonDenied, err, "start dpkg for %s", j.Spec.named())}
	}
	p.markRunning()
	err = cmd.Wait()
	run := toolRun{log: logTail(out)}
	if err != nil {
		said := logHead(out)
		run.scriptFailed, run.preDepends = strings.Contains(said, "script subprocess returned error"), strings.Contains(said, "pre-dependency problem")
		run.killed = cmd.ProcessState.ExitCode() < 0
		run.exitCode = max(1, cmd.ProcessState.ExitCode())
	}
	return run
}

// markRunning is only called by the one goroutine that works on p.
func (p *dpkg) markRunning() {
	select {
	case <-p.running:
	default:
		close(p.running)
	}
}

// logHead is the output from its beginning, bounded; empty if it cannot be read.
func logHead(f *os.File) string {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, maxQueryBytes))
	if err != nil {
		return ""
	}
	return string(b)
}

func logTail(f *os.File) string {
	size, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return ""
	}
	b := make([]byte, min(size, maxLogBytes))
	n, err := f.ReadAt(b, size-int64(len(b)))
	if err != nil && !errors.Is(err, io.EOF) {
		return ""
	}
	return tail(b[:n])
}

// sleep waits; false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// detect asks the database about the package of the job, or those of its set.
func (p *dpkg) detect(ctx context.Context, j Job) (Detection, error) {
	all, err := parts(j.Spec)
	if err != nil {
		return Detection{}, err
	}
	return p.detectParts(ctx, j.Spec, all)
}

// detectPart asks the database about one package.
func (p *dpkg) detectPart(ctx context.Context, s Spec) (Detection, error) {
	if runtime.GOOS == "windows" {
		return Detection{}, &Error{Reason: ReasonMissing, What: "find dpkg"}
	}
	rows, err := p.packages(ctx, s.Package)
	if err != nil {
		return Detection{}, err
	}
	for _, row := range rows {
		if row.name != s.Package || !sameArch(s.Arch, row.arch) || row.gone() {
			continue
		}
		c, err := compareVersions(row.version, s.Version)
		if err != nil {
			return Detection{}, failed(ReasonExit, err, "read installed version of %s", s.Package)
		}
		enough := c == 0 || c > 0 && s.Args["allow-downgrade"] != "true"
		whole := row.status == 'i' && !row.reinstall
		return Detection{Present: whole && enough, Version: row.version, Interrupted: !whole}, nil
	}
	return Detection{}, nil
}

// packageRow is one line of the database.
type packageRow struct {
	name, version, arch, provides string
	status                        byte // n, c, H, U, F, W, t, i as in dpkg --list
	reinstall                     bool // dpkg found it broken
}

// gone: not there, or only its configuration files are left.
func (r packageRow) gone() bool { return r.status == 'n' || r.status == 'c' }

// debArchs are Debian's names for the architectures that Go names differently.
var debArchs = map[string][]string{
	"386": {"i386"}, "arm": {"armhf", "armel"}, "ppc64le": {"ppc64el"}, "mips64le": {"mips64el"},
}

// sameArch compares a descriptor's architecture, as Go or as Debian names it, with one of the
// database. Empty and "all" fit any.
func sameArch(spec, row string) bool {
	return spec == "" || spec == "all" || row == "all" || row == spec || slices.Contains(debArchs[spec], row)
}

// qualified names an installed package so that dpkg means no other architecture's.
func (p *dpkg) qualified(ctx context.Context, s Spec) (string, error) {
	rows, err := p.packages(ctx, s.Package)
	if err != nil {
		return "", err
	}
	for _, row := range rows {
		if row.name == s.Package && sameArch(s.Arch, row.arch) && !row.gone() && archName.MatchString(row.arch) {
			return row.name + ":" + row.arch, nil
		}
	}
	return s.Package, nil
}

const packageFormat = `${Package}\t${db:Status-Abbrev}\t${Version}\t${Architecture}\t${Provides}\n`

// packages lists the named package in all its architectures, or every package if name is empty.
func (p *dpkg) packages(ctx context.Context, name string) ([]packageRow, error) {
	if _, err := os.Stat(filepath.Join(p.admin, "status")); errors.Is(err, os.ErrNotExist) {
		return nil, nil // dpkg-query would call a missing database an error; it is an empty one
	}
	args := []string{"--admindir=" + p.admin, "--show", "--showformat=" + packageFormat}
	if name != "" {
		args = append(args, "--", name)
	}
	out, code, err := p.query(ctx, "dpkg-query", args...)
	if err != nil {
		return nil, err
	}
	if code == 1 { // unknown package
		return nil, nil
	}
	if code != 0 {
		e := failed(ReasonExit, errors.New("the package database cannot be read"), "run dpkg-query below %s", p.root)
		e.ExitCode = code
		return nil, e
	}
	var rows []packageRow
	for line := range strings.Lines(string(out)) {
		f := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
		if len(f) != 5 || len(f[1]) < 2 {
			continue
		}
		rows = append(rows, packageRow{name: f[0], version: f[2], arch: f[3], provides: f[4],
			status: f[1][1], reinstall: strings.Contains(f[1][2:], "R")})
	}
	return rows, nil
}
