// Package installtest is the suite that every installer passes. An installer's test builds two
// versions of one update on real files and hands them to Run.
package installtest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/node/install"
)

// Fixture is a fresh root with two versions of one update for it.
type Fixture struct {
	// Spec without SHA256 and PlainBytes; Args and Package say what the installer wants.
	Old, New install.Spec
	// The payloads of the two.
	OldPayload, NewPayload []byte
	Root, Work             string
	// Ignore lists path prefixes below Root that may change although nothing was installed.
	Ignore []string
}

// Job is the job of a spec whose payload is b; opened counts how often the payload was read.
func Job(fx Fixture, s install.Spec, b []byte, opened *int) install.Job {
	s.SHA256, s.PlainBytes = sha256.Sum256(b), int64(len(b))
	return install.Job{Root: fx.Root, Work: fx.Work, Spec: s, Open: func() (io.ReadCloser, error) {
		*opened++
		return io.NopCloser(bytes.NewReader(b)), nil
	}}
}

// Run checks an installer; fresh makes a new fixture for each part.
func Run(t *testing.T, i install.Installer, fresh func(t *testing.T) Fixture) {
	t.Helper()
	t.Run("life of an update", func(t *testing.T) { life(t, i, fresh(t)) })
	t.Run("wrong bytes touch nothing", func(t *testing.T) { wrongBytes(t, i, fresh(t)) })
	t.Run("removal of what is not there", func(t *testing.T) { removeAbsent(t, i, fresh(t)) })
	t.Run("an ended context starts nothing", func(t *testing.T) { ended(t, i, fresh(t)) })
	t.Run("an unreadable payload touches nothing", func(t *testing.T) { unreadable(t, i, fresh(t)) })
	t.Run("a disk without room is told before writing", func(t *testing.T) { noRoom(t, i, fresh(t)) })
}

func life(t *testing.T, i install.Installer, fx Fixture) {
	opened := 0
	one, two := Job(fx, fx.Old, fx.OldPayload, &opened), Job(fx, fx.New, fx.NewPayload, &opened)
	expect(t, i, one, false)
	if opened != 0 {
		t.Fatal("Detect read the payload")
	}
	mustInstall(t, i, one, true)
	expect(t, i, one, true)
	expect(t, i, two, false)
	before := opened
	mustInstall(t, i, one, false)
	if opened != before {
		t.Error("installing what is there read the payload")
	}
	mustInstall(t, i, two, true)
	expect(t, i, two, true)
	mustRemove(t, i, two, true)
	expect(t, i, two, false)
	mustRemove(t, i, two, false)
}

func wrongBytes(t *testing.T, i install.Installer, fx Fixture) {
	flipped := bytes.Clone(fx.OldPayload)
	flipped[len(flipped)/2] ^= 1
	for name, b := range map[string][]byte{
		"one bit flipped": flipped,
		"cut short":       fx.OldPayload[:len(fx.OldPayload)-1],
		"one byte more":   append(bytes.Clone(fx.OldPayload), 0),
		"empty":           nil,
		"another version": fx.NewPayload,
	} {
		opened := 0
		j := Job(fx, fx.Old, fx.OldPayload, &opened)
		j.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }
		before := tree(t, fx)
		_, err := i.Install(t.Context(), j)
		if !errors.Is(err, install.ErrVerify) {
			t.Errorf("%s: %v, want ErrVerify", name, err)
		}
		reason(t, name, err, install.ReasonBadPayload)
		if after := tree(t, fx); after != before {
			t.Errorf("%s: the root changed from\n%s\nto\n%s", name, before, after)
		}
		expect(t, i, j, false)
	}
}

func removeAbsent(t *testing.T, i install.Installer, fx Fixture) {
	opened := 0
	before := tree(t, fx)
	mustRemove(t, i, Job(fx, fx.Old, fx.OldPayload, &opened), false)
	if after := tree(t, fx); after != before {
		t.Errorf("the root changed from\n%s\nto\n%s", before, after)
	}
}

