package install

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"patchmesh/content"
)

// archiveInstaller unpacks the payload (.tar, .tar.gz, .tgz or .zip by its file name) to a folder that
// belongs to the update alone: it replaces the whole folder. Arguments: dest (absolute path of the
// folder, below Root and not directly below it), adopt ("true": replace a folder that no update made).
//
// A file in the folder lists what was unpacked; Detect compares the folder with it. The tree of before
// is kept beside it.
type archiveInstaller struct{ inWork }

func (archiveInstaller) Kind() string     { return "archive" }
func (archiveInstaller) Available() error { return nil }

const (
	treeList      = ".patchmesh-tree"
	maxTreeList   = 64 << 20
	maxTreeFiles  = 100_000
	maxTreeGrowth = 200 // unpacked bytes for each byte of payload: what is more is a bomb
	minTreeBytes  = 64 << 20
	maxTreeDepth  = 64
)

// treeEntry is one unpacked file, folder or link.
type treeEntry struct {
	Path   string      `json:"path"` // with slashes
	Mode   fs.FileMode `json:"mode"` // kind and permission bits
	Bytes  int64       `json:"bytes,omitempty"`
	SHA256 string      `json:"sha256,omitempty"`
	Link   string      `json:"link,omitempty"`
}

// tree is what the list says.
type tree struct {
	Payload string      `json:"payload"` // sha256 of the archive, hex
	Entries []treeEntry `json:"entries"`
}

func (archiveInstaller) check(s Spec) error {
	if archiveKind(s.FileName) == "" {
		return failed(ReasonDenied, fmt.Errorf("%q is no .tar, .tar.gz, .tgz or .zip", s.FileName), "read descriptor of %s", s.Update)
	}
	for key := range s.Args {
		if key != "dest" && key != "adopt" {
			return failed(ReasonDenied, fmt.Errorf("argument %.40q is none of an archive's", key), "read descriptor of %s", s.Update)
		}
	}
	return checkDest(s, "it needs to know its folder: dest=/path/below/the/root")
}

func archiveKind(name string) string {
	low := strings.ToLower(name)
	for _, end := range []string{".tar", ".tar.gz", ".tgz", ".zip"} {
		if strings.HasSuffix(low, end) {
			return end
		}
	}
	return ""
}

func (i archiveInstaller) open(j Job) (*target, error) {
	if err := i.check(j.Spec); err != nil {
		return nil, err
	}
	t, err := openTarget(j)
	if err != nil {
		return nil, err
	}
	if t.dir == "." { // /etc, /usr, C:\Windows: no update owns one of those
		t.root.Close()
		return nil, failed(ReasonDenied, errors.New("a folder directly below the root belongs to the system"), "unpack %s to %q", j.Spec.Update, j.Spec.Args["dest"])
	}
	return t, nil
}

// Detect compares the folder with the list in it, and the list with the payload.
func (i archiveInstaller) Detect(ctx context.Context, j Job) (Detection, error) {
	t, err := i.open(j)
	if err != nil {
		return Detection{}, err
	}
	defer t.root.Close()
	same, err := t.treeMatches(ctx, j)
	return Detection{Present: same}, err
}

// readTree reads the list of a folder; nil if there is none that can be read.
func (t *target) readTree() (*tree, error) {
	fi, err := t.root.Lstat(t.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, t.pathError(err, "look at %s", t.display())
	}
	if !fi.IsDir() {
		return nil, nil
	}
	f, err := t.root.OpenFile(filepath.Join(t.path(), treeList), os.O_RDONLY|openNoBlock, 0)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, t.pathError(err, "read the list of %s", t.display())
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxTreeList+1))
	if err != nil {
		return nil, t.pathError(err, "read the list of %s", t.display())
	}
	var l tree
	if len(b) > maxTreeList || json.NewDecoder(bytes.NewReader(b)).Decode(&l) != nil || len(l.Entries) > maxTreeFiles {
		return nil, nil
	}
	return &l, nil
}

func (t *target) treeMatches(ctx context.Context, j Job) (bool, error) {
	l, err := t.readTree()
	if err != nil || l == nil || l.Payload != hex.EncodeToString(j.Spec.SHA256[:]) {
		return false, err
	}
	for _, e := range l.Entries {
		if err := ctx.Err(); err != nil {
			return false, failed(ReasonTimeout, err, "look at %s", t.display())
		}
		if !filepath.IsLocal(filepath.FromSlash(e.Path)) { // the list is as writable as the folder
			return false, nil
		}
		same, err := t.entryMatches(ctx, e)
		if err != nil || !same {
			return false, err
		}
	}
	return true, nil
}

func (t *target) entryMatches(ctx context.Context, e treeEntry) (bool, error) {
	path := filepath.Join(t.path(), filepath.FromSlash(e.Path))
	fi, err := t.root.Lstat(path)
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return false, nil
		}
		return false, t.pathError(err, "look at %s of %s", e.Path, t.display())
	}
	if fi.Mode().Type() != e.Mode.Type() {
		return false, nil
	}
	switch {
	case e.Mode&fs.ModeSymlink != 0:
		to, err := t.root.Readlink(path)
		return err == nil && to == e.Link, nil
	case e.Mode.IsDir():
		return true, nil
	case fi.Size() != e.Bytes || runtime.GOOS != "windows" && fi.Mode().Perm() != e.Mode.Perm():
		return false, nil
	}
	f, err := t.root.OpenFile(path, os.O_RDONLY|openNoBlock, 0)
	if err != nil {
		return false, t.pathError(err, "read %s of %s", e.Path, t.display())
	}
	defer f.Close()
	h := content.NewHash()
	if _, err := io.Copy(h, io.LimitReader(ctxReader{ctx, f}, e.Bytes+1)); err != nil {
		return false, t.pathError(err, "read %s of %s", e.Path, t.display())
	}
	return hex.EncodeToString(h.Sum(nil)) == e.SHA256, nil
}

