package trustdir

import (
	"errors"
	"io"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"patchmesh/policy"
)

// blind is a disk that cannot list its folders any more, or read some of its files.
type blind struct {
	*memDisk
	deaf  bool
	dirty string // reading a file of this name fails half-way
}

func (b *blind) names(p string) ([]string, error) {
	if b.deaf {
		return nil, syscall.EIO
	}
	return b.memDisk.names(p)
}

func (b *blind) open(p string) (io.ReadCloser, error) {
	r, err := b.memDisk.open(p)
	if err == nil && filepath.Base(p) == b.dirty {
		return io.NopCloser(io.MultiReader(io.LimitReader(r, 3), failing{})), nil
	}
	return r, err
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, syscall.EIO }

func TestUnreadableDiskIsNoReasonToForget(t *testing.T) {
	o := newOrg(t)
	disk, d := newMachine(t, o.trust)
	b := &blind{memDisk: disk}
	d.sys = b
	b.deaf = true
	if err := d.Keep(o.approve(t0.Add(time.Hour)), at(t0)); !errors.Is(err, syscall.EIO) {
		t.Fatalf("keep without seeing the folder: %v", err)
	}
	for _, name := range pointerNames {
		disk.edit("/data/trust/"+name, gone)
	}
	if err := d.Keep(o.trust, at(t0)); !errors.Is(err, syscall.EIO) {
		t.Fatalf("keep without knowing which number is free: %v", err)
	}
	b.deaf = false
	if err := d.Keep(o.trust, at(t0)); err != nil {
		t.Fatal(err)
	}
	b.dirty = "manifest.json"
	r, err := d.Recall()
	if err != nil || r.Lost == nil || r.Trust.Manifest() != nil || d.floor.Floor.Timestamp != o.trust.HeadVersion() {
		t.Fatalf("a document that cannot be read: %+v, %v", r.Lost, err)
	}
}

func TestOversizeFilesAreNotReadWhole(t *testing.T) {
	o := newOrg(t)
	disk, _ := newMachine(t, o.trust)
	for _, name := range []string{"floor", "floor.copy"} {
		disk.edit("/data/trust/"+name, func(b []byte) []byte { return append(b, make([]byte, maxFloorBytes)...) })
	}
	if _, r := recall(t, disk); r.Lost == nil {
		t.Fatal("a floor of more than a mebibyte was taken")
	}
}

// The copy may be the newer one, after a crash of another program that wrote only it.
func TestNewerPointerWins(t *testing.T) {
	o := newOrg(t)
	first := o.trust
	disk, d := newMachine(t, first)
	old, err := d.readLimited("/data/trust/current", 4096)
	if err != nil {
		t.Fatal(err)
	}
	if err := d.Keep(o.approve(t0.Add(time.Hour)), at(t0)); err != nil {
		t.Fatal(err)
	}
	disk.edit("/data/trust/current", func([]byte) []byte { return old })
	if _, r := recall(t, disk); r.Lost != nil || r.Trust.Epoch() != 2 {
		t.Fatalf("epoch %d, %v", r.Trust.Epoch(), r.Lost)
	}
}

// A machine that has joined may hold the root alone.
func TestRootAloneIsKept(t *testing.T) {
	o := newOrg(t)
	root, err := policy.NewTrust(o.trust.Files().Root)
	if err != nil {
		t.Fatal(err)
	}
	disk, d := newMachine(t, root)
	if _, r := recall(t, disk); r.Lost != nil || r.Trust.RootVersion() != 1 || r.Trust.Manifest() != nil {
		t.Fatalf("%+v", r.Lost)
	}
	if err := d.Keep(o.trust, at(t0)); err != nil {
		t.Fatal(err)
	}
}

func TestSealedNonsenseIsNoFloor(t *testing.T) {
	for _, body := range []string{"", "null", "[]", `{"number":1,"unknown":2}`, `{"number":1}`, `{"number":1}{}`} {
		if _, err := decodeFloor(seal([]byte(body))); !errors.Is(err, ErrDamaged) {
			t.Errorf("%q: %v, want ErrDamaged", body, err)
		}
	}
}

// A wall clock beyond the year 9999 must not damage what is kept.
func TestImpossibleTimeIsNotKept(t *testing.T) {
	o := newOrg(t)
	disk, d := newMachine(t, o.trust)
	if err := d.KeepTime(at(time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC))); err == nil {
		t.Fatal("a time that nobody can read was kept")
	}
	if _, r := recall(t, disk); r.Lost != nil {
		t.Fatal(r.Lost)
	}
}

func TestRealDiskTellsItsErrors(t *testing.T) {
	dir := t.TempDir()
	var sys realSystem
	if names, err := sys.names(filepath.Join(dir, "nowhere")); err != nil || names != nil {
		t.Errorf("a folder that is not there: %v, %v", names, err)
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := sys.create(filepath.Join(file, "below")); err == nil {
		t.Error("a file was made below a file")
	}
	if os.PathSeparator == '/' {
		if err := sys.syncDir(filepath.Join(dir, "nowhere")); err == nil {
			t.Error("a folder that is not there was synced")
		}
	}
}

// Who only looks at another user's folder makes and changes nothing, and reads what its owner saved.
func TestLookReadsAndLeavesNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trust")
	if _, err := Look(path).Load(); !errors.Is(err, ErrEmpty) {
		t.Errorf("a folder that is not there: %v", err)
	}
	if _, err := os.Lstat(path); err == nil {
		t.Fatal("looking made a folder")
	}
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	files := newOrg(t).trust.Files()
	if err := d.Save(files); err != nil {
		t.Fatal(err)
	}
	if got, err := Look(path).Load(); err != nil || digest(got) != digest(files) {
		t.Errorf("%v", err)
	}
}
