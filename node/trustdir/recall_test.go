package trustdir

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/policy"
)

func flipped(b []byte) []byte {
	b[len(b)/2] ^= 1
	return b
}

func gone([]byte) []byte { return nil }

// What is believed after each kind of damage: never less than was trusted, never silently.
func TestRecallBelievesTheNextBestProofAndSaysSo(t *testing.T) {
	o := newOrg(t)
	first := o.trust
	second := o.approve(t0.Add(time.Hour))
	both := func(m *memDisk, names [2]string, how func([]byte) []byte) {
		for _, n := range names {
			m.edit("/data/trust/"+n, how)
		}
	}
	floors, pointers := [2]string{"floor", "floor.copy"}, [2]string{"current", "current.copy"}
	for _, c := range []struct {
		name   string
		damage func(*memDisk)
		head   int64 // believed
		floor  int64 // of the timestamp, that binds
		lost   bool
	}{
		{"nothing", func(*memDisk) {}, 2, 2, false},
		{"one floor damaged", func(m *memDisk) { m.edit("/data/trust/floor", flipped) }, 2, 2, false},
		{"the other floor gone", func(m *memDisk) { m.edit("/data/trust/floor.copy", gone) }, 2, 2, false},
		{"one pointer damaged", func(m *memDisk) { m.edit("/data/trust/current", flipped) }, 2, 2, false},
		{"floors damaged", func(m *memDisk) { both(m, floors, flipped) }, 2, 2, true},
		{"floors gone", func(m *memDisk) { both(m, floors, gone) }, 2, 2, true},
		{"pointers damaged", func(m *memDisk) { both(m, pointers, flipped) }, 0, 2, true},
		{"pointers gone", func(m *memDisk) { both(m, pointers, gone) }, 0, 2, true},
		{"a document damaged", func(m *memDisk) { m.edit("/data/trust/v00000002/manifest.json", flipped) }, 0, 2, true},
		{"a document gone", func(m *memDisk) { m.edit("/data/trust/v00000002/snapshot.json", gone) }, 0, 2, true},
		{"the set before put back", func(m *memDisk) {
			p := pointer{Set: setName(1), Number: 1, Digest: digest(first.Files())}
			b := fmt.Appendf(nil, `{"set":%q,"number":%d,"digest":%q}`, p.Set, p.Number, p.Digest)
			both(m, pointers, func([]byte) []byte { return b })
		}, 0, 2, true},
		{"all gone", func(m *memDisk) { m.edit("/data/trust", gone) }, 0, 0, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			disk, d := newMachine(t, first)
			if err := d.Keep(second, at(t0.Add(time.Hour))); err != nil {
				t.Fatal(err)
			}
			c.damage(disk)
			d, r := recall(t, disk, first.Files().Root)
			if (r.Lost != nil) != c.lost || (d.Lost() != nil) != c.lost {
				t.Fatalf("lost: %v", r.Lost)
			}
			if got := r.Trust.HeadVersion(); got != c.head {
				t.Fatalf("head %d is believed, want %d", got, c.head)
			}
			if got := d.floor.Floor.Timestamp; got != c.floor {
				t.Fatalf("the floor is %d, want %d", got, c.floor)
			}
			if err := d.KeepTime(at(t0.Add(2 * time.Hour))); err != nil {
				t.Fatal(err)
			}
			if _, again := recall(t, disk, first.Files().Root); (again.Lost != nil) != c.lost {
				t.Fatalf("after another start: %v", again.Lost)
			}
			if c.floor == 2 {
				if err := d.Keep(first, at(t0)); !errors.Is(err, policy.ErrRollback) {
					t.Fatalf("the set before: %v, want ErrRollback", err)
				}
			}
			if err := d.Keep(second, at(t0.Add(time.Hour))); err != nil {
				t.Fatalf("the same head again: %v", err)
			}
			if _, again := recall(t, disk); again.Lost != nil || again.Trust.HeadVersion() != 2 || again.Trust.Epoch() != 2 {
				t.Fatalf("not whole again: %v", again.Lost)
			}
		})
	}
}

// Without any root there is nothing to verify with.
func TestRecallWithoutAnythingIsAnError(t *testing.T) {
	disk := newMemDisk()
	d, err := openOn("/data/trust", disk)
	if err != nil {
		t.Fatal(err)
	}
	for _, roots := range [][][]byte{nil, {nil}, {[]byte("{}"), []byte("garbage")}} {
		if _, err := d.Recall(roots...); !errors.Is(err, ErrEmpty) {
			t.Fatalf("%v, want ErrEmpty", err)
		}
	}
	o := newOrg(t)
	disk, _ = newMachine(t, o.trust)
	disk.edit("/data/trust/v00000001/root.json", flipped)
	disk.edit("/data/trust/floor", flipped)
	disk.edit("/data/trust/floor.copy", flipped)
	d, _ = openOn("/data/trust", disk)
	if _, err := d.Recall(); !errors.Is(err, ErrDamaged) {
		t.Fatalf("%v, want ErrDamaged", err)
	}
}

