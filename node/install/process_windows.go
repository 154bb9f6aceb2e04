package install

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"golang.org/x/sys/windows"
)

// group is a program with what it has started: a job. What is in one stays in it, also when its parent has ended,
// and cannot leave.
type group struct{ job windows.Handle }

func ownGroup(cmd *exec.Cmd, _ string) (group, error) {
	job, err := windows.CreateJobObject(nil, nil)
	if err != nil {
		return group{}, fmt.Errorf("make a job: %w", err)
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_NEW_PROCESS_GROUP}
	return group{job}, nil
}

// started puts the program into the job. One that has ended already started nothing that has to be found.
func (g group) started(cmd *exec.Cmd) {
	h, err := windows.OpenProcess(windows.PROCESS_SET_QUOTA|windows.PROCESS_TERMINATE, false, uint32(cmd.Process.Pid))
	if err != nil {
		return
	}
	defer windows.CloseHandle(h)
	_ = windows.AssignProcessToJobObject(g.job, h) // without it the program alone is killed
}

// kill ends the program with all that it started.
func (g group) kill(cmd *exec.Cmd) {
	_ = windows.TerminateJobObject(g.job, 1)
	_ = cmd.Process.Kill()
}

// close gives the job back; what a program has left running on purpose goes on.
func (g group) close() { _ = windows.CloseHandle(g.job) }

// lockRun opens a file that nobody else can open meanwhile.
func lockRun(dir string) (f *os.File, ok bool, err error) {
	name, err := windows.UTF16PtrFromString(filepath.Join(dir, "running"))
	if err != nil {
		return nil, false, err
	}
	h, err := windows.CreateFile(name, windows.GENERIC_WRITE, 0, nil, windows.OPEN_ALWAYS, windows.FILE_ATTRIBUTE_NORMAL, 0)
	if isBusy(err) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	return os.NewFile(uintptr(h), "running"), true, nil
}
