//go:build linux

package install_test

import (
	"archive/tar"
	"bytes"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"patchmesh/node/install"
)

// holey is a .tar with a package that an attacker has given a hole after its end: of a few KiB every machine would
// write as many zeros as the hole is long, which is up to the attacker.
func holey(t *testing.T, deb []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	h := &tar.Header{Name: "a.deb", Mode: 0o644, Size: int64(len(deb)), PAXRecords: map[string]string{
		"XNU.sparse.name": "a.deb", "XNU.sparse.size": "268435456", "XNU.sparse.numblocks": "1", "XNU.sparse.map": "0," + strconv.Itoa(len(deb)),
	}}
	if err := w.WriteHeader(h); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write(deb); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return bytes.ReplaceAll(b.Bytes(), []byte("XNU.sparse"), []byte("GNU.sparse")) // the writer would not
}

// R-H4, R-G8: what comes out of a set is no more than what went in.
func TestRH4ASetWithAHoleFillsNoDisk(t *testing.T) {
	needDpkg(t)
	root := t.TempDir()
	j := setJob(t, root, "tool:all=1", holey(t, deb{name: "tool", version: "1"}.build(t)))
	if err := os.Mkdir(j.Work, 0o700); err != nil {
		t.Fatal(err)
	}
	e := bring(t, j, install.ReasonDenied)
	if !strings.Contains(e.Error(), "more than") {
		t.Errorf("%v", e)
	}
	if left := names(t, filepath.Join(root, "work")); left != "" {
		t.Errorf("left in the work folder: %s", left)
	}
}
