package node

import (
	"os/exec"
	"runtime"
	"syscall"

	"patchmesh/node/install"
)

// DefaultSlots is where the launcher of a system looks.
var DefaultSlots = "/" + install.AgentDir

// canBecome: a process can be replaced by another program, keeping its number.
const canBecome = true

func become(path string, args, env []string) error { return syscall.Exec(path, args, env) }

func askToEnd(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) }

// startChild starts a program that dies with this process: a launcher that is killed must not leave one
// behind that holds the data folder. The kernel binds that to the thread, so one thread starts it and waits.
func startChild(cmd *exec.Cmd) (<-chan struct{}, error) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	started, ended := make(chan error, 1), make(chan struct{})
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(ended)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // how it ended is asked of its state
		}
	}()
	return ended, <-started
}
