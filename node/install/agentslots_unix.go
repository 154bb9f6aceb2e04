//go:build unix

package install

import (
	"fmt"
	"io/fs"
	"os"
	"syscall"
)

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
