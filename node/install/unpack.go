package install

import (
	"archive/tar"
	"archive/zip"
	"compress/gzip"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"unicode"
	"unicode/utf8"

	"patchmesh/content"
)

// unpacker writes the entries of an archive below the staged folder. The archive was signed, yet it may
// have been made of somebody else's: what leads out of the folder, or has no end, ends the install.
type unpacker struct {
	ctx  context.Context
	t    *target
	job  Job
	list tree
	seen map[string]fs.FileMode // what was made, by path with slashes
	left int64                  // bytes that may still be written
}

func badArchive(format string, args ...any) error {
	return failed(ReasonDenied, fmt.Errorf(format, args...), "unpack the archive")
}

// unpack fills the staged folder from the verified copy and writes the list last: without it the folder
// counts for nothing.
func (t *target) unpack(ctx context.Context, j Job, archive string) error {
	f, err := os.Open(archive)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := t.root.Mkdir(t.staged(), 0o755); err != nil {
		return err
	}
	u := &unpacker{ctx: ctx, t: t, job: j, seen: map[string]fs.FileMode{"": fs.ModeDir},
		list: tree{Payload: hex.EncodeToString(j.Spec.SHA256[:])}, left: max(minTreeBytes, maxTreeGrowth*j.Spec.PlainBytes)}
	switch archiveKind(j.Spec.FileName) {
	case ".zip":
		err = u.zip(f, j.Spec.PlainBytes)
	case ".tar":
		err = u.tar(f)
	default:
		var z *gzip.Reader
		if z, err = gzip.NewReader(f); err == nil {
			err = u.tar(z)
		}
	}
	if err == nil {
		err = u.finish()
	}
	var known *Error
	if err != nil && !errors.As(err, &known) && !isNoSpace(err) && ctx.Err() == nil {
		return badArchive("%w", err)
	}
	return err
}

func (u *unpacker) tar(r io.Reader) error {
	archive := tar.NewReader(r)
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		mode := fs.FileMode(h.Mode).Perm()
		switch h.Typeflag {
		case tar.TypeReg:
			err = u.file(h.Name, mode, archive)
		case tar.TypeDir:
			err = u.folder(h.Name)
		case tar.TypeSymlink:
			err = u.link(h.Name, h.Linkname)
		case tar.TypeXGlobalHeader:
		default: // hard links, devices, pipes
			err = badArchive("entry %.80q is of kind %q", h.Name, h.Typeflag)
		}
		if err != nil {
			return err
		}
	}
}

