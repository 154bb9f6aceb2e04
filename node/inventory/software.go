package inventory

import (
	"bufio"
	"bytes"
	"context"
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

// Question is what an inventory is collected for.
type Question struct {
	Root    string // folder that stands for "/"; empty: this system
	DataDir string // on the disk whose size counts
	Agent   string // version of this program
	Now     time.Time
}

// Limits of what is read: a package database is as large as whoever may write it wants.
const (
	maxStatusBytes = 64 << 20
	maxStatusLine  = 64 << 10
	maxToolOutput  = 16 << 20
	toolPatience   = 2 * time.Minute
)

func (q Question) system() bool { return q.Root == "" || q.Root == "/" }

func (q Question) below(path string) string { return filepath.Join(q.Root, filepath.FromSlash(path)) }

// Collect reads the inventory of this machine. What cannot be read stays unknown; it never fails. ctx bounds
// the tools that it asks.
func Collect(ctx context.Context, q Question) *policy.Inventory {
	v := &policy.Inventory{OS: runtime.GOOS, Arch: runtime.GOARCH, Agent: line(q.Agent), At: q.Now.UTC(), Systems: []policy.PackageSystem{}, Packages: []policy.Package{}}
	v.Zone = zoneOf(zoneNames(), time.Local, q.Now)
	if hw := Hardware(); len(hw) > 0 && q.system() {
		v.Serial = line(hw[0])
	}
	v.Vendor, v.Model = maker()
	if free, total, err := Free(q.DataDir); err == nil {
		v.FreeBytes, v.DiskBytes = free, total
	}
	q.systemFacts(v)
	var all []policy.Package
	for _, s := range []struct {
		name string
		read func(context.Context) ([]policy.Package, error)
	}{{policy.SystemDeb, q.dpkg}, {policy.SystemRPM, q.rpm}, {policy.SystemWindows, q.programs}} {
		found, err := s.read(ctx)
		if errors.Is(err, errNoSystem) {
			continue
		}
		sys := policy.PackageSystem{Name: s.name}
		if err != nil {
			sys.Error = line(err.Error())
		}
		v.Systems = append(v.Systems, sys)
		all = append(all, found...)
	}
	v.Keep(all)
	return v
}

// errNoSystem: this machine has no such package system.
var errNoSystem = errors.New("no such package system here")

// Stamp changes when packages were installed or removed since; cheap enough to look every minute.
func Stamp(root string) string {
	q := Question{Root: root}
	h := content.NewHash()
	for _, p := range append([]string{dpkgStatus, "/etc/os-release"}, rpmDatabases...) {
		if fi, err := os.Stat(q.below(p)); err == nil {
			fmt.Fprintf(h, "%s %d %d\n", p, fi.Size(), fi.ModTime().UnixNano())
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil)[:8])
}

const dpkgStatus = "/var/lib/dpkg/status"

// dpkg reads the status file of dpkg itself, which dpkg replaces as a whole: reading needs no tool.
func (q Question) dpkg(context.Context) ([]policy.Package, error) {
	f, err := os.Open(q.below(dpkgStatus))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, errNoSystem
	}
	if err != nil {
		return nil, plainError(err)
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() || fi.Size() > maxStatusBytes {
		return nil, errors.New("the status file of dpkg is too large, or no file")
	}
	return ParseStatus(io.LimitReader(f, maxStatusBytes))
}

// ParseStatus reads dpkg's status file: the packages that are there, configured or not. A file of another form is
// an error, with what was read before it.
func ParseStatus(r io.Reader) ([]policy.Package, error) {
	var out []policy.Package
	p, there := policy.Package{System: policy.SystemDeb}, false
	end := func() {
		if there && p.Name != "" {
			out = append(out, p)
		}
		p, there = policy.Package{System: policy.SystemDeb}, false
	}
	lines := bufio.NewReaderSize(r, maxStatusLine)
	for {
		text, err := lines.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			// Only descriptions and lists of conffiles are that long, and those begin with a blank or are not ours.
			if text, err = skipLine(lines, text); err != nil && !errors.Is(err, io.EOF) {
				return out, plainError(err)
			}
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return out, plainError(err)
		}
		switch key, value, field := bytes.Cut(bytes.TrimRight(text, "\r\n"), []byte(":")); {
		case len(bytes.TrimSpace(text)) == 0:
			end()
		case text[0] == ' ' || text[0] == '\t' || !field: // continues the field above
		default:
			value := string(bytes.TrimSpace(value))
			switch string(key) {
			case "Package":
				p.Name = value
			case "Version":
				p.Version = value
			case "Architecture":
				p.Arch = value
			case "Status":
				there = isThere(value)
			}
		}
		if err != nil {
			end()
			return out, nil
		}
		if len(out) > 4*policy.MaxPackages {
			return out, errors.New("more packages than a machine has")
		}
	}
}

// skipLine reads the rest of a line that is too long, and gives its beginning.
func skipLine(r *bufio.Reader, begun []byte) ([]byte, error) {
	head := bytes.Clone(begun[:min(len(begun), 256)])
	for {
		_, err := r.ReadSlice('\n')
		if !errors.Is(err, bufio.ErrBufferFull) {
			return head, err
		}
	}
}

// isThere: dpkg's third word, by which the files of the package are on the machine.
func isThere(status string) bool {
	f := strings.Fields(status)
	if len(f) != 3 {
		return false
	}
	switch f[2] {
	case "installed", "half-configured", "triggers-awaiting", "triggers-pending", "unpacked":
		return true
	}
	return false
}

// plainError leaves out where our root lies.
func plainError(err error) error {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err
	}
	return err
}

// line makes text of this machine fit into an inventory.
func line(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r >= 0x7f && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(s, "?"))
	s = strings.TrimSpace(s)
	for len(s) > 250 {
		s = strings.ToValidUTF8(s[:250], "")
	}
	return s
}
