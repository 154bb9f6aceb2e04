package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"patchmesh/content"
	"patchmesh/content/disk"
)

// copyBytes is the buffer of a copy: large enough that system calls do not count, and that a disk
// which is written to directly moves along.
const copyBytes = 1 << 20

// ahead writes to a file and asks the system from time to time to begin storing what was written, so
// that the sync at the end has little left to wait for.
type ahead struct {
	f             *os.File
	written, told int64
}

// aheadBytes is how much is written between two such requests.
const aheadBytes = 8 << 20

func (a *ahead) Write(b []byte) (int, error) {
	n, err := a.f.Write(b)
	a.written += int64(n)
	if a.written-a.told >= aheadBytes {
		disk.StartStoring(a.f, a.told, a.written-a.told)
		a.told = a.written
	}
	return n, err
}

// copyVerified copies the payload of the job to w and hashes what it writes. ErrVerify if size or
// hash differ; it reads at most one byte more than described.
func copyVerified(w io.Writer, j Job) error {
	if j.Open == nil {
		return failed(ReasonMissing, errors.New("no payload at hand"), "read payload of %s", j.Spec.Update)
	}
	r, err := j.Open()
	if err != nil {
		return failed(ReasonDiskError, err, "open payload of %s", j.Spec.Update)
	}
	defer r.Close()
	h := content.NewHash()
	n, err := copyHashed(w, h, io.LimitReader(r, j.Spec.PlainBytes+1))
	if err != nil {
		return copyError(err, j)
	}
	if got := [32]byte(h.Sum(nil)); n != j.Spec.PlainBytes || got != j.Spec.SHA256 {
		err := fmt.Errorf("%d bytes with sha256 %x: %w", n, got, ErrVerify)
		if c, ok := r.(Copied); ok {
			err = errors.Join(err, c.Recheck())
		}
		return failed(ReasonBadPayload, err, "verify payload of %s", j.Spec.Update)
	}
	if c, ok := r.(Copied); ok {
		c.Matched()
	}
	return nil
}

// copyHashed copies r to w in pieces of copyBytes and hashes exactly what it hands to w.
func copyHashed(w io.Writer, h io.Writer, r io.Reader) (int64, error) {
	buf := alignedBuffer(copyBytes)
	var total int64
	for {
		n, err := io.ReadFull(r, buf)
		last := err == io.EOF || err == io.ErrUnexpectedEOF // as ReadFull makes them; an error that wraps one is none
		if err != nil && !last {
			return total, err
		}
		_, _ = h.Write(buf[:n]) // a hash takes all bytes
		if _, err := w.Write(buf[:n]); err != nil {
			return total, err
		}
		total += int64(n)
		if last {
			return total, nil
		}
	}
}

func copyError(err error, j Job) error {
	var corrupt *content.CorruptError
	if errors.As(err, &corrupt) || errors.Is(err, content.ErrDamaged) {
		return failed(ReasonBadPayload, errors.Join(ErrVerify, err), "copy payload of %s", j.Spec.Update)
	}
	return writeError(err, j, "copy payload of %s", j.Spec.Update)
}

// stage copies the verified payload to a private file in the work folder and returns its path and
// how to remove it.
func stage(ctx context.Context, j Job, suffix string) (path string, drop func(), err error) {
	if err := privateFolder(j.Work); err != nil {
		return "", nil, failed(ReasonDenied, err, "stage payload of %s", j.Spec.Update)
	}
	if path, err := j.takeEarly(ctx, suffix); path != "" || err != nil {
		return path, func() { os.Remove(path) }, err
	}
	if err := ctx.Err(); err != nil { // it may have waited for the early copy
		return "", nil, failed(ReasonTimeout, err, "stage payload of %s", j.Spec.Update)
	}
	if err := j.checkSpace(j.Work, j.Spec.PlainBytes); err != nil {
		return "", nil, err
	}
	f, err := os.CreateTemp(j.Work, "stage-*"+suffix) // exclusive, 0600
	if err != nil {
		return "", nil, writeError(err, j, "stage payload of %s", j.Spec.Update)
	}
	drop = func() { os.Remove(f.Name()) } // best effort: the work folder is always safe to delete
	err = copyVerified(&ahead{f: f}, j)
	if cerr := f.Close(); err == nil && cerr != nil {
		err = writeError(cerr, j, "stage payload of %s", j.Spec.Update)
	}
	if err != nil {
		drop()
		return "", nil, err
	}
	return f.Name(), drop, nil
}

// takeEarly gives the copy that was made early a name in the work folder; empty: there is none.
func (j Job) takeEarly(ctx context.Context, suffix string) (path string, err error) {
	dir, err := os.Open(j.Work)
	if err != nil {
		return "", writeError(err, j, "stage payload of %s", j.Spec.Update)
	}
	defer dir.Close()
	name := fmt.Sprintf("early-%x%s", j.Spec.SHA256[:8], suffix)
	path = filepath.Join(j.Work, name)
	_ = os.Remove(path) // left by a crash
	f := j.Early.take(ctx, j.Spec, dir, name)
	if f == nil {
		return "", nil
	}
	if err := f.Close(); err != nil {
		return "", writeError(errors.Join(err, os.Remove(path)), j, "stage payload of %s", j.Spec.Update)
	}
	return path, nil
}

// privateFolder makes the folder or checks that nobody else can put files into it. A folder that was
// planted before us, or is reached through a planted link, would let another user swap the staged
// file after it was hashed.
func privateFolder(dir string) error {
	if !filepath.IsAbs(dir) {
		return fmt.Errorf("work folder %q is not an absolute path", dir)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	fi, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	if !fi.IsDir() {
		return fmt.Errorf("work folder %s is not a folder", dir)
	}
	return checkPrivate(dir, fi)
}

// writeError gives a failed read or write its reason.
func writeError(err error, j Job, format string, args ...any) error {
	var done *Error
	switch {
	case errors.As(err, &done):
		return err
	case isNoSpace(err):
		e := failed(ReasonDiskShort, err, format, args...)
		e.Facts = map[string]int64{factNeeded: j.Spec.PlainBytes}
		return e
	case errors.Is(err, fs.ErrPermission):
		return failed(ReasonDenied, err, format, args...)
	case isBusy(err):
		return failed(ReasonLocked, err, format, args...)
	}
	return failed(ReasonDiskError, err, format, args...)
}
