package media

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"

	"patchmesh/content"
	"patchmesh/content/bundle"
	"patchmesh/content/disk"
)

// FolderName is the folder on the medium.
const FolderName = "pm-bundle"

const (
	indexName   = "index.json"
	partSuffix  = ".part"
	returnStart = "return-"
	carSuffix   = ".car"
	maxEntries  = 4096 // looked at
	maxReturns  = 1024
)

// MaxReturnBytes bounds what one machine sends back.
const MaxReturnBytes = 512 << 20

// ErrUnsafe: something on the medium is not what patchmesh writes: a link, a device, a file that is too
// large. Class: refuse.
var ErrUnsafe = errors.New("not what patchmesh writes")

// Name is the name of a file of the medium.
type Name struct{ text string }

// Docs is the file of documents with a number.
func Docs(number int) Name { return Name{fmt.Sprintf("docs-%04d%s", number, carSuffix)} }

// Volume is a file of chunks.
func Volume(number int) Name { return Name{fmt.Sprintf("vol-%04d%s", number, carSuffix)} }

// Return is what one machine sends back; id is the hash of the machine's name.
func Return(id content.ID) Name { return Name{returnStart + id.String() + carSuffix} }

func (n Name) String() string { return n.text }

// Folder is the open folder of a medium.
type Folder struct {
	root *os.Root
	dir  string
}

// Open opens the folder below dir. With make it is made if need be; without it, a medium that holds none
// is fs.ErrNotExist. ErrUnsafe if it leads elsewhere.
func Open(dir string, make bool) (*Folder, error) {
	top, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", dir, err)
	}
	defer top.Close()
	if make {
		if err := top.Mkdir(FolderName, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
			return nil, fmt.Errorf("make %s in %s: %w", FolderName, dir, err)
		}
	}
	fi, err := top.Lstat(FolderName)
	if err == nil && !fi.IsDir() { // a link, too
		err = ErrUnsafe
	}
	if err != nil {
		return nil, fmt.Errorf("%s in %s: %w", FolderName, dir, err)
	}
	root, err := top.OpenRoot(FolderName)
	if err != nil {
		return nil, fmt.Errorf("open %s in %s: %w", FolderName, dir, err)
	}
	if now, err := root.Stat("."); err != nil || !os.SameFile(fi, now) { // swapped for a link meanwhile
		_ = root.Close()
		return nil, fmt.Errorf("%s in %s: %w", FolderName, dir, ErrUnsafe)
	}
	return &Folder{root: root, dir: filepath.Join(dir, FolderName)}, nil
}

// Close ends the use of the folder.
func (f *Folder) Close() error { return f.root.Close() }

// Dir is where the folder is, for messages and for asking how much room there is.
func (f *Folder) Dir() string { return f.dir }

// Index reads the index. fs.ErrNotExist without one, content.ErrFormat, ErrUnsafe.
func (f *Folder) Index() (*bundle.Index, error) {
	file, size, err := f.open(indexName, bundle.MaxIndexBytes)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(io.LimitReader(file, min(size, bundle.MaxIndexBytes)+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", indexName, err)
	}
	return bundle.DecodeIndex(b)
}

// PutIndex replaces the index. Durable when it returns.
func (f *Folder) PutIndex(x *bundle.Index) error {
	b, err := x.Encode()
	if err != nil {
		return err
	}
	out, err := f.Create(Name{indexName})
	if err != nil {
		return err
	}
	if _, err := out.Write(b); err != nil {
		out.Abort()
		return err
	}
	return out.Commit(nil)
}

// OpenFile opens a file of the medium and tells its size. fs.ErrNotExist, ErrUnsafe.
func (f *Folder) OpenFile(n Name) (*os.File, int64, error) {
	most := int64(bundle.MaxFileBytes)
	if strings.HasPrefix(n.text, returnStart) {
		most = MaxReturnBytes
	}
	return f.open(n.text, most)
}

func (f *Folder) open(name string, most int64) (*os.File, int64, error) {
	before, err := f.root.Lstat(name)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", name, err)
	}
	if !before.Mode().IsRegular() || before.Size() > most {
		return nil, 0, fmt.Errorf("%s is %s of %d bytes: %w", name, kind(before.Mode()), before.Size(), ErrUnsafe)
	}
	file, err := f.root.OpenFile(name, os.O_RDONLY|openFlags, 0)
	if err != nil {
		return nil, 0, fmt.Errorf("read %s: %w", name, err)
	}
	// What was looked at must be what is open: the medium may be changed meanwhile by who holds it.
	if now, err := file.Stat(); err != nil || !now.Mode().IsRegular() || !os.SameFile(before, now) {
		_ = file.Close()
		return nil, 0, fmt.Errorf("%s was swapped: %w", name, errors.Join(ErrUnsafe, err))
	}
	return file, before.Size(), nil
}

