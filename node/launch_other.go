//go:build !linux

package node

import (
	"errors"
	"os"
	"os/exec"
	"runtime"
	"syscall"
)

// canBecome: elsewhere the launcher stays the parent of what it starts.
const canBecome = false

func become(string, []string, []string) error { return errors.ErrUnsupported }

func askToEnd(p *os.Process) error {
	if runtime.GOOS == "windows" {
		return p.Kill()
	}
	return p.Signal(syscall.SIGTERM)
}

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