// Of several roots the newest is taken, whatever their order.
func TestRecallTakesTheNewestRoot(t *testing.T) {
	o := newOrg(t)
	one := o.trust.Files().Root
	two := o.rotate(t0).Files().Root
	for _, roots := range [][][]byte{{one, two}, {two, one}} {
		disk := newMemDisk()
		d, err := openOn("/data/trust", disk)
		if err != nil {
			t.Fatal(err)
		}
		r, err := d.Recall(roots...)
		if err != nil || r.Trust.RootVersion() != 2 {
			t.Fatalf("%v", err)
		}
	}
}

// What has not changed is not written again: an idle mesh costs no disk writes.
func TestKeepingTheSameTrustWritesNothing(t *testing.T) {
	o := newOrg(t)
	disk, d := newMachine(t, o.trust)
	disk.step = 0
	if err := errors.Join(d.Keep(o.trust, at(t0)), d.KeepTime(at(t0))); err != nil || disk.step != 0 {
		t.Fatalf("%d steps, %v", disk.step, err)
	}
	d, _ = recall(t, disk)
	disk.step = 0
	if err := d.Keep(o.trust, at(t0)); err != nil || disk.step != 0 {
		t.Fatalf("after a start: %d steps, %v", disk.step, err)
	}
}

// On the real disk: private files, and nothing but plain files is read.
func TestRealFolder(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trust")
	d, err := Open(path)
	if err != nil {
		t.Fatal(err)
	}
	o := newOrg(t)
	if err := d.Keep(o.trust, at(t0)); err != nil {
		t.Fatal(err)
	}
	if err := d.Keep(o.approve(t0.Add(time.Hour)), at(t0.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	err = filepath.WalkDir(path, func(p string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := e.Info()
		if err == nil && os.PathSeparator == '/' && fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s can be read by others: %s", p, fi.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	d, _ = Open(path)
	if r, err := d.Recall(); err != nil || r.Lost != nil || r.Trust.Epoch() != 2 {
		t.Fatalf("%v, %v", r.Lost, err)
	}
	b, err := os.ReadFile(filepath.Join(path, "floor"))
	if err != nil {
		t.Fatal(err)
	}
	elsewhere := filepath.Join(t.TempDir(), "floor")
	if err := os.WriteFile(elsewhere, b, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, name := range floorNames {
		_ = os.Remove(filepath.Join(path, name))
		if err := os.Symlink(elsewhere, filepath.Join(path, name)); err != nil {
			t.Skipf("no links here: %v", err)
		}
	}
	if r, err := d.Recall(); err != nil || r.Lost == nil {
		t.Fatalf("floors read through a link: %v, %v", r.Lost, err)
	}
	if err := d.Keep(o.trust, at(t0.Add(time.Hour))); err != nil {
		t.Fatal(err)
	}
	if now, _ := os.ReadFile(elsewhere); !bytes.Equal(now, b) {
		t.Fatal("a floor was written through a link")
	}
}

func TestOpenOnAFileIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "trust")
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path); err == nil {
		t.Fatal("a file was opened as a folder")
	}
}

// A floor is hostile input too: who can write to the folder must not crash the node.
func FuzzDecodeFloor(f *testing.F) {
	o := newOrg(f)
	good, err := floorDoc{Number: 3, Floor: o.trust.Floor(), Clock: at(t0), Root: o.trust.Files().Root}.encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte("b3\n{}"))
	f.Fuzz(func(t *testing.T, b []byte) {
		doc, err := decodeFloor(b)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Fatalf("%v is not ErrDamaged", err)
			}
			return
		}
		if doc.Number == 0 || doc.Floor.Valid() != nil {
			t.Fatal("an impossible floor was taken")
		}
		_ = doc.Floor.Check(o.trust)
		// The checksum is no secret: whatever is behind it must decode or be refused as well.
		sealed, err := doc.encode()
		if err != nil {
			t.Fatal(err)
		}
		if again, err := decodeFloor(sealed); err != nil || again.Number != doc.Number {
			t.Fatalf("encodes and does not decode: %v", err)
		}
	})
}

// FuzzDecodeSealedFloor puts the right checksum before anything.
func FuzzDecodeSealedFloor(f *testing.F) {
	o := newOrg(f)
	good, err := floorDoc{Number: 3, Floor: o.trust.Floor(), Clock: at(t0), Root: o.trust.Files().Root}.encode()
	if err != nil {
		f.Fatal(err)
	}
	_, body, _ := bytes.Cut(good, []byte("\n"))
	f.Add(body)
	f.Add([]byte(`{"number":1,"floor":{"root":1,"timestamp":-1,"snapshot":0,"targets":null,"online":null},"root":null}`))
	f.Add([]byte(`{"number":1,"floor":{"root":1,"timestamp":1,"snapshot":1,"targets":{"targets":9223372036854775807},"online":["x"]},"root":"AA=="}{}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		doc, err := decodeFloor(seal(body))
		if err != nil {
			return
		}
		if err := doc.Floor.Check(o.trust); err == nil && doc.Floor.Root > 1 {
			t.Fatal("a root below the floor was taken")
		}
	})
}
