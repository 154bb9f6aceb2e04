package node

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"unsafe"

	"golang.org/x/sys/windows"

	"patchmesh/node/daemon"
	"patchmesh/node/install"
)

// DefaultSlots is where the launcher of a system looks: below a folder that administrators alone can change.
var DefaultSlots = filepath.Join(os.Getenv("SystemDrive")+`\`, install.AgentDir)

// canBecome: no process becomes another program here, the launcher stays the parent of what it starts.
const canBecome = false

func become(string, []string, []string) error { return errors.ErrUnsupported }

// askToEnd sets the event that startChild has told the program: there are no signals here.
func askToEnd(cmd *exec.Cmd) error {
	for _, kv := range cmd.Env {
		name, is := strings.CutPrefix(kv, daemon.EnvEnd+"=")
		if !is {
			continue
		}
		p, err := windows.UTF16PtrFromString(name)
		if err != nil {
			return err
		}
		h, err := windows.OpenEvent(windows.EVENT_MODIFY_STATE, false, p)
		if err != nil {
			return err
		}
		return errors.Join(windows.SetEvent(h), windows.CloseHandle(h))
	}
	return cmd.Process.Kill()
}

// startChild starts a program that dies with this process: a launcher that is killed must not leave one behind that
// holds the data folder. It belongs to a job which ends with the last handle to it; what the program starts itself
// does not, since a package tool at work is to come to its end.
func startChild(cmd *exec.Cmd) (<-chan struct{}, error) {
	name := `Local\patchmesh-end-` + rand.Text()
	p, err := windows.UTF16PtrFromString(name)
	if err != nil {
		return nil, err
	}
	event, err := windows.CreateEvent(nil, 1, 0, p)
	if err != nil {
		return nil, fmt.Errorf("make the event that ends a program: %w", err)
	}
	job, err := dyingJob()
	if err != nil {
		_ = windows.CloseHandle(event)
		return nil, err
	}
	cmd.Env = append(cmd.Env, daemon.EnvEnd+"="+name)
	closeBoth := func() { _, _ = windows.CloseHandle(event), windows.CloseHandle(job) }
	if err := cmd.Start(); err != nil {
		closeBoth()
		return nil, err
	}
	if err := intoJob(job, cmd.Process.Pid); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		closeBoth()
		return nil, err
	}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_ = cmd.Wait() // how it ended is asked of its state
		closeBoth()
	}()
	return ended, nil
}

// dyingJob is a job whose processes end with its last handle.
func dyingJob() (windows.Handle, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return 0, fmt.Errorf("make a job: %w", err)
	}
	limits := windows.JOBOBJECT_EXTENDED_LIMIT_INFORMATION{BasicLimitInformation: windows.JOBOBJECT_BASIC_LIMIT_INFORMATION{
		LimitFlags: windows.JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE | windows.JOB_OBJECT_LIMIT_SILENT_BREAKAWAY_OK,
	}}
	_, err = windows.SetInformationJobObject(job, windows.JobObjectExtendedLimitInformation, uintptr(unsafe.Pointer(&limits)), uint32(unsafe.Sizeof(limits)))
	if err != nil {
		_ = windows.CloseHandle(job)
		return 0, fmt.Errorf("set the limits of a job: %w", err)
	}
	return job, nil
}

func intoJob(job windows.Handle, pid int) error {
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(pid))
	if err != nil {
		return fmt.Errorf("open the program that was started: %w", err)
	}
	defer windows.CloseHandle(h)
	if err := windows.AssignProcessToJobObject(job, h); err != nil {
		return fmt.Errorf("put the program into its job: %w", err)
	}
	return nil
}
