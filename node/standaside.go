package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"patchmesh/node/api"
)

// Root and the folders of other users. Whoever owns a data folder decides what lies in it: names may be links to files of
// the system, the root of trust and the signed rules that run commands are that user's word. So a command that root runs
// on the folder of another user works as that user from before the first file of it is opened, for good, as if that user
// had run it; and what has to be root's own is not taken from such a folder at all.

// actingAs is the owner that this process has become.
var actingAs atomic.Pointer[Owner]

// Owner is the user that a data folder belongs to.
type Owner struct {
	UID int
	Dir string
}

// ActingAs says which owner of a folder this process, begun by root, works as; nil: it is who began it.
func ActingAs() *Owner { return actingAs.Load() }

// ActAsOwner makes this process, if it is root's, that of the user to whom an existing folder belongs. There is no way
// back. A folder that is not there, or is root's, changes nothing.
func ActAsOwner(dir string) error {
	uid, gid, is := ownerElsewhere(dir)
	if !is {
		return nil
	}
	if err := becomeOwner(uid, gid); err != nil {
		return api.Errorf(api.ClassFailed, "work on %s as its owner: %v", dir, err).WithHint("run it as the user who owns the folder")
	}
	actingAs.Store(&Owner{UID: uid, Dir: dir})
	return nil
}

// openStopped is openFolder for commands: as the owner of the folder, never as root in that of another user.
func openStopped(dir string, now func() time.Time) (*folder, error) {
	if err := ActAsOwner(dir); err != nil {
		return nil, err
	}
	return openFolder(dir, now)
}

// noLinks refuses a database that is a link: the engine would follow it, and write where it leads.
func noLinks(dir string) error {
	for _, name := range []string{"state.db", "state.db-wal", "state.db-shm", "state.db-journal"} {
		fi, err := os.Lstat(filepath.Join(dir, name))
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err == nil && !fi.Mode().IsRegular() {
			return api.Errorf(api.ClassRefused, "%s is no plain file: somebody may want patchmesh to write elsewhere", filepath.Join(dir, name)).
				WithHint("find out who put it there; a database that was moved has to come back into the folder itself")
		}
	}
	return nil
}

// mustBeRoots refuses to take from the folder of another user what root will believe.
func mustBeRoots(dir string) error {
	uid, _, is := ownerElsewhere(dir)
	if !is {
		return nil
	}
	return api.Errorf(api.ClassRefused, "%s belongs to user %d, who could have written anything into it: what root is to trust is not taken from there", dir, uid).
		WithHint("enrol the machine as root in an empty folder of root's, then repeat this; 'patchmesh service install' gives the folder to its user afterwards")
}

// leftToRoot says why a file of root's is not handed to the owner of the folder.
func leftToRoot(path string) error {
	return fmt.Errorf("%s: its content is root's alone, and the owner of the folder could have moved it here to get at it; "+
		"if a command that root ran made it, give it back with chown, else remove it", path)
}
