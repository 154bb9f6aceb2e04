//go:build !windows

package node

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"patchmesh/node/api"
)

// S-LOCAL: root that starts a node on the folder of another user does not become that user's installer. A node that
// would install by itself is refused, before anything in the folder is opened; one that has the apply role beside it,
// or is a seed, works as the owner.
func TestRootRunsNoNodeThatInstallsOnTheFolderOfAnotherUser(t *testing.T) {
	const user = 54321
	if dir := os.Getenv("PATCHMESH_TEST_RUN_FOLDER"); dir != "" { // the process that root starts
		_, err := Open(Config{DataDir: dir, Listen: "127.0.0.1:0", Root: os.TempDir(), ApplySocket: os.Getenv("PATCHMESH_TEST_RUN_SOCKET")})
		wants := 0
		if os.Getenv("PATCHMESH_TEST_RUN_AS") != "" {
			wants = user
		}
		if uid, euid, gid := os.Getuid(), os.Geteuid(), os.Getegid(); uid != wants || euid != wants || gid != wants {
			t.Errorf("it goes on as %d, %d, group %d", uid, euid, gid)
		}
		if err == nil || wants == 0 && api.ClassOf(err) != api.ClassRefused {
			t.Errorf("a folder whose database is a link was used, or not refused: %v", err)
		}
		return
	}
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	for name, c := range map[string]struct {
		socket string
		seed   bool
		as     string
	}{
		"installs itself":      {},
		"beside an apply role": {socket: "/run/apply.sock", as: "owner"},
		"a seed":               {seed: true, as: "owner"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			victim, dir := filepath.Join(t.TempDir(), "victim"), t.TempDir()
			for what, err := range map[string]error{
				"victim": os.WriteFile(victim, nil, 0o600),
				"link":   os.Symlink(victim, filepath.Join(dir, "state.db")),
				"keys":   os.Mkdir(filepath.Join(dir, "keys"), 0o755),
			} {
				if err != nil {
					t.Fatalf("%s: %v", what, err)
				}
			}
			if c.seed {
				if err := os.WriteFile(filepath.Join(dir, "keys", roleTimestamp+".pub"), nil, 0o644); err != nil {
					t.Fatal(err)
				}
			}
			if err := os.Chown(dir, user, user); err != nil {
				t.Fatal(err)
			}
			cmd := exec.Command(os.Args[0], "-test.run=^TestRootRunsNoNodeThatInstallsOnTheFolderOfAnotherUser$", "-test.v")
			cmd.Env = append(os.Environ(), "PATCHMESH_TEST_RUN_FOLDER="+dir, "PATCHMESH_TEST_RUN_SOCKET="+c.socket, "PATCHMESH_TEST_RUN_AS="+c.as)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			if fi, err := os.Stat(victim); err != nil || fi.Size() != 0 {
				t.Errorf("a file of root's was written to: %v, %v", fi, err)
			}
		})
	}
}

// A folder of root's own is root's to run, as it was.
func TestRootRunsANodeOnItsOwnFolder(t *testing.T) {
	if err := (Config{DataDir: t.TempDir()}).StandAside(); err != nil || ActingAs() != nil {
		t.Errorf("%v, %v", err, ActingAs())
	}
}

// S-LOCAL: a folder of root's into which another user could write is not taken for root's throughout.
func TestRootBelievesNoDocumentsOfAnotherUserInItsOwnFolder(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	for _, name := range []string{"state.db", "trust", "keys"} {
		dir := t.TempDir()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := (Config{DataDir: dir}).StandAside(); err != nil {
			t.Errorf("root's own %s: %v", name, err)
		}
		if err := os.Chown(path, 54321, 54321); err != nil {
			t.Fatal(err)
		}
		if err := (Config{DataDir: dir}).StandAside(); api.ClassOf(err) != api.ClassRefused {
			t.Errorf("%s of another user: %v", name, err)
		}
	}
}
