package install

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"patchmesh/content/durable"
)

// Payloads are kept below Keep for the way back: the script that can remove its work, the package that
// was there before. What is kept is bounded; the oldest goes first.
const (
	keptPrefix   = "payload-"
	maxKept      = 512 // a set of packages keeps one for each: many of them must not push out the way back of another update
	maxKeptBytes = 2 << 30
)

// keptName names the kept payload of a spec by its hash, so that it can be checked when it is used.
func keptName(s Spec) string { return keptPrefix + hex.EncodeToString(s.SHA256[:]) }

// keepPayload keeps a verified copy. Where it lies on the same disk no byte is written twice. Others are names of kept
// payloads that must not go for it.
func (j Job) keepPayload(staged string, others ...string) error {
	if j.Keep == "" {
		return failed(ReasonDenied, errors.New("there is no folder for what must be kept"), "keep the payload of %s", j.Spec.Update)
	}
	if err := privateFolder(j.Keep); err != nil {
		return failed(ReasonDenied, err, "keep the payload of %s", j.Spec.Update)
	}
	to := filepath.Join(j.Keep, keptName(j.Spec))
	err := os.Remove(to)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err == nil {
		err = os.Link(staged, to)
		if err != nil {
			err = copyFile(staged, to)
		}
	}
	if err == nil {
		err = durable.Folder(j.Keep)
	}
	if err != nil {
		return writeError(err, j, "keep the payload of %s", j.Spec.Update)
	}
	pruneKept(j.Keep, append(others, keptName(j.Spec)))
	return nil
}

func copyFile(from, to string) error {
	r, err := os.Open(from)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := os.OpenFile(to, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, r)
	if err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}

// keptPayload copies a kept payload to the work folder and hashes it on the way: a disk forgets, and
// this is going to be run.
func (j Job) keptPayload(suffix string) (path string, drop func(), err error) {
	from := filepath.Join(j.Keep, keptName(j.Spec))
	if j.Keep == "" {
		from = ""
	}
	r, err := os.Open(from)
	if err != nil {
		return "", nil, failed(ReasonMissing, errors.New("its payload is not kept on this machine any more"), "remove %s", j.Spec.Update)
	}
	defer r.Close()
	w, err := os.CreateTemp(j.Work, "kept-*"+suffix)
	if err != nil {
		return "", nil, writeError(err, j, "read the kept payload of %s", j.Spec.Update)
	}
	drop = func() { os.Remove(w.Name()) }
	h := sha256.New()
	_, err = io.Copy(io.MultiWriter(w, h), r)
	if err = errors.Join(err, w.Close()); err == nil && [32]byte(h.Sum(nil)) != j.Spec.SHA256 {
		err = failed(ReasonBadPayload, fmt.Errorf("the kept payload: %w", ErrVerify), "remove %s", j.Spec.Update)
	}
	if err != nil {
		drop()
		return "", nil, writeError(err, j, "read the kept payload of %s", j.Spec.Update)
	}
	return w.Name(), drop, nil
}

// pruneKept forgets the oldest payloads beyond the bounds, never those that are needed: they may go
// with a later one.
func pruneKept(dir string, needed []string) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return
	}
	var kept []fs.FileInfo
	for _, e := range entries {
		if fi, err := e.Info(); err == nil && strings.HasPrefix(e.Name(), keptPrefix) && !slices.Contains(needed, e.Name()) {
			kept = append(kept, fi)
		}
	}
	slices.SortFunc(kept, func(a, b fs.FileInfo) int {
		return cmp.Or(b.ModTime().Compare(a.ModTime()), strings.Compare(a.Name(), b.Name()))
	})
	var bytes int64
	for n, fi := range kept {
		if bytes += fi.Size(); n >= maxKept || bytes > maxKeptBytes {
			_ = os.Remove(filepath.Join(dir, fi.Name())) // best effort: the next one tries again
		}
	}
}
