//go:build !windows

package node

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"patchmesh/node/api"
)

// offlineVerbs are all ways in which a command opens a data folder.
var offlineVerbs = map[string]func(dir string) error{
	"explain": func(dir string) error {
		_, err := ExplainStopped(context.Background(), dir, "u", "", time.Now)
		return err
	},
	"events":    func(dir string) error { _, err := ReadEvents(dir, api.EventQuery{}, time.Now); return err },
	"syncs":     func(dir string) error { _, err := ReadSyncs(dir, api.SyncQuery{}, time.Now); return err },
	"trust":     func(dir string) error { _, err := ReadTrustState(dir, time.Now); return err },
	"documents": func(dir string) error { return WithFolder(dir, time.Now, func(api.Truster) error { return nil }) },
	"bundle":    func(dir string) error { return WithCarrier(dir, time.Now, func(api.Carrier) error { return nil }) },
	"seed":      func(dir string) error { _, err := OpenOffline(dir, time.Now); return err },
	"holds": func(dir string) error {
		_, err := HoldsStopped(context.Background(), dir, api.HoldQuery{}, time.Now)
		return err
	},
	"catalogue": func(dir string) error {
		_, err := CatalogueStopped(context.Background(), dir, api.CatalogueQuery{}, time.Now)
		return err
	},
	"doctor": func(dir string) error {
		_, err := DoctorStopped(context.Background(), dir, api.DoctorQuery{}, time.Now)
		return err
	},
	"init": func(dir string) error { _, err := Found(FoundRequest{DataDir: dir, Org: "acme"}, time.Now); return err },
	"join": func(dir string) error { _, err := newFolder(dir, time.Now); return err },
}

// S-LOCAL: whoever has taken over the node's user waits for root to run any command on its folder. The command works as
// that user from the beginning: a link gives that user nothing of root's, and nothing that root leaves locks the node out.
func TestRootWorksInTheFolderOfAnotherUserAsThatUser(t *testing.T) {
	const user = 54321
	if verb := os.Getenv("PATCHMESH_TEST_VERB"); verb != "" { // the process that root starts
		err := offlineVerbs[verb](os.Getenv("PATCHMESH_TEST_FOLDER"))
		if uid, euid, gid := os.Getuid(), os.Geteuid(), os.Getegid(); uid != user || euid != user || gid != user {
			t.Errorf("it goes on as %d, %d, group %d", uid, euid, gid)
		}
		if o := ActingAs(); o == nil || o.UID != user {
			t.Errorf("it does not say so: %+v", o)
		}
		if err == nil && verb != "doctor" {
			t.Error("a folder whose database is a link was used")
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	outside := t.TempDir()
	victim := filepath.Join(outside, "victim")
	if err := os.WriteFile(victim, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for verb := range offlineVerbs {
		t.Run(verb, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			for what, err := range map[string]error{
				"link":  os.Symlink(victim, filepath.Join(dir, "state.db")),
				"trust": os.Mkdir(filepath.Join(dir, "trust"), 0o700),
				"owner": os.Chown(dir, user, user),
			} {
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			c := exec.Command(os.Args[0], "-test.run=^TestRootWorksInTheFolderOfAnotherUserAsThatUser$", "-test.v")
			c.Env = append(os.Environ(), "PATCHMESH_TEST_VERB="+verb, "PATCHMESH_TEST_FOLDER="+dir)
			if out, err := c.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if fi, err := os.Stat(victim); err != nil || fi.Size() != 0 {
				t.Errorf("a file of root's was written to: %v, %v", fi, err)
			}
		})
	}
}

// Nor does anybody's command follow such a link.
func TestDatabaseThatIsALinkIsRefused(t *testing.T) {
	m := newMesh(t)
	m.join("a")
	dir := filepath.Join(m.dir, "a")
	elsewhere := filepath.Join(t.TempDir(), "state.db")
	if err := os.Rename(filepath.Join(dir, "state.db"), elsewhere); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(elsewhere, filepath.Join(dir, "state.db")); err != nil {
		t.Fatal(err)
	}
	before, err := os.Stat(elsewhere)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ReadEvents(dir, api.EventQuery{}, time.Now); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("read: %v", err)
	}
	if _, err := Open(Config{DataDir: dir, Listen: freeAddr(t), Root: t.TempDir()}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("run: %v", err)
	}
	if after, err := os.Stat(elsewhere); err != nil || !after.ModTime().Equal(before.ModTime()) || after.Size() != before.Size() {
		t.Errorf("the file behind the link was changed: %v", err)
	}
}

// What the apply role is to believe comes from a folder that was root's alone: given to the node's user, that user could
// have put another root of trust there. What the role took before stays its own.
func TestApplyRoleTakesNothingFromTheFolderOfAnotherUser(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	m := newMesh(t)
	m.join("a")
	data, apply := filepath.Join(m.dir, "a"), filepath.Join(m.dir, "apply")
	give := func(uid int) {
		if err := os.Chown(data, uid, uid); err != nil {
			t.Fatal(err)
		}
	}
	give(54321)
	if _, err := PrepareApply(apply, data, false, time.Now); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("prepared from the folder of another user: %v", err)
	}
	if _, err := os.Stat(machineFile(apply)); err == nil {
		t.Error("something was taken from it")
	}
	give(0)
	first, err := PrepareApply(apply, data, false, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	give(54321)
	again, err := PrepareApply(apply, data, false, time.Now)
	if err != nil || !again.Unchanged || again.Machine != first.Machine || again.Epoch != first.Epoch || !slices.Equal(again.Groups, first.Groups) {
		t.Errorf("prepared before: %+v, %v", again, err)
	}
	if _, err := PrepareApply(apply, data, true, time.Now); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("enrolled anew, in the folder of another user: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Error("it is no longer root who prepares")
	}
}