// Install unpacks beside dest and then exchanges the folders.
func (i archiveInstaller) Install(ctx context.Context, j Job) (Result, error) {
	t, err := i.open(j)
	if err != nil {
		return Result{}, err
	}
	defer t.root.Close()
	if same, err := t.treeMatches(ctx, j); err != nil || same {
		return Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return Result{}, failed(ReasonTimeout, err, "unpack %s", j.Spec.Update)
	}
	if err := t.mayReplace(j); err != nil {
		return Result{}, err
	}
	path, drop, err := stage(ctx, j, "")
	if err != nil {
		return Result{}, err
	}
	defer drop()
	if err := t.root.MkdirAll(t.dir, 0o755); err != nil {
		return Result{}, t.writeError(err, j, "unpack to %s", t.display())
	}
	if err := t.mendTree(j); err != nil {
		return Result{}, err
	}
	defer func() { _ = t.root.RemoveAll(t.staged()) }() // gone already on success
	if err := t.unpack(ctx, j, path); err != nil {
		return Result{}, t.writeError(err, j, "unpack to %s", t.display())
	}
	if err := t.swapTree(j); err != nil {
		return Result{}, t.writeError(err, j, "place %s", t.display())
	}
	return Result{Changed: true}, t.syncDir()
}

// mayReplace protects folders that no update made: an approval with a wrong dest must not take away
// what a machine lives on.
func (t *target) mayReplace(j Job) error {
	fi, err := t.root.Lstat(t.path())
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return t.pathError(err, "look at %s", t.display())
	}
	if !fi.IsDir() {
		return failed(ReasonDenied, fmt.Errorf("there is a %s", kindOf(fi)), "replace %s", t.display())
	}
	l, err := t.readTree()
	if err == nil && l == nil && j.Spec.Args["adopt"] != "true" {
		err = failed(ReasonDenied, errors.New("no update made this folder; adopt=true replaces it all the same"), "replace %s", t.display())
	}
	return err
}

// mendTree ends what a crash has cut off between two renames: dest is away and the tree of before is not.
func (t *target) mendTree(j Job) error {
	for _, left := range []string{t.staged(), t.stagedOld()} {
		if err := t.root.RemoveAll(left); err != nil {
			return t.writeError(err, j, "clear %s", t.display())
		}
	}
	if _, err := t.root.Lstat(t.path()); !errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if _, err := t.root.Lstat(t.previous()); err != nil {
		return nil
	}
	if err := t.root.Rename(t.previous(), t.path()); err != nil {
		return t.writeError(err, j, "bring back %s", t.display())
	}
	return t.syncDir()
}

// swapTree makes the unpacked tree the folder. What was there is the previous one; without one, a
// previous one from long ago must not come back at a removal.
func (t *target) swapTree(j Job) error {
	if l, err := t.readTree(); err == nil && l != nil && l.Payload == hex.EncodeToString(j.Spec.SHA256[:]) {
		// The same update, damaged meanwhile: what was there before it stays the previous one.
		if err := t.root.Rename(t.path(), t.stagedOld()); err != nil {
			return err
		}
		return errors.Join(t.root.Rename(t.staged(), t.path()), t.root.RemoveAll(t.stagedOld()))
	}
	if err := t.root.RemoveAll(t.previous()); err != nil {
		return err
	}
	if err := t.root.Rename(t.path(), t.previous()); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return t.root.Rename(t.staged(), t.path())
}

// Remove brings the previous tree back, or takes the folder away. A folder that is not as this update
// left it is somebody else's by now and stays.
func (i archiveInstaller) Remove(ctx context.Context, j Job) (Result, error) {
	t, err := i.open(j)
	if err != nil {
		return Result{}, err
	}
	defer t.root.Close()
	same, err := t.treeMatches(ctx, j)
	if err != nil {
		return Result{}, err
	}
	if !same {
		if _, err := t.root.Lstat(t.stagedOld()); err == nil { // a removal was cut off: it is finished
			return Result{Changed: true}, t.mendTree(j)
		}
		return Result{}, nil
	}
	return Result{Changed: true}, t.takeTree(j)
}

func (t *target) takeTree(j Job) error {
	err := t.root.RemoveAll(t.stagedOld())
	if err == nil {
		err = t.root.Rename(t.path(), t.stagedOld())
	}
	if err != nil {
		return t.writeError(err, j, "remove %s", t.display())
	}
	return t.mendTree(j)
}

// Rollback implements Rollbacker.
func (i archiveInstaller) Rollback(ctx context.Context, j Job, _ string) (Result, error) {
	t, err := i.open(j)
	if err != nil {
		return Result{}, err
	}
	defer t.root.Close()
	// Not Remove: a probed program may have written into its own folder before it failed.
	l, err := t.readTree()
	if err != nil {
		return Result{}, err
	}
	if l == nil || l.Payload != hex.EncodeToString(j.Spec.SHA256[:]) {
		return Result{}, t.mendTree(j)
	}
	return Result{Changed: true}, t.takeTree(j)
}
