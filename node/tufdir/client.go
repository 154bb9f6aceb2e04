package tufdir

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/gofrs/flock"
)

// ErrNoRoot: the folder has no trusted root to begin with.
var ErrNoRoot = errors.New("no trusted root")

// ErrLocked: another process works on the folder.
var ErrLocked = errors.New("another process works on the folder")

const (
	rootFile = "root.json"
	markFile = "rotated"
	lockFile = ".lock"

	// maxFileBytes bounds what is read of one file; the greatest that a client keeps is 8 MiB.
	maxFileBytes = 16 << 20
)

// Client is the metadata folder of a plain TUF client. It is used by one goroutine at a time.
type Client struct {
	files files
	lock  *flock.Flock
}

// OpenClient opens a metadata folder, which must be there. ErrLocked if another process has it open:
// two of them side by side could put an older file over a newer one.
func OpenClient(dir string) (*Client, error) {
	if fi, err := os.Stat(dir); err != nil {
		return nil, err
	} else if !fi.IsDir() {
		return nil, fmt.Errorf("%s: %w", dir, fs.ErrInvalid)
	}
	lock := flock.New(filepath.Join(dir, lockFile))
	ok, err := lock.TryLock()
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", dir, err)
	}
	if !ok {
		return nil, fmt.Errorf("%s: %w", dir, ErrLocked)
	}
	return &Client{files: osFiles{dir: dir, mode: 0o644}, lock: lock}, nil
}

// Close gives the folder back.
func (c *Client) Close() error { return c.lock.Close() }

// Init makes root the trusted one of a folder that has none. A folder that has one is left alone and
// fs.ErrExist: what is trusted is replaced only by the chain of roots.
func (c *Client) Init(root []byte) error {
	if _, err := c.files.read(rootFile, maxFileBytes); !errors.Is(err, fs.ErrNotExist) {
		if err == nil {
			err = fmt.Errorf("%s: %w", rootFile, fs.ErrExist)
		}
		return err
	}
	return replace(c.files, "", rootFile, root)
}

// Begin reads the trusted root and the mark beside it; 0 is no mark.
func (c *Client) Begin() (root []byte, mark int64, err error) {
	root, err = c.files.read(rootFile, maxFileBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, 0, ErrNoRoot
	}
	if err != nil {
		return nil, 0, err
	}
	b, err := c.files.read(markFile, 64)
	if errors.Is(err, fs.ErrNotExist) {
		return root, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	mark, err = strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	if err != nil || mark < 1 {
		return nil, 0, fmt.Errorf("the file %s of the metadata folder is damaged", markFile)
	}
	return root, mark, nil
}

// Load reads a role; nil if it is not there. A file that cannot be read, or is larger than any can
// be, is an error and not an absence: it may be the floor that keeps this client from going back.
func (c *Client) Load(role string) ([]byte, error) {
	b, err := c.files.read(fileName(role), maxFileBytes)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	return b, err
}

// Save makes a role durable.
func (c *Client) Save(role string, b []byte) error { return replace(c.files, "", fileName(role), b) }

// SaveRoot makes a root durable, its mark first. Mark 0 takes away one that a crash left.
func (c *Client) SaveRoot(b []byte, mark int64) error {
	var err error
	if mark > 0 {
		err = replace(c.files, "", markFile, []byte(strconv.FormatInt(mark, 10)+"\n"))
	} else if _, rerr := c.files.read(markFile, 64); !errors.Is(rerr, fs.ErrNotExist) {
		if err = c.files.remove(markFile); err == nil {
			err = c.files.syncFolder("")
		}
	}
	if err != nil {
		return err
	}
	return replace(c.files, "", rootFile, b)
}

// Forget removes timestamp and snapshot, and then the mark that asks for it.
func (c *Client) Forget() error {
	for _, group := range [][]string{{"timestamp.json", "snapshot.json"}, {markFile}} {
		for _, name := range group {
			if err := c.files.remove(name); err != nil {
				return err
			}
		}
		if err := c.files.syncFolder(""); err != nil {
			return err
		}
	}
	return nil
}

// maxNameBytes keeps file names within what every file system takes (255), with the endings.
const maxNameBytes = 200

// fileName is the file of a role. Only lower case letters, digits and - _ . stand for themselves, a
// dot not in front: so no name leaves the folder, hides, or is the same as another one where upper
// and lower case are the same ("Root" would be root.json). A name too long for a file becomes its
// hash, behind a percent sign that no escaped name has there.
func fileName(role string) string { return escape(role, false) + ".json" }

func escape(name string, upper bool) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_', c == '.' && i > 0, upper && c >= 'A' && c <= 'Z':
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	s := b.String()
	if base, _, _ := strings.Cut(s, "."); deviceNames[strings.ToLower(base)] {
		s = fmt.Sprintf("%%%02X%s", s[0], s[1:])
	}
	if len(s) > maxNameBytes {
		s = fmt.Sprintf("%%sha256-%x", sha256.Sum256([]byte(name)))
	}
	return s
}

// deviceNames are no files on Windows, whatever ending they have.
var deviceNames = func() map[string]bool {
	m := map[string]bool{"con": true, "prn": true, "aux": true, "nul": true}
	for i := 1; i < 10; i++ {
		m[fmt.Sprintf("com%d", i)], m[fmt.Sprintf("lpt%d", i)] = true, true
	}
	return m
}()

// TargetName is the file under which a target is kept: one name, whatever slashes and dots it holds.
func TargetName(target string) string { return escape(target, true) }
