//go:build unix

package install

import (
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// group is a program with what it has started.
type group struct{}

// ownGroup puts a program, and what it will start, into a process group of its own.
func ownGroup(cmd *exec.Cmd, chroot string) (group, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Chroot: chroot}
	return group{}, nil
}

func (group) started(*exec.Cmd) {}

// kill ends the whole group. The program was not waited for yet, so the number is still its own.
func (group) kill(cmd *exec.Cmd) { _ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL) }

func (group) close() {}

// lockRun opens a file that is locked for as long as anything that inherited it runs, even if we are
// killed meanwhile; not ok while something has it.
func lockRun(dir string) (f *os.File, ok bool, err error) {
	f, err = os.OpenFile(filepath.Join(dir, "running"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, false, err
	}
	if err := unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = f.Close()
		return nil, false, nil
	}
	return f, true, nil
}
