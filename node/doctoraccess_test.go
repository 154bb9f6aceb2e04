//go:build !windows

package node

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/control"
	"patchmesh/node/inventory"
	"patchmesh/node/state"
)

// S-LOCAL, R-I6: root mends the folder of another user: what root left there is that user's again. A second name of a
// file of the system, a link or a pipe that the user has put there gives that user nothing and holds nobody up.
func TestRI6FixHandsBackWhatRootLeftAndNothingElse(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("only root can give files away")
	}
	const user = 54321
	dir, outside := t.TempDir(), t.TempDir()
	shadow := filepath.Join(outside, "shadow")
	db, err := state.Open(filepath.Join(dir, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	// The owner of the folder can move a file of root's into it from any other folder of theirs.
	moved := []string{"state.db-journal", "keys/moved.key", "payloads/moved"}
	for what, err := range map[string]error{
		"db":       db.Close(),
		"keys":     os.Mkdir(filepath.Join(dir, "keys"), 0o755),
		"payloads": os.Mkdir(filepath.Join(dir, "payloads"), 0o700),
		"key":      os.WriteFile(filepath.Join(dir, "keys", "node.key"), nil, 0o644),
		"moved 0":  os.WriteFile(filepath.Join(dir, moved[0]), []byte("secret"), 0o600),
		"moved 1":  os.WriteFile(filepath.Join(dir, moved[1]), []byte("secret"), 0o600),
		"moved 2":  os.WriteFile(filepath.Join(dir, moved[2]), []byte("secret"), 0o640),
		"shadow":   os.WriteFile(shadow, []byte("secret"), 0o644),
		"link":     os.Symlink(shadow, filepath.Join(dir, "keys", "link.key")),
		"name":     os.Link(shadow, filepath.Join(dir, "keys", "other.key")),
		"pipe":     syscall.Mkfifo(filepath.Join(dir, "keys", "pipe.key"), 0o666),
		"owner":    os.Chown(dir, user, user),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	e, err := newExamination("", api.DoctorQuery{Fix: true}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	lookAtAccess(e, dir)
	handBackAll(dir) // and once more as every look does: what was closed to others meanwhile is no more open than before
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	fi, err := os.Stat(shadow)
	if err != nil {
		t.Fatal(err)
	}
	if uid, _ := ownerOf(fi); uid != 0 || fi.Mode().Perm() != 0o644 {
		t.Fatalf("a file of the system: owner %d, mode %o", uid, fi.Mode().Perm())
	}
	for _, name := range []string{"keys", "keys/node.key", "state.db"} {
		fi, err := root.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if uid, gid := ownerOf(fi); uid != user || gid != user || fi.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s: owner %d:%d, mode %o: %+v", name, uid, gid, fi.Mode().Perm(), e.Findings)
		}
	}
	for _, name := range moved {
		fi, err := root.Lstat(name)
		if err != nil {
			t.Fatal(err)
		}
		if uid, gid := ownerOf(fi); uid != 0 || gid != 0 {
			t.Errorf("%s, which only root could read, was given to %d:%d", name, uid, gid)
		}
	}
	f := checked(t, &e.Diagnosis, "owner of the data folder")
	if !strings.Contains(f.Did, "moved.key") || !strings.Contains(f.Did, "chown") {
		t.Errorf("what was left is not told: %+v", f)
	}
}

// A socket on which somebody answers, or that is none, is nobody's leftover.
func TestRI6OnlyDeadSocketsAreLeftovers(t *testing.T) {
	dir, err := os.MkdirTemp("", "pd")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	l, err := net.Listen("unix", filepath.Join(dir, "admin.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if err := os.WriteFile(filepath.Join(dir, "status.sock"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := control.Leftovers(dir, dir); len(got) > 0 {
		t.Errorf("%q", got)
	}
	if err := control.Sweep([]string{filepath.Join(dir, "admin.sock"), filepath.Join(dir, "status.sock")}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"admin.sock", "status.sock"} {
		if _, err := os.Lstat(filepath.Join(dir, name)); err != nil {
			t.Errorf("it was removed: %v", err)
		}
	}
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if got := control.Leftovers(dir, ""); len(got) != 1 {
		t.Errorf("left by a dead process: %q", got)
	}
}

// R-I6: each file system that is written to is looked at once, the two that count always.
func TestRI6DisksAreThoseThatAreUsed(t *testing.T) {
	e, err := newExamination("", api.DoctorQuery{}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	list := []volumeAt{{"disk of the data folder", dir}, {"disk of the system", filepath.Join(dir, "root")}, {"disk of /usr", filepath.Join(dir, "root", "usr")}}
	other := ""
	mine, _, err := inventory.Volume(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, at := range []string{"/dev/shm", "/proc", "/sys"} {
		if v, readOnly, err := inventory.Volume(at); err == nil && v != mine && !readOnly {
			list, other = append(list, volumeAt{"disk of " + at, at}), at
			break
		}
	}
	lookAtDisk(e, list, func() (string, error) { return "", nil })
	seen := map[string]int{}
	for _, f := range e.Findings {
		seen[f.Check]++
	}
	if seen["disk of the data folder"] != 1 || seen["disk of the system"] != 1 || seen["disk of /usr"] != 0 {
		t.Errorf("%v", seen)
	}
	if other != "" && seen["disk of "+other] != 1 {
		t.Errorf("%s is a file system of its own: %v", other, seen)
	}
}

// S-LOCAL, R-I6: whoever has taken over the node's user waits for root to run the doctor. Root looks at that folder as its
// owner: a link in place of the database has nothing of root's written, and no signed rule of that folder is root's to run.
func TestRI6RootLooksAtTheFolderOfAnotherUserAsThatUser(t *testing.T) {
	if os.Geteuid() != 0 && os.Getenv("PATCHMESH_TEST_DOCTOR") == "" {
		t.Skip("only root can give files away")
	}
	const user = 54321
	if dir := os.Getenv("PATCHMESH_TEST_DOCTOR"); dir != "" { // the process that root starts
		_, _ = DoctorStopped(context.Background(), dir, api.DoctorQuery{Fix: true}, time.Now)
		if uid, euid, gid := os.Getuid(), os.Geteuid(), os.Getegid(); uid != user || euid != user || gid != user {
			t.Errorf("it goes on as %d, %d, group %d", uid, euid, gid)
		}
		return
	}
	dir, outside := t.TempDir(), t.TempDir()
	victim := filepath.Join(outside, "victim")
	for what, err := range map[string]error{
		"victim": os.WriteFile(victim, nil, 0o600),
		"link":   os.Symlink(victim, filepath.Join(dir, "state.db")),
		"owner":  os.Chown(dir, user, user),
	} {
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
	}
	c := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v")
	c.Env = append(os.Environ(), "PATCHMESH_TEST_DOCTOR="+dir)
	if out, err := c.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
	if fi, err := os.Stat(victim); err != nil || fi.Size() != 0 {
		t.Errorf("a file of root's was written to: %d bytes, %v", fi.Size(), err)
	}
}
