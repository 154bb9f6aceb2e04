package trustdir

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

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
type Dir struct{ path string }

// pointer is the content of the file current.
type pointer struct {
	Set    string `json:"set"`
	Number uint64 `json:"number"`
	Digest string `json:"digest"` // content ID text over all files in order
}

// Open makes the folder if need be.
func Open(path string) (*Dir, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("make trust folder: %w", err)
	}
	return &Dir{path: path}, nil
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

// Load reads the set in force. ErrEmpty on a new machine, ErrDamaged if no sound set is named.
func (d *Dir) Load() (policy.Files, error) {
	var best policy.Files
	var bestNumber uint64
	var damage error
	seen := 0
	for _, name := range []string{"current", "current.copy"} {
		p, err := d.readPointer(name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		seen++
		if err != nil {
			damage = err
			continue
		}
		f, err := d.readSet(p)
		if err != nil {
			damage = err
			continue
		}
		if p.Number >= bestNumber {
			best, bestNumber = f, p.Number
		}
	}
	switch {
	case bestNumber > 0:
		return best, nil
	case seen == 0:
		return policy.Files{}, ErrEmpty
	}
	return policy.Files{}, fmt.Errorf("%w: %w", ErrDamaged, damage)
}

func (d *Dir) readPointer(name string) (pointer, error) {
	var p pointer
	b, err := readLimited(filepath.Join(d.path, name), 4096)
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
		b, err := readLimited(filepath.Join(d.path, p.Set, doc.name), maxFileBytes)
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

// Save makes a set durable and current. When it returns nil, no crash can lose it.
func (d *Dir) Save(f policy.Files) error {
	number := d.newestNumber() + 1
	p := pointer{Set: setName(number), Number: number, Digest: digest(f)}
	dir := filepath.Join(d.path, p.Set)
	if err := os.RemoveAll(dir); err != nil { // left by a crash before it became current
		return fmt.Errorf("clear %s: %w", p.Set, err)
	}
	if err := os.Mkdir(dir, 0o700); err != nil {
		return fmt.Errorf("make %s: %w", p.Set, err)
	}
	for _, doc := range named(&f) {
		if len(*doc.body) == 0 {
			continue
		}
		if err := writeSynced(filepath.Join(dir, doc.name), *doc.body); err != nil {
			return err
		}
	}
	if err := syncDir(dir); err != nil {
		return err
	}
	b, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode pointer: %w", err)
	}
	for _, name := range []string{"current", "current.copy"} {
		tmp := filepath.Join(d.path, name+".tmp")
		if err := writeSynced(tmp, b); err != nil {
			return err
		}
		if err := os.Rename(tmp, filepath.Join(d.path, name)); err != nil {
			return fmt.Errorf("replace %s: %w", name, err)
		}
		if err := syncDir(d.path); err != nil {
			return err
		}
	}
	d.prune(number)
	return nil
}

func setName(n uint64) string { return fmt.Sprintf("v%08d", n) }

// newestNumber looks at the folder, not at current: a number is never used twice.
func (d *Dir) newestNumber() uint64 {
	var newest uint64
	entries, _ := os.ReadDir(d.path)
	for _, e := range entries {
		var n uint64
		if _, err := fmt.Sscanf(e.Name(), "v%d", &n); err == nil && e.Name() == setName(n) {
			newest = max(newest, n)
		}
	}
	return newest
}

// prune removes all but the newest two sets. Errors do not matter: the next Save tries again.
func (d *Dir) prune(newest uint64) {
	entries, _ := os.ReadDir(d.path)
	for _, e := range entries {
		if strings.HasPrefix(e.Name(), "v") && e.Name() != setName(newest) && e.Name() != setName(newest-1) {
			_ = os.RemoveAll(filepath.Join(d.path, e.Name()))
		}
	}
}

func readLimited(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(b)) > limit {
		return nil, fmt.Errorf("read %s: larger than %d bytes", path, limit)
	}
	return b, nil
}

func writeSynced(path string, body []byte) error {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	_, err = f.Write(body)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}
