package trustdir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"

	"patchmesh/content"
	"patchmesh/policy"
)

// ErrEmpty: nothing was ever saved here.
var ErrEmpty = errors.New("no trusted documents yet")

// ErrDamaged: documents are there but are not what was saved. Local state cannot be trusted.
var ErrDamaged = errors.New("the trusted documents on disk are damaged")

// maxFileBytes bounds what is read of one document; the greatest is the manifest.
const maxFileBytes = 128 << 20

// Dir is the trust folder of one data folder. It is owned by one goroutine at a time.
type Dir struct {
	path string
	sys  system

	floor floorDoc // as on disk, or as rebuilt by Recall (Number 0)
	whole bool     // both copies of it are on disk
	lost  error    // see Recall
	saved string   // digest of the set that Save made current last

	opener policy.Opener // the folder is read before every order, and seldom changes
}

// The two pointers to the set in force, in the order in which they are written.
var pointerNames = []string{"current", "current.copy"}

// pointer is the content of the file current.
type pointer struct {
	Set    string `json:"set"`
	Number uint64 `json:"number"`
	Digest string `json:"digest"` // content ID text over all files in order
}

// encode writes a pointer. Two texts and a number can always be written.
func (p pointer) encode() []byte {
	b, _ := json.Marshal(p)
	return b
}

// Open makes the folder if need be.
func Open(path string) (*Dir, error) { return openOn(path, realSystem{}) }

// Look is a folder that somebody else owns, for Recall and Load: nothing is made, changed or locked.
// A writer may be at work; both read a set that is whole, or say that it is not.
func Look(path string) *Dir { return &Dir{path: path, sys: realSystem{}} }

func openOn(path string, sys system) (*Dir, error) {
	d := &Dir{path: path, sys: sys}
	if err := sys.mkdirAll(path); err != nil {
		return nil, fmt.Errorf("make trust folder: %w", err)
	}
	if err := sys.syncDir(filepath.Dir(path)); err != nil {
		return nil, err
	}
	return d, nil
}

func (d *Dir) join(name ...string) string {
	return filepath.Join(append([]string{d.path}, name...)...)
}

// named lists the documents of a set with their file names, in a fixed order.
func named(f *policy.Files) []struct {
	name string
	body *[]byte
} {
	return []struct {
		name string
		body *[]byte
	}{
		{"root.json", &f.Root}, {"timestamp.json", &f.Timestamp}, {"snapshot.json", &f.Snapshot},
		{"targets.json", &f.Targets}, {"roster-role.json", &f.RosterRole}, {"roster.json", &f.Roster},
		{"manifest.json", &f.Manifest}, {"delegated.json", &f.Delegated},
	}
}

func digest(f policy.Files) string {
	var b bytes.Buffer
	for _, d := range named(&f) {
		if d.name == "delegated.json" && len(*d.body) == 0 {
			continue // so that sets saved before there were delegated roles keep their checksum
		}
		fmt.Fprintf(&b, "%s %d %s\n", d.name, len(*d.body), content.Sum(*d.body))
	}
	return content.Sum(b.Bytes()).String()
}

// Load reads the set in force, unverified. ErrEmpty on a new machine, ErrDamaged if no sound set is
// named. Recall is what a machine starts with.
func (d *Dir) Load() (policy.Files, error) {
	sets, err := d.sets()
	if err != nil {
		return policy.Files{}, err
	}
	return sets[0], nil
}

func (d *Dir) readPointer(name string) (pointer, error) {
	var p pointer
	b, err := d.readLimited(d.join(name), 4096)
	if err != nil {
		return p, err
	}
	if err := json.Unmarshal(b, &p); err != nil {
		return p, fmt.Errorf("%s: %w", name, err)
	}
	// The name becomes a path: nothing but what Save writes may pass.
	if p.Number == 0 || p.Set != setName(p.Number) {
		return p, fmt.Errorf("%s names no set", name)
	}
	return p, nil
}

func (d *Dir) readSet(p pointer) (policy.Files, error) {
	var f policy.Files
	for _, doc := range named(&f) {
		b, err := d.readLimited(d.join(p.Set, doc.name), maxFileBytes)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return f, err
		}
		*doc.body = b
	}
	if digest(f) != p.Digest {
		return f, fmt.Errorf("set %s does not match its checksum", p.Set)
	}
	return f, nil
}

// Save makes a set durable and current. When it returns nil, no crash can lose it. It does not touch
// the floors: Keep does both.
func (d *Dir) Save(f policy.Files) error {
	inForce, err := d.tidy()
	if err != nil {
		return err
	}
	newest, err := d.newestNumber()
	if err != nil {
		return err
	}
	p := pointer{Set: setName(newest + 1), Number: newest + 1, Digest: digest(f)}
	if err := d.writeSet(p.Set, f); err != nil {
		_ = d.sys.removeAll(d.join(p.Set)) // room for the next attempt; tidy does it otherwise
		return err
	}
	b := p.encode()
	for _, name := range pointerNames {
		if err := d.replace(name, b); err != nil {
			return err
		}
	}
	d.saved = p.Digest
	_ = d.prune(append(inForce, p.Set)) // the next Save tries again
	return nil
}

// tidy removes what failed attempts have left, so that a disk that is full for days does not fill up
// with them, and names the sets in force. Where a pointer cannot be read, nothing is removed.
func (d *Dir) tidy() (inForce []string, err error) {
	for _, name := range pointerNames {
		p, err := d.readPointer(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, nil
		}
		inForce = append(inForce, p.Set)
	}
	if len(inForce) == 0 {
		return nil, nil
	}
	return inForce, d.prune(inForce)
}

// writeSet makes the files of a set durable, and the names under which they are found. Its folder is
// new: what a crash has left counts as a number that was used.
func (d *Dir) writeSet(name string, f policy.Files) error {
	dir := d.join(name)
	if err := d.sys.mkdir(dir); err != nil {
		return fmt.Errorf("make %s: %w", name, err)
	}
	for _, doc := range named(&f) {
		if len(*doc.body) == 0 {
			continue
		}
		if err := d.writeSynced(filepath.Join(dir, doc.name), *doc.body); err != nil {
			return err
		}
	}
	if err := d.sys.syncDir(dir); err != nil {
		return err
	}
	return d.sys.syncDir(d.path)
}

func setName(n uint64) string { return fmt.Sprintf("v%08d", n) }

// setNumber reads a name that setName made.
func setNumber(name string) (n uint64, ok bool) {
	_, err := fmt.Sscanf(name, "v%d", &n)
	return n, err == nil && name == setName(n)
}

// newestNumber looks at the folder, not at current: a number is never used twice.
func (d *Dir) newestNumber() (uint64, error) {
	names, err := d.sys.names(d.path)
	if err != nil {
		return 0, fmt.Errorf("list trust folder: %w", err)
	}
	var newest uint64
	for _, name := range names {
		if n, ok := setNumber(name); ok {
			newest = max(newest, n)
		}
	}
	return newest, nil
}

// prune removes all sets but some. The one that was in force before the newest stays too: the apply
// role may be reading it just now.
func (d *Dir) prune(keep []string) error {
	names, err := d.sys.names(d.path)
	if err != nil {
		return fmt.Errorf("list trust folder: %w", err)
	}
	for _, name := range names {
		if _, ok := setNumber(name); !ok || slices.Contains(keep, name) {
			continue
		}
		if err := d.sys.removeAll(d.join(name)); err != nil {
			return fmt.Errorf("remove %s: %w", name, err)
		}
	}
	return nil
}
