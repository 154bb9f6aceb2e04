package node

import (
	"path/filepath"

	"patchmesh/node/api"
)

// StandAside is how root begins a node on the folder of another user, before anything in it is looked at. The root of
// trust lies in there, so that what the node takes for approved is that user's word. A node that installs nothing, since the
// apply role does that or because it is a seed, works as that user, as every other command does (ActAsOwner). One that would
// install by itself is refused: it would be root for whoever owns the folder, or, as that user, could install nothing. So
// is root's own folder with another user's documents in it: whoever could write to the folder has put them there.
func (c Config) StandAside() error {
	uid, _, is := ownerElsewhere(c.DataDir)
	if !is {
		return c.rootsThroughout()
	}
	if c.ApplySocket != "" || isSeedDir(c.DataDir) {
		return ActAsOwner(c.DataDir)
	}
	return api.Errorf(api.ClassRefused, "%s belongs to user %d, who could have root install anything by what lies in it", c.DataDir, uid).
		WithHint("run it as that user, beside 'patchmesh apply' as root ('patchmesh service install' sets both up), or enrol the machine as root in an empty folder of root's")
}

// rootsThroughout refuses, in a folder of root's, what root would believe and another user owns.
func (c Config) rootsThroughout() error {
	for _, name := range []string{"state.db", "trust", "keys"} {
		path := filepath.Join(c.DataDir, name)
		if uid, _, is := ownerElsewhere(path); is {
			return api.Errorf(api.ClassRefused, "%s belongs to user %d, who could have root install anything by what lies in it, and the folder around it is root's", path, uid).
				WithHint("find out how it came there; if it was yours, as after a backup was restored: chown -R root %s", c.DataDir)
		}
	}
	return nil
}
