package install

import (
	"bufio"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// facts are what the conditions of a descriptor can ask of this machine, below the root of a job.
// They change nothing; a signed command is the approvers' business.
type facts struct {
	ctx context.Context
	job Job
}

// Evaluate looks at the machine for a condition. ctx bounds the whole look.
func Evaluate(ctx context.Context, j Job, c *policy.Condition) policy.Answer {
	return c.Evaluate(facts{ctx, j})
}

func (j Job) isSystem() bool { return j.Root == "" || j.Root == "/" }

// openBelow opens a file of the machine for reading. On the system itself links lead where they lead
// for everybody; below another root they must not leave it.
func (j Job) openBelow(path string) (*os.File, error) {
	volume := filepath.VolumeName(filepath.FromSlash(path))
	if runtime.GOOS != "windows" && !strings.HasPrefix(path, "/") || runtime.GOOS == "windows" && volume == "" {
		return nil, errors.New("a path of another system")
	}
	if j.isSystem() {
		return os.OpenFile(filepath.FromSlash(path), os.O_RDONLY|openNoBlock, 0)
	}
	root, err := os.OpenRoot(j.Root)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	rel := strings.TrimLeft(filepath.FromSlash(path)[len(volume):], `/\`)
	return root.OpenFile(rel, os.O_RDONLY|openNoBlock, 0)
}

// System implements policy.Facts.
func (f facts) System() policy.System {
	s := policy.System{OS: runtime.GOOS, Arch: runtime.GOARCH}
	for _, path := range []string{"/etc/os-release", "/usr/lib/os-release"} {
		r, err := f.job.openBelow(path)
		if err != nil {
			continue
		}
		s.Distribution, s.Version = osRelease(io.LimitReader(r, 64<<10))
		_ = r.Close()
		break
	}
	return s
}

// osRelease reads ID and VERSION_ID of os-release(5).
func osRelease(r io.Reader) (id, version string) {
	lines := bufio.NewScanner(r)
	for lines.Scan() {
		key, value, _ := strings.Cut(strings.TrimSpace(lines.Text()), "=")
		value = strings.Trim(value, `"'`)
		switch key {
		case "ID":
			id = value
		case "VERSION_ID":
			version = value
		}
	}
	return id, version
}

// File implements policy.Facts.
func (f facts) File(path string, hash, head bool) (policy.FileFact, error) {
	var out policy.FileFact
	r, err := f.job.openBelow(path)
	if errors.Is(err, fs.ErrNotExist) {
		return out, nil
	}
	if err != nil {
		return out, factError(err, policy.ReasonDiskError)
	}
	defer r.Close()
	fi, err := r.Stat()
	if err != nil {
		return out, factError(err, policy.ReasonDiskError)
	}
	if !fi.Mode().IsRegular() {
		return out, nil // there is something, but not the file that was asked for
	}
	out.Exists = true
	if head {
		if out.Head, err = io.ReadAll(io.LimitReader(r, policy.VersionTextBytes)); err == nil && hash {
			_, err = r.Seek(0, io.SeekStart)
		}
	}
	if err == nil && hash {
		h := content.NewHash()
		_, err = io.Copy(h, ctxReader{f.ctx, r})
		out.SHA256 = hex.EncodeToString(h.Sum(nil))
	}
	if err != nil {
		return policy.FileFact{}, factError(err, policy.ReasonDiskError)
	}
	return out, nil
}

// Registry implements policy.Facts.
func (f facts) Registry(key, name string) (string, bool, error) {
	if !f.job.isSystem() {
		return "", false, factError(errors.New("another root has no registry"), policy.ReasonCompatOS)
	}
	return registryValue(key, name)
}

// Packages implements policy.Facts.
func (f facts) Packages(system, name string) ([]string, error) {
	if !policy.ValidPackage(name) { // checked with the descriptor; it becomes an argument here
		return nil, factError(fmt.Errorf("package name %.60q", name), policy.ReasonInstallerDenied)
	}
	if system == policy.SystemRPM {
		versions, err := newRPM(f.job).versions(f.ctx, name)
		return versions, factError(err, policy.ReasonInstallerExit)
	}
	if err := newDeb().Available(); err != nil {
		return nil, factError(err, policy.ReasonInstallerMissing)
	}
	rows, err := newDpkg(f.job).packages(f.ctx, name)
	if err != nil {
		return nil, factError(err, policy.ReasonInstallerExit)
	}
	var out []string
	for _, r := range rows {
		// What waits for triggers is configured as far as others are concerned.
		if r.name == name && !r.reinstall && strings.ContainsRune("iWt", rune(r.status)) {
			out = append(out, r.version)
		}
	}
	return out, nil
}

// Command implements policy.Facts. Below another root the program is one of that root, which only the
// system's administrator can run there.
func (f facts) Command(t policy.CommandTest) (int, error) {
	if len(t.Args) == 0 || policy.CheckPath(t.Args[0]) != nil {
		return 0, factError(errors.New("no absolute path"), policy.ReasonInstallerDenied)
	}
	p := program{
		path: filepath.FromSlash(t.Args[0]), args: t.Args[1:], dir: string(filepath.Separator), env: programEnvironment(),
		most: min(time.Duration(t.TimeoutSeconds)*time.Second, policy.MaxCommandSeconds*time.Second),
	}
	if !f.job.isSystem() {
		if runtime.GOOS == "windows" || os.Geteuid() != 0 {
			return 0, factError(errors.New("only root can run a program below another root"), policy.ReasonInstallerDenied)
		}
		p.chroot = f.job.Root
	}
	code, _, err := p.run(f.ctx)
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, context.Canceled):
		return 0, factError(err, policy.ReasonInstallerTimeout)
	case errors.Is(err, fs.ErrNotExist):
		return 0, factError(err, policy.ReasonInstallerMissing)
	}
	return code, factError(err, policy.ReasonInstallerExit)
}

// factError gives a fact that cannot be found out its reason; an installer's error has one already.
func factError(err error, r policy.Reason) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) {
		r = policy.Reason(e.Reason)
	}
	return &policy.FactError{Reason: r, Err: err}
}
