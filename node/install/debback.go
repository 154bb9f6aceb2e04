package install

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// The way back of a package: the verified file of what was installed before is kept, under a note that
// names it by package, version and architecture.

const debNotePrefix = "deb-"

func debNote(s Spec, version string) string {
	sum := sha256.Sum256([]byte(strings.Join([]string{s.Package, version, s.Arch}, "\x00")))
	return debNotePrefix + hex.EncodeToString(sum[:16])
}

// keepDebs keeps the packages that were just installed, for the day when newer ones have to go back to them.
// It is done as far as the disk allows: an install is not undone because its own way back is short.
// What an open trial may have to go back to stays, however much that is: its probe has not spoken.
func (j Job) keepDebs(debs []staged) {
	needed := j.wayBack()
	for _, d := range debs {
		one := j
		one.Spec = d.part
		one.keepDeb(d.path, needed...)
		needed = append(needed, keptName(one.Spec))
	}
}

// wayBack names the kept packages that the open trial of an update goes back to.
func (j Job) wayBack() (names []string) {
	t, open := j.openTrial()
	if !open {
		return nil
	}
	all, err := parts(j.Spec)
	if err != nil {
		return nil
	}
	then, err := partsBefore(j.Spec, all, t.Before)
	if err != nil {
		return nil
	}
	for _, old := range then {
		if sum, err := readNote(filepath.Join(j.Keep, debNote(old, old.Version))); err == nil {
			names = append(names, keptName(Spec{SHA256: sum}))
		}
	}
	return names
}

func (j Job) keepDeb(staged string, others ...string) {
	if j.Keep == "" || j.checkSpace(j.Keep, j.Spec.PlainBytes) != nil || j.keepPayload(staged, others...) != nil {
		return
	}
	note := filepath.Join(j.Keep, debNote(j.Spec, j.Spec.Version))
	_ = writeDurably(note, []byte(hex.EncodeToString(j.Spec.SHA256[:])))
	pruneNotes(j.Keep)
}

// pruneNotes forgets notes whose payload is gone.
func pruneNotes(dir string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), debNotePrefix) {
			continue
		}
		path := filepath.Join(dir, e.Name())
		sum, err := readNote(path)
		if err == nil {
			_, err = os.Lstat(filepath.Join(dir, keptPrefix+hex.EncodeToString(sum[:])))
		}
		if errors.Is(err, fs.ErrNotExist) || errors.Is(err, errNote) {
			_ = os.Remove(path)
		}
	}
}

var errNote = errors.New("the note of a kept package is damaged")

func readNote(path string) (sum [32]byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return sum, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, 100))
	if err != nil {
		return sum, err
	}
	raw, err := hex.DecodeString(string(b))
	if err != nil || len(raw) != len(sum) {
		return sum, errNote
	}
	return [32]byte(raw), nil
}

// Rollback implements Rollbacker: the version of before is installed over what is there now, or the
// package is removed if there was none. What had it installed was approved once; that it comes back is
// the wish of those who have signed the probe.
func (d *debInstaller) Rollback(ctx context.Context, j Job, before string) (Result, error) {
	return d.locked(ctx, j, func(p *dpkg) (Result, error) { return d.rollBackParts(ctx, p, j, before) })
}

// undoesFailures implements undoer: a package that is half configured blocks every other one.
func (*debInstaller) undoesFailures() {}

// repair finishes what an interrupted run of a package tool has left, of whatever package: dpkg does
// nothing else well before. It is an attempt; the package on its way may be the very thing that helps.
func (p *dpkg) repair(ctx context.Context, j Job) error {
	rows, err := p.packages(ctx, "")
	if err != nil {
		return err
	}
	for _, r := range rows {
		if strings.ContainsRune("UFWt", rune(r.status)) {
			return p.change(ctx, j, "--configure", "--pending").notBegun
		}
	}
	return nil
}