func kind(m fs.FileMode) string {
	switch {
	case m.IsRegular():
		return "a file"
	case m&fs.ModeSymlink != 0:
		return "a link"
	case m.IsDir():
		return "a folder"
	}
	return "a special file"
}

// Remove removes a file; a missing one is no error.
func (f *Folder) Remove(n Name) error {
	if err := f.root.Remove(n.text); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove %s: %w", n, err)
	}
	return nil
}

// Returns lists what machines have sent back, in order. skipped counts what has such a name but is none.
func (f *Folder) Returns() (names []Name, skipped int, err error) {
	d, err := f.root.Open(".")
	if err != nil {
		return nil, 0, fmt.Errorf("list %s: %w", FolderName, err)
	}
	defer d.Close()
	entries, err := d.ReadDir(maxEntries + 1)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, 0, fmt.Errorf("list %s: %w", FolderName, err)
	}
	var ids []content.ID
	for _, e := range entries[:min(len(entries), maxEntries)] {
		text, ok := strings.CutPrefix(e.Name(), returnStart)
		if !ok || strings.HasSuffix(text, partSuffix) {
			continue
		}
		// The name is compared, never used: what is opened is named by the parsed ID.
		text, ok = strings.CutSuffix(text, carSuffix)
		id, err := content.ParseID(text)
		if !ok || err != nil || len(ids) == maxReturns {
			skipped++
			continue
		}
		ids = append(ids, id)
	}
	slices.SortFunc(ids, content.ID.Compare)
	for _, id := range ids {
		names = append(names, Return(id))
	}
	return names, skipped, nil
}

// Out is a file that is being written. It gets its name by Commit.
type Out struct {
	f    *Folder
	name Name
	file *os.File
	at   int64
}

// Create begins a file.
func (f *Folder) Create(n Name) (*Out, error) {
	temp := n.text + partSuffix
	// Whatever has the temporary name, a link to elsewhere perhaps, goes first, and the file is made new.
	if err := f.root.Remove(temp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("write %s: %w", n, err)
	}
	file, err := f.root.OpenFile(temp, os.O_WRONLY|os.O_CREATE|os.O_EXCL|openFlags, 0o644)
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", n, err)
	}
	return &Out{f: f, name: n, file: file}, nil
}

// Write appends, and lets the system begin to store what was written.
func (o *Out) Write(b []byte) (int, error) {
	n, err := o.file.Write(b)
	if n >= content.MinChunkBytes {
		disk.StartStoring(o.file, o.at, int64(n))
	}
	o.at += int64(n)
	if err != nil {
		return n, fmt.Errorf("write %s: %w", o.name, err)
	}
	return n, nil
}

// Commit makes the file durable, reads it back with verify (nil: not) and gives it its name. After an
// error the file is gone, and one that had the name before is as it was.
func (o *Out) Commit(verify func(*os.File) error) error {
	err := o.file.Sync()
	if err == nil && verify != nil {
		err = o.readBack(verify)
	}
	if err = errors.Join(err, o.file.Close()); err == nil {
		err = o.f.root.Rename(o.name.text+partSuffix, o.name.text)
	}
	if err == nil {
		err = o.f.sync()
	}
	if err != nil {
		_ = o.f.root.Remove(o.name.text + partSuffix)
		return fmt.Errorf("write %s: %w", o.name, err)
	}
	return nil
}

func (o *Out) readBack(verify func(*os.File) error) error {
	dropCache(o.file)
	back, size, err := o.f.open(o.name.text+partSuffix, 1<<62)
	if err != nil {
		return err
	}
	defer back.Close()
	if size != o.at {
		return fmt.Errorf("%d bytes were written and %d are there: %w", o.at, size, content.ErrDamaged)
	}
	return verify(back)
}

// Abort gives up what was written.
func (o *Out) Abort() {
	_ = o.file.Close()
	_ = o.f.root.Remove(o.name.text + partSuffix)
}

func (f *Folder) sync() error {
	if runtime.GOOS == "windows" {
		return nil // folders cannot be synced there
	}
	d, err := f.root.Open(".")
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
