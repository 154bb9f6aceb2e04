package disk_test

import (
	"errors"
	"os"
	"path/filepath"
	"testing"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// victimFile is a file that a planted link leads to.
func victimFile(t *testing.T) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "victim")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
			t.Errorf("the file behind the link was changed: %q, %v", b, err)
		}
	})
	return path
}

func TestWhatIsNotTheStoresOwnIsRefused(t *testing.T) {
	m, stored := storetest.Packed(t, storetest.Random(5, 2*content.MinChunkBytes))
	for _, name := range []string{"", ".map", ".part", ".have", ".hint", ".lock"} {
		for kind, plant := range map[string]func(path string) error{
			"link":   func(path string) error { return os.Symlink(victimFile(t), path) },
			"folder": func(path string) error { return os.Mkdir(path, 0o700) },
		} {
			t.Run(kind+name, func(t *testing.T) {
				dir := t.TempDir()
				s := open(t, dir)
				put(t, s, m, stored, 0)
				if err := s.Close(); err != nil {
					t.Fatal(err)
				}
				path := filepath.Join(dir, m.ID().String()+name)
				if name == ".lock" {
					path = filepath.Join(dir, name)
				}
				_ = os.Remove(path)
				if err := plant(path); err != nil {
					t.Fatal(err)
				}
				s, err := disk.Open(dir, noReserve)
				if err == nil {
					_ = s.Close()
				}
				if !errors.Is(err, disk.ErrUnsafe) {
					t.Fatalf("open: %v, want ErrUnsafe", err)
				}
			})
		}
	}
}

func TestFolderThatIsALinkIsRefused(t *testing.T) {
	link := filepath.Join(t.TempDir(), "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	if _, err := disk.Open(link, noReserve); !errors.Is(err, disk.ErrUnsafe) {
		t.Fatalf("open: %v, want ErrUnsafe", err)
	}
}

// Planted while the store is open, a link must not redirect writes either.
func TestLinkPlantedUnderAnOpenStoreIsRefused(t *testing.T) {
	dir := t.TempDir()
	opt := noReserve
	opt.OpenFiles = 1
	s := openWith(t, dir, opt, disk.System{})
	m, stored := storetest.Packed(t, storetest.Random(5, 2*content.MinChunkBytes))
	other, otherStored := storetest.Packed(t, storetest.Random(6, 100))
	put(t, s, m, stored, 0)
	put(t, s, other, otherStored, 0) // closes m's files
	part := dataFile(s, m.ID())
	if err := errors.Join(os.Remove(part), os.Symlink(victimFile(t), part)); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Put(m.ID(), 1, storetest.ChunkOf(m, stored, 1)); !errors.Is(err, disk.ErrUnsafe) {
		t.Fatalf("put through a link: %v, want ErrUnsafe", err)
	}
}

func TestForeignFilesAreLeftAlone(t *testing.T) {
	dir := t.TempDir()
	note := filepath.Join(dir, "notes.new")
	if err := os.WriteFile(note, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	open(t, dir)
	if b, err := os.ReadFile(note); err != nil || string(b) != "mine" {
		t.Fatalf("a file that the store never made was touched: %v", err)
	}
}

func FuzzDecodeHave(f *testing.F) {
	id := content.Sum([]byte("payload"))
	f.Add(9, disk.EncodeHave(id, content.FullBits(9)))
	f.Add(0, []byte{})
	f.Fuzz(func(t *testing.T, n int, b []byte) {
		bits, err := disk.DecodeHave(id, n, b)
		if err == nil && string(disk.EncodeHave(id, bits)) != string(b) {
			t.Fatal("have-bits have two encodings")
		}
		if other, err := disk.DecodeHave(content.Sum(b), n, b); err == nil {
			t.Fatalf("one payload's bits are another's: %v", other)
		}
	})
}

func FuzzParseName(f *testing.F) {
	name := content.Sum([]byte("payload")).String()
	for _, s := range []string{name, name + ".map", name + ".part", "../" + name, ".lock", ""} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, name string) {
		id, suffix, ours := disk.ParseName(name)
		if ours && (id.String()+suffix != name || filepath.Base(name) != name) {
			t.Fatalf("%q reads as %s%s", name, id, suffix)
		}
	})
}