func (u *unpacker) zip(f *os.File, sizeBytes int64) error {
	archive, err := zip.NewReader(f, sizeBytes)
	if err != nil {
		return err
	}
	if len(archive.File) > maxTreeFiles {
		return badArchive("%d entries, at most %d", len(archive.File), maxTreeFiles)
	}
	for _, e := range archive.File {
		if err := u.zipEntry(e); err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) zipEntry(e *zip.File) error {
	if e.Mode().IsDir() {
		return u.folder(e.Name)
	}
	r, err := e.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	switch {
	case e.Mode().IsRegular():
		return u.file(e.Name, e.Mode().Perm(), r)
	case e.Mode()&fs.ModeSymlink != 0:
		to, err := io.ReadAll(io.LimitReader(r, maxDestBytes+1))
		if err != nil {
			return err
		}
		return u.link(e.Name, string(to))
	}
	return badArchive("entry %.80q is of kind %s", e.Name, e.Mode().Type())
}

// place checks the name of an entry and makes the folders above it.
func (u *unpacker) place(name string) (string, error) {
	if err := u.ctx.Err(); err != nil {
		return "", failed(ReasonTimeout, err, "unpack %s", u.job.Spec.Update)
	}
	if len(u.list.Entries) >= maxTreeFiles {
		return "", badArchive("more than %d entries", maxTreeFiles)
	}
	plain := strings.TrimSuffix(strings.TrimPrefix(name, "./"), "/")
	bad := len(plain) > maxDestBytes || !utf8.ValidString(plain) || strings.ContainsAny(plain, "\\:\x00") ||
		strings.ContainsFunc(plain, unicode.IsControl) || strings.Count(plain, "/") >= maxTreeDepth
	if bad || plain == "" || path.Clean(plain) != plain || !filepath.IsLocal(filepath.FromSlash(plain)) || plain == "." {
		return "", badArchive("the name %.80q leads out of the folder or is not plain", name)
	}
	if plain == treeList {
		return "", badArchive("the name %q is ours", name)
	}
	for up := path.Dir(plain); up != "."; up = path.Dir(up) {
		if m, there := u.seen[up]; there && !m.IsDir() { // a link that an entry before has planted
			return "", badArchive("%.80q lies below something that is no folder", name)
		}
	}
	return plain, u.parents(path.Dir(plain))
}

func (u *unpacker) parents(dir string) error {
	if dir == "." || u.seen[dir].IsDir() {
		return nil
	}
	if err := u.parents(path.Dir(dir)); err != nil {
		return err
	}
	return u.makeFolder(dir)
}

func (u *unpacker) makeFolder(plain string) error {
	if err := u.t.root.Mkdir(u.at(plain), 0o755); err != nil {
		return err
	}
	u.seen[plain] = fs.ModeDir
	u.list.Entries = append(u.list.Entries, treeEntry{Path: plain, Mode: fs.ModeDir | 0o755})
	return nil
}

func (u *unpacker) at(plain string) string {
	return filepath.Join(u.t.staged(), filepath.FromSlash(plain))
}

func (u *unpacker) folder(name string) error {
	if name == "." || name == "./" {
		return nil
	}
	plain, err := u.place(name)
	if err != nil || u.seen[plain].IsDir() {
		return err
	}
	return u.makeFolder(plain)
}

// file writes one file. Nobody but us may write it, and it gains no rights by being set-uid.
func (u *unpacker) file(name string, mode fs.FileMode, r io.Reader) error {
	plain, err := u.place(name)
	if err != nil {
		return err
	}
	mode = mode&0o755 | 0o600
	f, err := u.t.root.OpenFile(u.at(plain), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	h := content.NewHash()
	n, err := io.CopyBuffer(io.MultiWriter(&ahead{f: f}, h), ctxReader{u.ctx, io.LimitReader(r, u.left+1)}, make([]byte, copyBytes))
	if err != nil {
		return err
	}
	if u.left -= n; u.left < 0 {
		return badArchive("it unpacks to more than %d times its size", maxTreeGrowth)
	}
	if err := u.job.checkSpace(filepath.Dir(u.t.display()), 0); err != nil { // before the disk is full, not after
		return err
	}
	if err := errors.Join(f.Chmod(mode), f.Sync()); err != nil {
		return err
	}
	u.seen[plain] = mode
	u.list.Entries = append(u.list.Entries, treeEntry{Path: plain, Mode: mode, Bytes: n, SHA256: hex.EncodeToString(h.Sum(nil))})
	return nil
}

// link makes a symbolic link that cannot lead out of the folder: as many ".." as there are folders
// above it, and none behind a name, which might itself be a link.
func (u *unpacker) link(name, to string) error {
	plain, err := u.place(name)
	if err != nil {
		return err
	}
	rest, ups := to, 0
	for strings.HasPrefix(rest, "../") || rest == ".." {
		rest, ups = strings.TrimPrefix(strings.TrimPrefix(rest, ".."), "/"), ups+1
	}
	inside := ups <= strings.Count(plain, "/") && !strings.ContainsAny(to, "\\:\x00") && len(to) <= maxDestBytes
	if !inside || to == "" || rest != "" && (path.Clean(rest) != rest || !filepath.IsLocal(filepath.FromSlash(rest))) {
		return badArchive("the link %.80q leads to %.80q", name, to)
	}
	if err := u.t.root.Symlink(to, u.at(plain)); err != nil {
		return err
	}
	u.seen[plain] = fs.ModeSymlink
	u.list.Entries = append(u.list.Entries, treeEntry{Path: plain, Mode: fs.ModeSymlink, Link: to})
	return nil
}

// finish writes the list and makes the folders durable.
func (u *unpacker) finish() error {
	b, err := json.Marshal(&u.list)
	if err != nil {
		return err
	}
	if len(b) > maxTreeList {
		return badArchive("the list of its entries has %d bytes", len(b))
	}
	f, err := u.t.root.OpenFile(u.at(treeList), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	for p, m := range u.seen {
		if m.IsDir() {
			if err := syncFolder(u.t.root, u.at(p)); err != nil {
				return err
			}
		}
	}
	return nil
}