func ended(t *testing.T, i install.Installer, fx Fixture) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	opened := 0
	j := Job(fx, fx.Old, fx.OldPayload, &opened)
	before := tree(t, fx)
	_, err := i.Install(ctx, j)
	if err == nil {
		t.Fatal("installed although the context had ended")
	}
	var e *install.Error
	if !errors.As(err, &e) || e.Reason == "" {
		t.Errorf("%v is no *install.Error with a reason", err)
	}
	if after := tree(t, fx); after != before {
		t.Errorf("the root changed from\n%s\nto\n%s", before, after)
	}
	expect(t, i, j, false)
	mustInstall(t, i, j, true) // and nothing stays locked
}

func unreadable(t *testing.T, i install.Installer, fx Fixture) {
	opened := 0
	j := Job(fx, fx.Old, fx.OldPayload, &opened)
	before := tree(t, fx)
	j.Open = func() (io.ReadCloser, error) { return nil, fs.ErrNotExist }
	_, err := i.Install(t.Context(), j)
	reason(t, "open fails", err, install.ReasonDiskError)
	j.Open = func() (io.ReadCloser, error) {
		return io.NopCloser(io.MultiReader(bytes.NewReader(fx.OldPayload[:1]), broken{})), nil
	}
	_, err = i.Install(t.Context(), j)
	reason(t, "read fails", err, install.ReasonDiskError)
	if after := tree(t, fx); after != before {
		t.Errorf("the root changed from\n%s\nto\n%s", before, after)
	}
}

type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, errors.New("input/output error") }

func noRoom(t *testing.T, i install.Installer, fx Fixture) {
	opened := 0
	j := Job(fx, fx.Old, fx.OldPayload, &opened)
	j.Free = func(string) (int64, error) { return 1000, nil }
	_, err := i.Install(t.Context(), j)
	reason(t, "full disk", err, install.ReasonDiskShort)
	var e *install.Error
	if errors.As(err, &e) && (e.Facts["free_bytes"] != 1000 || e.Facts["needed_bytes"] < int64(len(fx.OldPayload))) {
		t.Errorf("facts %v, want free_bytes 1000 and needed_bytes of the payload at least", e.Facts)
	}
	if opened != 0 {
		t.Error("the payload was read although there is no room for it")
	}
	expect(t, i, j, false)
}

func expect(t *testing.T, i install.Installer, j install.Job, present bool) {
	t.Helper()
	d, err := i.Detect(t.Context(), j)
	if err != nil || d.Present != present {
		t.Fatalf("Detect %s %s = %+v, %v, want present %v", j.Spec.Update, j.Spec.Version, d, err, present)
	}
}

func mustInstall(t *testing.T, i install.Installer, j install.Job, changed bool) {
	t.Helper()
	res, err := i.Install(t.Context(), j)
	if err != nil || res.Changed != changed {
		t.Fatalf("Install %s %s = %+v, %v, want changed %v", j.Spec.Update, j.Spec.Version, res, err, changed)
	}
}

func mustRemove(t *testing.T, i install.Installer, j install.Job, changed bool) {
	t.Helper()
	res, err := i.Remove(t.Context(), j)
	if err != nil || res.Changed != changed {
		t.Fatalf("Remove %s %s = %+v, %v, want changed %v", j.Spec.Update, j.Spec.Version, res, err, changed)
	}
}

func reason(t *testing.T, what string, err error, want string) {
	t.Helper()
	var e *install.Error
	if !errors.As(err, &e) || e.Reason != want {
		t.Errorf("%s: %v, want reason %s", what, err, want)
	}
}

// tree is a text of all that lies below the root, with modes, sizes and hashes.
func tree(t *testing.T, fx Fixture) string {
	t.Helper()
	var b strings.Builder
	err := filepath.WalkDir(fx.Root, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		rel, err := filepath.Rel(fx.Root, path)
		if err != nil {
			return err
		}
		for _, p := range fx.Ignore {
			if strings.HasPrefix(filepath.ToSlash(rel), p) {
				return nil
			}
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		fmt.Fprintf(&b, "%s %s", fi.Mode(), rel)
		if fi.Mode().IsRegular() {
			body, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			fmt.Fprintf(&b, " %x", sha256.Sum256(body))
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return b.String()
}
