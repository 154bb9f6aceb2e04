//go:build unix

package install

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

// AgentDir is where the programs of agent updates lie, below Root.
const AgentDir = "usr/local/lib/patchmesh"

// unlessBusy does what may fail on systems where an open file is in the way of others.
func unlessBusy(f func() error) error { return f() }

// placeProgram gives a program its name; one that runs is in nobody's way here.
func placeProgram(from, to string) error { return os.Rename(from, to) }

// checkOurs refuses a folder whose programs somebody else could exchange.
func checkOurs(dir string, fi fs.FileInfo) error {
	if perm := fi.Mode().Perm(); perm&0o022 != 0 {
		return fmt.Errorf("folder %s can be changed by others (mode %04o)", dir, perm)
	}
	if st, ok := fi.Sys().(*syscall.Stat_t); ok && int(st.Uid) != os.Geteuid() {
		return fmt.Errorf("folder %s belongs to user %d, not to us (%d)", dir, st.Uid, os.Geteuid())
	}
	return nil
}

// Ours says whether this user keeps the pointer of the slots, and not only follows it.
func (s *Slots) Ours() bool {
	fi, err := os.Lstat(s.dir)
	return err == nil && fi.IsDir() && checkOurs(s.dir, fi) == nil
}
