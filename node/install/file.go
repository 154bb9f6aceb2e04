package install

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"

	"patchmesh/content"
)

// fileInstaller places the payload at a path. Arguments: dest (absolute path, below Root), mode
// (octal permission bits; default: those of the file that is replaced, else 0644).
type fileInstaller struct{}

func (fileInstaller) Kind() string     { return "file" }
func (fileInstaller) Available() error { return nil }

func (fileInstaller) check(s Spec) error {
	return checkDest(s, "it needs to know where the file goes: dest=/path/below/the/root")
}

// maxDestBytes and maxNameBytes bound dest, so that our own suffixes fit beside any name.
const (
	maxDestBytes = 1024
	maxNameBytes = 200
	defaultMode  = 0o644
)

// target is a destination below an opened root.
type target struct {
	root *os.Root
	dir  string // relative to root; "." for the root itself
	name string // file name in dir
}

func (t *target) path() string      { return filepath.Join(t.dir, t.name) }
func (t *target) previous() string  { return filepath.Join(t.dir, t.name+previousSuffix) }
func (t *target) staged() string    { return filepath.Join(t.dir, "."+t.name+stageSuffix) }
func (t *target) display() string   { return filepath.Join(t.root.Name(), t.path()) }
func (t *target) stagedOld() string { return filepath.Join(t.dir, "."+t.name+stageSuffix+"-old") }

// openTarget reads the dest argument and opens the root that it lies below.
func openTarget(j Job) (*target, error) {
	dest := j.Spec.Args["dest"]
	deny := func(why string) (*target, error) {
		return nil, failed(ReasonDenied, errors.New(why), "place %s at %q", j.Spec.Update, dest)
	}
	if len(dest) > maxDestBytes || strings.ContainsRune(dest, 0) {
		return deny("the path is too long or holds a zero byte")
	}
	clean := filepath.FromSlash(dest)
	volume := filepath.VolumeName(clean)
	if runtime.GOOS == "windows" && strings.HasPrefix(volume, `\\`) {
		return deny("network and device paths are not allowed")
	}
	rel := clean[len(volume):]
	if rel == "" || !os.IsPathSeparator(rel[0]) {
		return deny("the path is not absolute")
	}
	// Cleaning would turn a/../b into b; someone who writes ".." in a signed path is up to something.
	if strings.Contains(filepath.ToSlash(rel)+"/", "/../") {
		return deny(`the path holds ".."`)
	}
	rel = strings.TrimLeftFunc(filepath.Clean(rel), func(r rune) bool { return r < 0x80 && os.IsPathSeparator(byte(r)) })
	if rel == "" || !filepath.IsLocal(rel) || os.IsPathSeparator(clean[len(clean)-1]) {
		return deny("the path names no file")
	}
	name := filepath.Base(rel)
	if len(name) > maxNameBytes || strings.HasSuffix(name, previousSuffix) || strings.HasSuffix(name, stageSuffix) {
		return deny("the file name is too long or one of ours")
	}
	rootPath := j.Root
	if rootPath == "" || rootPath == "/" {
		rootPath = volume + string(filepath.Separator)
	}
	root, err := os.OpenRoot(rootPath)
	if err != nil {
		return nil, writeError(err, j, "open root %s", rootPath)
	}
	return &target{root: root, dir: filepath.Dir(rel), name: name}, nil
}

// Detect: the update is present if dest is a regular file with the described size and hash.
func (fileInstaller) Detect(ctx context.Context, j Job) (Detection, error) {
	t, err := openTarget(j)
	if err != nil {
		return Detection{}, err
	}
	defer t.root.Close()
	same, err := t.matches(ctx, j)
	return Detection{Present: same}, err
}

// matches says whether the file at the destination is the payload.
func (t *target) matches(ctx context.Context, j Job) (bool, error) {
	fi, err := t.root.Lstat(t.path())
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, t.pathError(err, "look at %s", t.display())
	}
	if !fi.Mode().IsRegular() || fi.Size() != j.Spec.PlainBytes {
		return false, nil
	}
	f, err := t.root.OpenFile(t.path(), os.O_RDONLY|openNoBlock, 0)
	if err != nil {
		return false, t.pathError(err, "read %s", t.display())
	}
	defer f.Close()
	h := content.NewHash()
	if _, err := io.Copy(h, io.LimitReader(ctxReader{ctx, f}, j.Spec.PlainBytes+1)); err != nil {
		return false, t.pathError(err, "read %s", t.display())
	}
	return [32]byte(h.Sum(nil)) == j.Spec.SHA256, nil
}

// ctxReader ends a long read when the context does.
type ctxReader struct {
	ctx context.Context
	r   io.Reader
}

func (r ctxReader) Read(b []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.r.Read(b)
}

