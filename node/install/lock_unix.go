//go:build unix

package install

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/unix"
)

// lockFrontend takes the lock that apt and other package tools take around whole operations, so that
// what we looked at is still so when we act on it. It waits until ctx ends.
func (p *dpkg) lockFrontend(ctx context.Context) (unlock func(), err error) {
	path := filepath.Join(p.admin, "lock-frontend")
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err != nil {
		return nil, writeError(err, Job{}, "open package lock %s", path)
	}
	for wait := firstLockWait; ; wait = min(2*wait, maxLockWait) {
		err := unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
		if err == nil {
			return func() { f.Close() }, nil // closing gives the lock up
		}
		if !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EACCES) {
			f.Close()
			return nil, failed(ReasonDiskError, err, "lock %s", path)
		}
		if !sleep(ctx, wait) {
			f.Close()
			return nil, failed(ReasonLocked, ctx.Err(), "wait for another package tool to release %s", path)
		}
	}
}

// detach puts a tool into its own process group.
func detach(cmd *exec.Cmd) { cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} }
