package source

import (
	"archive/tar"
	"bufio"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/klauspost/compress/zstd"
	"github.com/ulikunitz/xz"
)

// Limits while reading a .deb (deb(5)).
const (
	maxControlArchive = 8 << 20 // packed
	maxControlPlain   = 64 << 20
	maxControlFile    = 256 << 10
	maxEntries        = 4096
	maxZstdWindow     = 8 << 20 // dpkg-deb packs with 8 MiB at most but for its ultra levels; a frame may claim far more
)

// describeDeb reads the control file: the second member of an ar archive.
func describeDeb(r io.Reader) (Meta, error) {
	br := bufio.NewReader(r)
	magic := make([]byte, 8)
	if _, err := io.ReadFull(br, magic); err != nil || string(magic) != "!<arch>\n" {
		return Meta{}, fmt.Errorf("no ar archive: %w", ErrFormat)
	}
	for range 4 { // debian-binary comes first, control after it
		name, size, err := arHeader(br)
		if err != nil {
			return Meta{}, err
		}
		if !strings.HasPrefix(name, "control.tar") {
			if size > 1<<20 {
				return Meta{}, fmt.Errorf("member %.20q before the control archive: %w", name, ErrFormat)
			}
			if _, err := br.Discard(int(size + size%2)); err != nil {
				return Meta{}, fmt.Errorf("cut archive: %w", ErrFormat)
			}
			continue
		}
		if size > maxControlArchive {
			return Meta{}, fmt.Errorf("control archive of %d bytes: %w", size, ErrFormat)
		}
		return readControl(name, io.LimitReader(br, size))
	}
	return Meta{}, fmt.Errorf("no control archive: %w", ErrFormat)
}

// arHeader reads one header of 60 bytes: name 16, time, ids, mode, size 10 at 48, and its end mark.
func arHeader(r io.Reader) (string, int64, error) {
	h := make([]byte, 60)
	if _, err := io.ReadFull(r, h); err != nil || h[58] != '`' || h[59] != '\n' {
		return "", 0, fmt.Errorf("archive header: %w", ErrFormat)
	}
	size, err := strconv.ParseInt(strings.TrimSpace(string(h[48:58])), 10, 64)
	if err != nil || size < 0 {
		return "", 0, fmt.Errorf("archive header: %w", ErrFormat)
	}
	return strings.TrimRight(strings.TrimSpace(string(h[:16])), "/"), size, nil
}

func readControl(name string, packed io.Reader) (Meta, error) {
	plain, err := unpack(name, packed)
	if err != nil {
		return Meta{}, err
	}
	tr := tar.NewReader(io.LimitReader(plain, maxControlPlain))
	for range maxEntries {
		h, err := tr.Next()
		if err != nil {
			break
		}
		if strings.TrimPrefix(h.Name, "./") != "control" || h.Typeflag != tar.TypeReg {
			continue
		}
		b, err := io.ReadAll(io.LimitReader(tr, maxControlFile+1))
		if err != nil || len(b) > maxControlFile {
			return Meta{}, fmt.Errorf("control file: %w", ErrFormat)
		}
		return parseControl(string(b))
	}
	return Meta{}, fmt.Errorf("no control file: %w", ErrFormat)
}

// unpack opens the control archive by its suffix.
func unpack(name string, r io.Reader) (io.Reader, error) {
	var out io.Reader
	var err error
	switch name {
	case "control.tar":
		return r, nil
	case "control.tar.gz":
		out, err = gzip.NewReader(r)
	case "control.tar.xz":
		out, err = xz.ReaderConfig{DictCap: maxControlPlain}.NewReader(r)
	case "control.tar.zst":
		// One goroutine and little memory: what a frame claims of itself is refused before it is set aside.
		out, err = zstd.NewReader(r, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxZstdWindow), zstd.WithDecoderMaxMemory(maxControlPlain))
	default:
		return nil, fmt.Errorf("control archive %.20q is packed in an unknown way: %w", name, ErrFormat)
	}
	if err != nil {
		return nil, errors.Join(ErrFormat, err)
	}
	return out, nil
}

// Debian policy 5.6.1 and 5.6.12: what names and versions may be.
var (
	debPackage = regexp.MustCompile(`^[a-z0-9][a-z0-9+.-]{1,127}$`)
	debVersion = regexp.MustCompile(`^[0-9][A-Za-z0-9.+:~-]{0,127}$`)
)

// goArch maps Debian's architecture names to Go's.
var goArch = map[string]string{
	"all": "", "amd64": "amd64", "arm64": "arm64", "armhf": "arm", "armel": "arm", "i386": "386",
	"ppc64el": "ppc64le", "s390x": "s390x", "riscv64": "riscv64", "mips64el": "mips64le", "loong64": "loong64",
}

func parseControl(text string) (Meta, error) {
	f := fields(text)
	m := Meta{Installer: "deb", Package: f["package"], Version: f["version"], Depends: join(f["pre-depends"], f["depends"])}
	arch, known := goArch[f["architecture"]]
	if !debPackage.MatchString(m.Package) || !debVersion.MatchString(m.Version) {
		return Meta{}, fmt.Errorf("package %.40q version %.40q: %w", m.Package, m.Version, ErrFormat)
	}
	if !known {
		return Meta{}, fmt.Errorf("architecture %.40q is not known: %w", f["architecture"], ErrFormat)
	}
	m.Arch = arch
	title, _, _ := strings.Cut(f["description"], "\n")
	m.Title = strings.TrimSpace(m.Package + " " + m.Version + ": " + title)
	return m, nil
}

func join(a, b string) string {
	if a == "" || b == "" {
		return a + b
	}
	return a + ", " + b
}

// fields reads the first paragraph of a control file; names in lower case, continuation lines kept.
func fields(text string) map[string]string {
	out := map[string]string{}
	last := ""
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\r\n")
		if line == "" {
			break
		}
		if line[0] == ' ' || line[0] == '\t' {
			if last != "" {
				out[last] += "\n" + strings.TrimSpace(line)
			}
			continue
		}
		k, v, ok := strings.Cut(line, ":")
		if !ok {
			last = ""
			continue
		}
		last = strings.ToLower(k)
		out[last] = strings.TrimSpace(v)
	}
	return out
}
