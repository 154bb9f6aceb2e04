//go:build !linux && !windows

package node

import (
	"errors"
	"os/exec"
	"syscall"

	"patchmesh/node/install"
)

// DefaultSlots is where the launcher of a system looks.
var DefaultSlots = "/" + install.AgentDir

// canBecome: elsewhere the launcher stays the parent of what it starts.
const canBecome = false

func become(string, []string, []string) error { return errors.ErrUnsupported }

func askToEnd(cmd *exec.Cmd) error { return cmd.Process.Signal(syscall.SIGTERM) }

func startChild(cmd *exec.Cmd) (<-chan struct{}, error) {
	ended := make(chan struct{})
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is asked of its state
	}()
	return ended, nil
}
