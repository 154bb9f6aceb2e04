package source

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
)

// ErrFormat: the file is not what its name says.
var ErrFormat = errors.New("malformed package")

// Meta is what a file says of itself. Empty fields are unknown.
type Meta struct {
	DefaultID string // update id, when the admin gives none
	Title     string
	Installer string // kind, by what the file is
	Package   string
	Version   string
	Arch      string // as Go names it; empty: any
	Depends   string
	Packages  string // of a set: NAME:ARCH=VERSION, with spaces between
}

// Describe reads the metadata of a file from its beginning. It reads no more than it needs.
func Describe(name string, r io.Reader) (Meta, error) {
	read := map[string]func(io.Reader) (Meta, error){".deb": describeDeb, ".rpm": describeRPM}[strings.ToLower(filepath.Ext(name))]
	if read != nil {
		m, err := read(r)
		if err != nil {
			return Meta{}, fmt.Errorf("read %s: %w", name, err)
		}
		m.DefaultID = cleanID(m.Package + "-" + m.Version)
		return m, nil
	}
	kind := "file"
	if ext := strings.ToLower(filepath.Ext(name)); ext == ".msi" || ext == ".msu" {
		kind = ext[1:]
	}
	return Meta{DefaultID: cleanID(name), Title: name, Installer: kind}, nil
}

var notInID = regexp.MustCompile(`[^a-z0-9._+~-]+`)

// cleanID makes an update id of a name.
func cleanID(s string) string {
	s = notInID.ReplaceAllString(strings.ToLower(s), "-")
	s = strings.TrimLeft(s, "._+~-")
	return s[:min(len(s), 120)]
}
