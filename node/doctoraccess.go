package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"patchmesh/node/api"
	"patchmesh/node/console"
	"patchmesh/policy"
)

// The data folder holds keys, what is believed and who lacks which update: it is made for one user. Modes go wrong by
// copying, by backups and by a well-meant chmod; owners by one command run as root on the folder of a service. Windows
// has lists instead, which are set and checked whenever the folder is opened.

// loose is a file or folder that others may come near, or that belongs to somebody else.
type loose struct {
	path string // below the data folder
	mode fs.FileMode
}

// maxLoose bounds what is listed and mended in one go.
const maxLoose = 100_000

// privatePaths are what nobody else may touch in any way; of the folder itself others may not write, since its sockets may
// be for a group.
var privatePaths = []string{"keys", "trust", "payloads", "kept", "state.db", "state.db-wal", "state.db-shm", console.FileName}

// looseModes walks without following links.
func looseModes(root *os.Root) (found []loose, err error) {
	if runtime.GOOS == "windows" {
		return nil, nil
	}
	fi, err := root.Stat(".")
	if err != nil {
		return nil, err
	}
	if fi.Mode().Perm()&0o022 != 0 {
		found = append(found, loose{".", fi.Mode()})
	}
	for _, name := range privatePaths {
		err := fs.WalkDir(root.FS(), name, func(path string, d fs.DirEntry, err error) error {
			if errors.Is(err, fs.ErrNotExist) {
				return nil
			}
			if err != nil {
				return err
			}
			fi, err := d.Info()
			if err == nil && (fi.IsDir() || fi.Mode().IsRegular()) && fi.Mode().Perm()&0o077 != 0 && len(found) < maxLoose {
				found = append(found, loose{path, fi.Mode()})
			}
			return nil
		})
		if err != nil {
			return found, err
		}
	}
	return found, nil
}

// tighten takes from others what they may do with these, and tells of those that it leaves alone.
func tighten(root *os.Root, found []loose) (done int, left error) {
	for _, l := range found {
		bits := fs.FileMode(0o077)
		if l.path == "." {
			bits = 0o022
		}
		if err := withOwn(root, l.path, func(f *os.File, fi fs.FileInfo) error { return f.Chmod(fi.Mode().Perm() &^ bits) }); err != nil {
			left = errors.Join(left, err)
			continue
		}
		done++
	}
	return done, left
}

// mended says what came of it.
func mended(done int, what string, left error) (string, error) {
	if left == nil {
		return fmt.Sprintf("%d %s", done, what), nil
	}
	return fmt.Sprintf("%d %s; not so: %v", done, what, left), nil
}

// withOwn opens what is really a file or folder below root and nowhere else as well: a link, or a second name of a file
// from outside, would have root change a file of the system for whoever may write here.
func withOwn(root *os.Root, path string, do func(*os.File, fs.FileInfo) error) error {
	before, err := root.Lstat(path)
	if err != nil {
		return err
	}
	if !before.IsDir() && !before.Mode().IsRegular() {
		return fmt.Errorf("%s is neither file nor folder", path)
	}
	f, err := openOwn(root, path)
	if err != nil {
		return err
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil {
		return err
	}
	if !os.SameFile(before, fi) || !fi.IsDir() && !oneName(fi) {
		return fmt.Errorf("%s has another name elsewhere; it is left as it is", path)
	}
	return do(f, fi)
}

// lookAtAccess looks at modes and owners, and says whether it mended something.
func lookAtAccess(e *examination, dir string) (changed bool) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		e.wrong(api.ScopeStore, "access to the data folder", policy.ReasonDiskError, err.Error(), nil, nil)
		return false
	}
	defer root.Close()
	modes, err := looseModes(root)
	if err != nil {
		e.wrong(api.ScopeStore, "access to the data folder", policy.ReasonDiskError, err.Error(), nil, nil)
		return false
	}
	// First who owns them: whether a file was root's secret shows in its mode.
	strange, owner := strangeOwners(root)
	if len(strange) > 0 {
		e.wrong(api.ScopeStore, "owner of the data folder", policy.ReasonDiskError,
			fmt.Sprintf("%d of its files belong to root and not to its owner, as %s: the node cannot use them", len(strange), filepath.Join(dir, strange[0].path)),
			map[string]int64{"files": int64(len(strange)), "owner_uid": int64(owner)}, func() (string, error) {
				n, left := handBack(root)
				changed = changed || n > 0
				return mended(n, "belong to the folder's owner again", left)
			})
		e.next("run 'doctor --fix' as root; what it leaves alone is for root to look at", "machine")
	}
	if len(modes) > 0 {
		e.wrong(api.ScopeStore, "access to the data folder", policy.ReasonDiskError,
			fmt.Sprintf("others may come near %d of its files and folders, as %s (mode %04o)", len(modes), filepath.Join(dir, modes[0].path), modes[0].mode.Perm()),
			map[string]int64{"files": int64(len(modes))}, func() (string, error) {
				n, left := tighten(root, modes)
				changed = changed || n > 0
				return mended(n, "are for their owner alone again", left)
			})
		e.next("run 'doctor --fix'; if somebody may have read the keys meanwhile, enrol this machine again (a seed: replace them)", "admin")
		if keysAmong(modes) {
			e.last().Facts["keys"] = 1
		}
	}
	if len(modes)+len(strange) == 0 {
		e.fine(api.ScopeStore, "access to the data folder", "its files are their owner's alone")
	}
	return changed
}

func keysAmong(found []loose) bool {
	for _, l := range found {
		if l.path == "keys" || strings.HasPrefix(l.path, "keys/") {
			return true
		}
	}
	return false
}
