package install_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"patchmesh/node/install"
)

func randomBody(size int) []byte {
	b := make([]byte, size)
	_, _ = rand.NewChaCha8([32]byte{byte(size)}).Read(b)
	return b
}

// folders are places on different file systems, as far as this machine has them.
func folders(t *testing.T) map[string]string {
	t.Helper()
	dirs := map[string]string{"disk": t.TempDir()}
	if dir, err := os.MkdirTemp("/dev/shm", "patchmesh-test-"); err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		dirs["memory"] = dir
	}
	return dirs
}

func TestFileOfAnySizeIsPlacedWhole(t *testing.T) {
	for where, root := range folders(t) {
		for _, size := range []int{0, 1, 4095, 4096, 4097, 1<<20 - 1, 1 << 20, 1<<20 + 1, 1<<20 + 4096, 3<<20 + 17} {
			body := randomBody(size)
			if _, err := installer(t, "file").Install(t.Context(), fileJob(root, "/file", body)); err != nil {
				t.Fatalf("%s, %d bytes: %v", where, size, err)
			}
			if got := read(t, filepath.Join(root, "file")); got != string(body) {
				t.Errorf("%s: %d bytes were placed as %d others", where, size, len(got))
			}
		}
	}
}

// A file system may refuse a direct write for its form; the copy goes on without.
func TestBesideTakesPiecesOfAnyForm(t *testing.T) {
	for where, root := range folders(t) {
		f, err := os.Create(filepath.Join(root, "f"))
		if err != nil {
			t.Fatal(err)
		}
		body := randomBody(3 << 20)
		w := install.Beside(f)
		for at, size := 0, 4096; at < len(body); at += size {
			size = min(size*3+1, len(body)-at) // neither sizes nor places in memory are aligned
			if n, err := w.Write(body[at : at+size]); n != size || err != nil {
				t.Fatalf("%s: %d of %d bytes: %v", where, n, size, err)
			}
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, f.Name()); got != string(body) {
			t.Errorf("%s: the file differs", where)
		}
	}
}

// damagedShelf is a payload that goes wrong after it was published.
type damagedShelf struct {
	io.Reader
	matched, rechecked int
	found              error
}

func (*damagedShelf) Close() error     { return nil }
func (d *damagedShelf) Matched()       { d.matched++ }
func (d *damagedShelf) Recheck() error { d.rechecked++; return d.found }

func TestMismatchIsToldToTheStore(t *testing.T) {
	root, body := t.TempDir(), randomBody(1<<20+5)
	bad := bytes.Clone(body)
	bad[77] ^= 1
	found := errors.New("chunk 0 is damaged")
	shelf := &damagedShelf{Reader: bytes.NewReader(bad), found: found}
	j := fileJob(root, "/file", body)
	j.Open = func() (io.ReadCloser, error) { return shelf, nil }
	_, err := installer(t, "file").Install(t.Context(), j)
	if !errors.Is(err, install.ErrVerify) || !errors.Is(err, found) || shelf.rechecked != 1 || shelf.matched != 0 {
		t.Errorf("%v after %d rechecks, want ErrVerify and what the store found", err, shelf.rechecked)
	}
	if _, err := os.Stat(filepath.Join(root, "file")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the wrong bytes were placed: %v", err)
	}
	shelf = &damagedShelf{Reader: bytes.NewReader(body)}
	if _, err := installer(t, "file").Install(t.Context(), j); err != nil || shelf.rechecked != 0 || shelf.matched != 1 {
		t.Errorf("sound payload: %v, %d rechecks, %d times told that it matched", err, shelf.rechecked, shelf.matched)
	}
}
