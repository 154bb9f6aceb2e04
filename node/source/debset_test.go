package source

import (
	"archive/tar"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// packed is a .tar of files, each name with its body.
func packed(t testing.TB, files ...string) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	for i := 0; i < len(files); i += 2 {
		h := &tar.Header{Name: files[i], Mode: 0o644, Size: int64(len(files[i+1]))}
		if strings.HasSuffix(h.Name, "/") {
			h.Typeflag, h.Size = tar.TypeDir, 0
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := io.WriteString(w, files[i+1]); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// R-H4: the packages of a set are named as their files say; what is no plain set is refused.
func TestRH4ASetTellsItsPackages(t *testing.T) {
	one := string(buildDeb(t, "none"))
	two := strings.Replace(strings.ReplaceAll(one, "hello-mesh", "hello-moon"), "Architecture: arm64\nMaintainer: N N <n@example.org>", "Architecture: all\nMaintainer: N N <nnn@example.org>", 1)
	other := strings.Replace(strings.ReplaceAll(one, "hello-mesh", "hello-mars"), "Architecture: arm64", "Architecture: amd64", 1)
	m, err := DescribeSet("Greetings.tar", bytes.NewReader(packed(t, "d/", "", "d/b.deb", two, "a.deb", one)))
	want := Meta{DefaultID: "greetings", Title: "2 packages: hello-mesh, hello-moon", Installer: "deb", Arch: "arm64",
		Packages: "hello-mesh:arm64=1:2.0-1~deb12u1 hello-moon:all=1:2.0-1~deb12u1"}
	if err != nil || m != want {
		t.Errorf("%+v, %v", m, err)
	}
	var many []string
	for i := range maxSet + 1 {
		many = append(many, fmt.Sprintf("%d.deb", i), strings.ReplaceAll(one, "hello-mesh", fmt.Sprintf("hello-%04d", i)))
	}
	if _, err := DescribeSet("x.tar", bytes.NewReader(packed(t, many[2:]...))); err != nil {
		t.Errorf("%d packages: %v", maxSet, err)
	}
	holey := func() []byte { // what a .tar of a few KiB may say: a package with a hole behind it, of any length
		var b bytes.Buffer
		w := tar.NewWriter(&b)
		h := &tar.Header{Name: "a.deb", Mode: 0o644, Size: int64(len(one)), PAXRecords: map[string]string{
			"XNU.sparse.name": "a.deb", "XNU.sparse.size": "70368744177664", "XNU.sparse.numblocks": "1", "XNU.sparse.map": fmt.Sprintf("0,%d", len(one))}}
		_ = w.WriteHeader(h)
		_, _ = io.WriteString(w, one)
		_ = w.Close()
		return bytes.ReplaceAll(b.Bytes(), []byte("XNU.sparse"), []byte("GNU.sparse")) // the writer would not
	}
	for name, b := range map[string][]byte{
		"a hole": holey(), "nothing": packed(t), "what is no package": packed(t, "a.deb", one, "notes.txt", "x"), "a damaged package": packed(t, "a.deb", one[:100]), "one twice": packed(t, "a.deb", one, "b.deb", one),
		"two architectures": packed(t, "a.deb", one, "b.deb", other), "no archive": []byte(strings.Repeat("x", 2000)), "cut": packed(t, "a.deb", one)[:700],
		"too many": packed(t, many...),
	} {
		if m, err := DescribeSet("x.tar", bytes.NewReader(b)); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
	if IsSet("x.tar", "archive") || IsSet("x.tar", "") || IsSet("x.deb", "deb") || !IsSet("x.TAR", "deb") {
		t.Error("what a set is")
	}
}

func FuzzSet(f *testing.F) {
	f.Add(packed(f, "a.deb", "!<arch>\ndebian-binary   0           0     0     100644  4         `\n2.0\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if m, err := DescribeSet("x.tar", bytes.NewReader(b)); err == nil && (m.Packages == "" || m.Installer != "deb") {
			t.Errorf("%+v", m)
		}
	})
}
