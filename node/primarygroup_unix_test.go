//go:build !windows

package node

import (
	"os/user"
	"strconv"
	"testing"
)

// Root's command on a folder works as its owner does: in the owner's group, whatever group the folder was given.
func TestOwnersGroupIsNotTheFolders(t *testing.T) {
	u, err := user.Lookup("nobody")
	if err != nil {
		t.Fatal(err)
	}
	uid, _ := strconv.Atoi(u.Uid)
	for _, folders := range []int{0, 4711} {
		if got, err := primaryGroup(uid, folders); err != nil || strconv.Itoa(got) != u.Gid {
			t.Errorf("in a folder of group %d: %d, %v, want %s", folders, got, err, u.Gid)
		}
	}
	const unknown = 1<<31 - 7
	if got, err := primaryGroup(unknown, 4711); err != nil || got != 4711 {
		t.Errorf("a user whom the system does not know: %d, %v", got, err)
	}
	if got, err := primaryGroup(unknown, 0); err == nil {
		t.Errorf("such a user gets root's group: %d", got)
	}
}
