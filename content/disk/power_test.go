package disk_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/content"
	"patchmesh/content/disk"
	"patchmesh/content/storetest"
)

// cable remembers the writes to payload files that were not synced, so that they can be lost.
type cable struct {
	unsynced map[string][]span
}

type span struct{ at, n int64 }

func (c *cable) system() disk.System {
	c.unsynced = map[string][]span{}
	return disk.System{
		WriteAt: func(f *os.File, b []byte, at int64) (int, error) {
			if strings.HasSuffix(f.Name(), ".part") {
				c.unsynced[f.Name()] = append(c.unsynced[f.Name()], span{at, int64(len(b))})
			}
			return f.WriteAt(b, at)
		},
		Sync: func(f *os.File) error {
			delete(c.unsynced, f.Name())
			return f.Sync()
		},
	}
}

// pull loses every other write that was not synced, as a disk does that reorders.
func (c *cable) pull(t *testing.T, s *disk.Store) (lost int) {
	t.Helper()
	if err := s.Abandon(); err != nil {
		t.Fatal(err)
	}
	for path, spans := range c.unsynced {
		f, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := 0; i < len(spans); i += 2 {
			if _, err := f.WriteAt(make([]byte, spans[i].n), spans[i].at); err != nil {
				t.Fatal(err)
			}
			lost++
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	return lost
}

func TestPowerCutLosesOnlyWhatWasNotSavedAndClaimsNothingWrong(t *testing.T) {
	dir := t.TempDir()
	m, stored := storetest.Packed(t, storetest.Random(5, 10*content.MinChunkBytes))
	var c cable
	s := openWith(t, dir, noReserve, c.system())
	put(t, s, m, stored, 9, 0, 4)
	if err := s.Sync(); err != nil {
		t.Fatal(err)
	}
	put(t, s, m, stored, 1, 2, 3, 5)
	if lost := c.pull(t, s); lost != 2 {
		t.Fatalf("%d writes were lost", lost)
	}
	s = open(t, dir)
	checkHad(t, s, m, stored, 0, 2, 4, 5, 9) // 1 and 3 were hinted and lost
	publish(t, s, m, stored)
}

// Hints that name everything are no more than a reason to look.
func TestHintsAreNotBelieved(t *testing.T) {
	m, stored := storetest.Packed(t, storetest.Text(6*content.MinChunkBytes))
	for name, hint := range map[string][]byte{
		"all": content.FullBits(6).Bytes(), "stray bits": {0xff}, "long": bytes.Repeat([]byte{0xff}, 1<<20), "empty": {},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			put(t, s, m, stored, 0, 2, 4)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			rewrite(t, dir, m.ID().String()+".hint", hint)
			checkHad(t, open(t, dir), m, stored, 0, 2, 4)
		})
	}
}

func rewrite(t *testing.T, dir, name string, b []byte) {
	t.Helper()
	if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestDamagedBookkeepingCostsRefetchingOnly(t *testing.T) {
	m, stored := storetest.Packed(t, storetest.Mixed(5, 6*content.MinChunkBytes))
	other, _ := storetest.Packed(t, storetest.Mixed(6, 6*content.MinChunkBytes))
	half := content.NewBits(m.Len())
	half.Set(5)
	for _, c := range []struct {
		name, suffix string
		body         []byte
		left         []int // chunks that are still believed
	}{
		{"garbage for have-bits", ".have", []byte("garbage"), nil},
		{"no have-bits", ".have", nil, nil},
		{"too many have-bits", ".have", make([]byte, 1<<20), nil},
		{"another payload's have-bits", ".have", disk.EncodeHave(other.ID(), content.FullBits(6)), nil},
		{"have-bits beyond the file", ".have", disk.EncodeHave(m.ID(), half), nil},
		{"garbage for a map", ".map", []byte("garbage"), []int{0, 1, 2}},
		{"another payload's map", ".map", other.Encode(), []int{0, 1, 2}},
		{"a map cut short", ".map", m.Encode()[:100], []int{0, 1, 2}},
		{"a data file cut short", ".part", stored[:m.Offset(2)-1], []int{0}},
		{"no data", ".part", nil, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			s := open(t, dir)
			put(t, s, m, stored, 0, 1, 2)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			rewrite(t, dir, m.ID().String()+".hint", nil) // no second chance
			rewrite(t, dir, m.ID().String()+c.suffix, c.body)
			s = open(t, dir)
			checkHad(t, s, m, stored, c.left...)
			publish(t, s, m, stored)
		})
	}
}

// A published file that an ill-fated copy or repair cut short is taken back; what still matches stays.
func TestPublishedPayloadOfTheWrongSizeIsSalvaged(t *testing.T) {
	for name, cut := range map[string]int64{"short": -1, "long": 1} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			m, stored := storetest.Packed(t, storetest.Random(5, 4*content.MinChunkBytes))
			s := open(t, dir)
			publish(t, s, m, stored)
			if err := s.Close(); err != nil {
				t.Fatal(err)
			}
			if err := os.Truncate(filepath.Join(dir, m.ID().String()), m.StoredBytes()+cut); err != nil {
				t.Fatal(err)
			}
			s = open(t, dir)
			if s.Published(m.ID()) {
				t.Fatal("a file of the wrong size counts as published")
			}
			left := []int{0, 1, 2, 3}
			if cut < 0 {
				left = left[:3]
			}
			checkHad(t, s, m, stored, left...)
			publish(t, s, m, stored)
			if fi, err := os.Stat(dataFile(s, m.ID())); err != nil || fi.Size() != m.StoredBytes() {
				t.Fatalf("published again with %d bytes, %v", fi.Size(), err)
			}
		})
	}
}

func TestDamageSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	m, stored := storetest.Packed(t, storetest.Random(5, 4*content.MinChunkBytes))
	s := open(t, dir)
	publish(t, s, m, stored)
	flip(t, dataFile(s, m.ID()), m.Offset(2)+7)
	r, err := s.OpenPlain(m.ID())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := new(bytes.Buffer).ReadFrom(r); err == nil {
		t.Fatal("damage was not found")
	}
	if err := s.Abandon(); err != nil { // killed at once
		t.Fatal(err)
	}
	s = open(t, dir)
	checkHad(t, s, m, stored, 0, 1, 3)
	publish(t, s, m, stored)
}