// Install replaces dest in one step: readers see the old file or the new one, never a part.
func (i fileInstaller) Install(ctx context.Context, j Job) (Result, error) {
	t, err := openTarget(j)
	if err != nil {
		return Result{}, err
	}
	defer t.root.Close()
	if same, err := t.matches(ctx, j); err != nil || same {
		return Result{}, err
	}
	mode, err := wantedMode(j)
	if err != nil {
		return Result{}, err
	}
	if err := t.root.MkdirAll(t.dir, 0o755); err != nil {
		return Result{}, t.pathError(err, "make folder %s", filepath.Dir(t.display()))
	}
	old, err := t.root.Lstat(t.path())
	switch {
	case errors.Is(err, fs.ErrNotExist):
		old = nil
	case err != nil:
		return Result{}, t.pathError(err, "look at %s", t.display())
	case !old.Mode().IsRegular():
		// A folder cannot be replaced by a rename; a link or device is there for a reason that the
		// approval does not know.
		return Result{}, failed(ReasonDenied, fmt.Errorf("there is a %s", kindOf(old)), "replace %s", t.display())
	}
	if err := t.swapIn(ctx, j, old, mode); err != nil {
		return Result{}, err
	}
	return Result{Changed: true}, nil
}

// swapIn stages the verified payload beside dest, keeps the old file and renames the new one over it.
func (t *target) swapIn(ctx context.Context, j Job, old fs.FileInfo, mode fs.FileMode) error {
	f, err := t.stage(ctx, j)
	if err != nil {
		return err
	}
	defer func() {
		f.Close()
		_ = t.root.Remove(t.staged()) // gone already on success
	}()
	if err := dress(f, old, mode); err != nil {
		return t.writeError(err, j, "write %s", t.display())
	}
	if err := ctx.Err(); err != nil {
		return failed(ReasonTimeout, err, "place %s", t.display())
	}
	if err := t.keepPrevious(old); err != nil {
		return t.writeError(err, j, "keep the previous %s", t.display())
	}
	if runtime.GOOS == "windows" {
		f.Close() // an open file cannot be renamed there
	}
	if err := t.checkStaged(f); err != nil {
		return err
	}
	if err := t.root.Rename(t.staged(), t.path()); err != nil {
		if runtime.GOOS == "windows" {
			err = t.inUse(err)
		}
		return t.writeError(err, j, "place %s", t.display())
	}
	return t.syncDir()
}

