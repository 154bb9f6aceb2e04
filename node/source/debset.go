package source

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"
)

// maxSet bounds the packages of a set; an installer takes no more.
const maxSet = 64

// IsSet says whether a file is taken as a set of packages: a .tar for the installer deb.
func IsSet(name, installer string) bool {
	return installer == "deb" && strings.EqualFold(filepath.Ext(name), ".tar")
}

// DescribeSet reads what the packages of a set, a .tar of .deb files, say of themselves. Packages names them as the
// installer wants them, sorted, so that the same packages make the same update. ErrFormat.
func DescribeSet(name string, r io.Reader) (Meta, error) {
	m := Meta{DefaultID: cleanID(strings.TrimSuffix(strings.ToLower(name), ".tar")), Installer: "deb"}
	var names, list []string
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return Meta{}, fmt.Errorf("read %s: %w", name, errors.Join(ErrFormat, err))
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if h.Typeflag != tar.TypeReg || !strings.EqualFold(filepath.Ext(h.Name), ".deb") || len(list) == maxSet {
			return Meta{}, fmt.Errorf("read %s: %.60q is no .deb file, or there are more than %d: %w", name, h.Name, maxSet, ErrFormat)
		}
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse.") { // a hole of any length, which each machine would write out
				return Meta{}, fmt.Errorf("%.60q of %s has holes: %w", h.Name, name, ErrFormat)
			}
		}
		one, err := describeDeb(tr)
		if err != nil {
			return Meta{}, fmt.Errorf("read %.60q of %s: %w", h.Name, name, err)
		}
		switch {
		case m.Arch == "":
			m.Arch = one.Arch
		case one.Arch != "" && one.Arch != m.Arch:
			return Meta{}, fmt.Errorf("%s holds packages for %s and for %s: %w", name, m.Arch, one.Arch, ErrFormat)
		}
		arch := one.Arch
		if arch == "" {
			arch = "all"
		}
		id := one.Package + ":" + arch
		if slices.ContainsFunc(list, func(x string) bool { return strings.HasPrefix(x, id+"=") }) {
			return Meta{}, fmt.Errorf("%s holds %s twice: %w", name, id, ErrFormat)
		}
		names, list = append(names, one.Package), append(list, id+"="+one.Version)
	}
	if len(list) == 0 {
		return Meta{}, fmt.Errorf("%s holds no packages: %w", name, ErrFormat)
	}
	slices.Sort(names)
	slices.Sort(list)
	m.Packages = strings.Join(list, " ")
	m.Title = fmt.Sprintf("%d packages: %s", len(names), strings.Join(names[:min(len(names), 8)], ", "))
	if len(names) > 8 {
		m.Title += ", ..."
	}
	return m, nil
}
