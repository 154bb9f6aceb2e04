package apply

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"patchmesh/content"
	"patchmesh/policy"
)

// Folder is the shelf of the separate process: a folder that only its user can enter. Names in it are
// hashes that were computed or signed, never anything that a caller wrote.
type Folder struct {
	root    *os.Root
	free    func() (int64, error) // free bytes of its disk
	decoded Decoded
}

// spareBytes stay free on the disk of the folder.
const spareBytes = 16 << 20

const (
	descriptorDir = "descriptors"
	objectDir     = "objects"
)

// OpenFolder opens the folder, making it if need be, and clears the payloads of an earlier run: they
// are offered again. It refuses a folder that others could reach into. free may be nil.
func OpenFolder(dir string, free func() (int64, error)) (*Folder, error) {
	if err := Private(dir); err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	f := &Folder{root: root, free: free}
	if err := root.RemoveAll(objectDir); err != nil {
		return nil, fmt.Errorf("clear staging folder: %w", err)
	}
	for _, sub := range []string{descriptorDir, objectDir} {
		if err := root.Mkdir(sub, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make staging folder: %w", err)
		}
	}
	return f, nil
}

// Close gives the folder back.
func (f *Folder) Close() error { return f.root.Close() }

func descriptorName(id content.ID) string {
	sum := id.SHA256()
	return filepath.Join(descriptorDir, hex.EncodeToString(sum[:]))
}

func objectName(id content.ID) string {
	sum := id.SHA256()
	return filepath.Join(objectDir, hex.EncodeToString(sum[:]))
}

// Describe implements Shelf. A file that is not what its name says is as good as absent.
func (f *Folder) Describe(id content.ID) *policy.Descriptor {
	d, err := f.decoded.Get(id, func() ([]byte, error) { return f.readDescriptor(id) })
	if err != nil {
		return nil
	}
	return d
}

func (f *Folder) readDescriptor(id content.ID) ([]byte, error) {
	r, err := f.root.Open(descriptorName(id))
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, policy.MaxDescriptorBytes+1))
	if err == nil && content.Sum(b) != id {
		err = policy.ErrHash
	}
	return b, err
}

// keepDescriptor stores a descriptor whose hash was checked. It need not be durable: a torn one fails
// its hash and is asked for again.
func (f *Folder) keepDescriptor(id content.ID, b []byte) error {
	if err := f.root.WriteFile(descriptorName(id), b, 0o600); err != nil {
		return fmt.Errorf("keep descriptor %s: %w", id.Short(), err)
	}
	return nil
}

// prune removes the descriptors that wanted does not name.
func (f *Folder) prune(wanted map[content.ID]bool) {
	f.decoded.keepOnly(func(id content.ID) bool { return wanted[id] })
	d, err := f.root.Open(descriptorDir)
	if err != nil {
		return
	}
	defer d.Close()
	names, _ := d.Readdirnames(-1) // an unread name stays; it does no harm
	for _, name := range names {
		sum, err := hex.DecodeString(name)
		if err == nil && len(sum) == 32 && wanted[content.FromSHA256([32]byte(sum))] {
			continue
		}
		_ = f.root.Remove(filepath.Join(descriptorDir, name))
	}
}

// Open implements Shelf.
func (f *Folder) Open(d *policy.Descriptor) (io.ReadCloser, error) {
	r, err := f.root.Open(objectName(d.ID()))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, refused(policy.ReasonPeerNoneHolds, "the payload of %s was not offered", d.Update)
	}
	if err != nil {
		return nil, fmt.Errorf("open payload of %s: %w", d.Update, err)
	}
	return r, nil
}

// has says whether the payload lies ready.
func (f *Folder) has(id content.ID) bool {
	_, err := f.root.Lstat(objectName(id))
	return err == nil
}

// room makes sure that the payload fits, before a byte of it is read. Only one payload is kept.
func (f *Folder) room(d *policy.Descriptor) error {
	if err := f.root.RemoveAll(objectDir); err != nil {
		return fmt.Errorf("clear staging folder: %w", err)
	}
	if err := f.root.Mkdir(objectDir, 0o700); err != nil {
		return fmt.Errorf("make staging folder: %w", err)
	}
	if f.free == nil {
		return nil
	}
	free, err := f.free()
	if err == nil && free < d.PlainBytes+spareBytes {
		e := refused(policy.ReasonDiskShort, "stage payload of %s: the disk is too full", d.Update)
		e.Facts = map[string]int64{"needed_bytes": d.PlainBytes + spareBytes, "free_bytes": free}
		return e
	}
	return nil
}

// take copies exactly the payload of d from r, hashes the copy while it is made, and gives it its
// name only if the hash is the signed one.
func (f *Folder) take(d *policy.Descriptor, r io.Reader) (err error) {
	name := objectName(d.ID())
	part := name + ".part"
	w, err := f.root.OpenFile(part, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("stage payload of %s: %w", d.Update, err)
	}
	defer func() {
		_ = w.Close()
		if err != nil {
			_ = f.root.Remove(part)
		}
	}()
	h := content.NewHash()
	if _, err = io.CopyBuffer(io.MultiWriter(w, h), io.LimitReader(r, d.PlainBytes), make([]byte, 256<<10)); err != nil {
		return fmt.Errorf("stage payload of %s: %w", d.Update, err)
	}
	if fi, serr := w.Stat(); serr != nil || fi.Size() != d.PlainBytes || hex.EncodeToString(h.Sum(nil)) != d.SHA256 {
		e := refused(policy.ReasonTrustBadChunk, "stage payload of %s: the bytes are not the approved ones", d.Update)
		e.Corrupt = true
		return e
	}
	if err = w.Close(); err != nil {
		return fmt.Errorf("stage payload of %s: %w", d.Update, err)
	}
	if err = f.root.Rename(part, name); err != nil {
		return fmt.Errorf("stage payload of %s: %w", d.Update, err)
	}
	return nil
}

// drop removes a payload that has served its purpose.
func (f *Folder) drop(id content.ID) { _ = f.root.Remove(objectName(id)) }