// stage gives the verified payload the staged name: the copy that was made early, or one that is made now.
func (t *target) stage(ctx context.Context, j Job) (*os.File, error) {
	_ = t.root.Remove(t.staged()) // left by a crash; a real obstacle shows below
	if f := t.takeEarly(ctx, j); f != nil {
		return f, nil
	}
	if err := ctx.Err(); err != nil { // it may have waited for the early copy
		return nil, failed(ReasonTimeout, err, "place %s", t.display())
	}
	if err := j.checkSpace(filepath.Dir(t.display()), j.Spec.PlainBytes); err != nil {
		return nil, err
	}
	f, err := t.root.OpenFile(t.staged(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, t.writeError(err, j, "write %s", t.display())
	}
	if err := copyVerified(beside(f), j); err != nil {
		f.Close()
		_ = t.root.Remove(t.staged())
		return nil, t.writeError(err, j, "write %s", t.display())
	}
	return f, nil
}

func (t *target) takeEarly(ctx context.Context, j Job) *os.File {
	dir, err := t.root.Open(t.dir)
	if err != nil {
		return nil // what is wrong shows where the copy is made now
	}
	defer dir.Close()
	return j.Early.take(ctx, j.Spec, dir, filepath.Base(t.staged()))
}

// inUse finds out why a file cannot be replaced on Windows, which says "access denied" of a program that runs too:
// opened for writing, that one is told as what it is.
func (t *target) inUse(err error) error {
	f, oerr := t.root.OpenFile(t.path(), os.O_WRONLY, 0)
	if oerr == nil {
		_ = f.Close()
	}
	if isBusy(oerr) {
		return oerr
	}
	return err
}

// checkStaged makes sure that the name still means the file that was hashed: whoever may write the
// destination folder could have put another one there meanwhile.
func (t *target) checkStaged(f *os.File) error {
	if runtime.GOOS == "windows" {
		return nil // no look at a closed file; folders are guarded by their access lists
	}
	mine, err := f.Stat()
	if err == nil {
		var there fs.FileInfo
		if there, err = t.root.Lstat(t.staged()); err == nil && !os.SameFile(mine, there) {
			err = ErrVerify
		}
	}
	if err != nil {
		return failed(ReasonDenied, err, "place %s: the staged file was replaced", t.display())
	}
	return nil
}

// dress gives the staged file its owner and mode and makes it durable.
func dress(f *os.File, old fs.FileInfo, mode fs.FileMode) error {
	if old != nil {
		keepOwner(f, old)
		if mode == 0 {
			mode = old.Mode().Perm()
		}
	}
	if mode == 0 {
		mode = defaultMode
	}
	if err := f.Chmod(mode); err != nil { // after the owner: giving a file away may clear bits
		return err
	}
	return f.Sync()
}

// keepPrevious makes the old file reachable under the previous name while dest stays in place. If
// there is no old file, a previous one from long ago must not come back at a removal.
func (t *target) keepPrevious(old fs.FileInfo) error {
	if old == nil {
		if err := t.root.Remove(t.previous()); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	}
	_ = t.root.Remove(t.stagedOld())
	if err := t.root.Link(t.path(), t.stagedOld()); err != nil {
		// Not every file system has hard links.
		if err := t.copyOld(old); err != nil {
			return err
		}
	}
	return t.root.Rename(t.stagedOld(), t.previous())
}

func (t *target) copyOld(old fs.FileInfo) error {
	r, err := t.root.OpenFile(t.path(), os.O_RDONLY|openNoBlock, 0)
	if err != nil {
		return err
	}
	defer r.Close()
	w, err := t.root.OpenFile(t.stagedOld(), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = io.Copy(w, io.LimitReader(r, old.Size()))
	if err == nil {
		err = dress(w, old, 0)
	}
	if cerr := w.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		_ = t.root.Remove(t.stagedOld())
	}
	return err
}

// Remove puts the previous file back, or deletes dest if there was none. A dest that is not this
// update's payload is somebody else's by now and stays.
func (i fileInstaller) Remove(ctx context.Context, j Job) (Result, error) {
	t, err := openTarget(j)
	if err != nil {
		return Result{}, err
	}
	defer t.root.Close()
	same, err := t.matches(ctx, j)
	if err != nil || !same {
		return Result{}, err
	}
	fi, err := t.root.Lstat(t.previous())
	switch {
	case err == nil && fi.Mode().IsRegular():
		err = t.root.Rename(t.previous(), t.path())
	case err == nil:
		err = fmt.Errorf("the previous file is a %s", kindOf(fi))
	case errors.Is(err, fs.ErrNotExist):
		err = t.root.Remove(t.path())
	}
	if err != nil {
		return Result{}, t.writeError(err, j, "remove %s", t.display())
	}
	return Result{Changed: true}, t.syncDir()
}

// Rollback implements Rollbacker: the previous file is kept beside the new one.
func (i fileInstaller) Rollback(ctx context.Context, j Job, _ string) (Result, error) {
	return i.Remove(ctx, j)
}

// syncDir makes a rename durable.
func (t *target) syncDir() error {
	if err := syncFolder(t.root, t.dir); err != nil {
		return failed(ReasonDiskError, err, "sync folder of %s", t.display())
	}
	return nil
}

func syncFolder(root *os.Root, dir string) error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there; the file system's journal orders renames
	}
	d, err := root.Open(dir)
	if err == nil {
		err = errors.Join(d.Sync(), d.Close())
	}
	return err
}

// pathError is a failure to reach a path; leaving the root is among them.
func (t *target) pathError(err error, format string, args ...any) error {
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return failed(ReasonTimeout, err, format, args...)
	}
	if isNoSpace(err) || isBusy(err) {
		return writeError(err, Job{}, format, args...)
	}
	// os.Root tells an escape by text only; with permission errors and non-folders on the way it has
	// in common that this path may not be used.
	return failed(ReasonDenied, err, format, args...)
}

func (t *target) writeError(err error, j Job, format string, args ...any) error {
	if isNoSpace(err) {
		if e := j.checkSpace(filepath.Dir(t.display()), j.Spec.PlainBytes); e != nil {
			return e // the same with numbers
		}
	}
	return writeError(err, j, format, args...)
}

// wantedMode reads the mode argument; 0 means none was given. Only permission bits are taken: a
// set-uid file is a way to become root that an approval for "a file" must not open by accident.
func wantedMode(j Job) (fs.FileMode, error) {
	s, ok := j.Spec.Args["mode"]
	if !ok {
		return 0, nil
	}
	n, err := strconv.ParseUint(s, 8, 32)
	if err != nil || n == 0 || n > 0o777 {
		return 0, failed(ReasonDenied, errors.New("want octal permission bits such as 0644"), "read mode %q of %s", s, j.Spec.Update)
	}
	return fs.FileMode(n), nil
}

func kindOf(fi fs.FileInfo) string {
	switch m := fi.Mode(); {
	case m.IsDir():
		return "folder"
	case m&fs.ModeSymlink != 0:
		return "symbolic link"
	case m.IsRegular():
		return "file"
	}
	return "device, pipe or socket"
}
