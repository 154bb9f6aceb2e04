package install

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"sync"
	"time"
)

// keptOutput is how much of a program's output is kept, from its end.
const keptOutput = 64 << 10

// strayWait is how long the output of a program that has ended may stay open: what it left running in
// the background must not hold us.
const strayWait = 2 * time.Second

// program is one run of a signed program that is not a package tool: unlike dpkg it may be killed.
type program struct {
	path   string
	args   []string
	dir    string
	env    []string
	chroot string // "": none
	most   time.Duration
	held   *os.File // inherited by the program and what it starts; nil: nothing
}

// run runs the program in a process group of its own and kills the whole group when its time is up or
// ctx ends. The error is of a program that gave no exit code.
func (p program) run(ctx context.Context) (exitCode int, output []byte, err error) {
	ctx, cancel := context.WithTimeout(ctx, p.most)
	defer cancel()
	cmd := exec.Command(p.path, p.args...)
	cmd.Dir, cmd.Env = p.dir, p.env
	var out lastBytes
	cmd.Stdout, cmd.Stderr = &out, &out // standard input is empty: nobody answers questions
	cmd.WaitDelay = strayWait
	if p.held != nil && runtime.GOOS != "windows" {
		cmd.ExtraFiles = []*os.File{p.held}
	}
	group, err := ownGroup(cmd, p.chroot)
	if err != nil {
		return 0, nil, err
	}
	defer group.close()
	if err := ctx.Err(); err != nil {
		return 0, nil, err
	}
	if err := cmd.Start(); err != nil {
		return 0, nil, err
	}
	group.started(cmd)
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case err = <-ended:
	case <-ctx.Done():
		group.kill(cmd)
		<-ended
		return 0, out.bytes(), fmt.Errorf("it did not end in time and was killed: %w", ctx.Err())
	}
	var exit *exec.ExitError
	switch {
	case errors.As(err, &exit) && exit.ExitCode() < 0:
		return 0, out.bytes(), fmt.Errorf("it was ended by a signal: %w", err)
	case err != nil && !errors.As(err, &exit) && !errors.Is(err, exec.ErrWaitDelay):
		return 0, out.bytes(), err
	}
	return cmd.ProcessState.ExitCode(), out.bytes(), nil
}

// unbusy runs a program whose file we have just written. Another start may have inherited that open file for a
// moment, and until that is over the system does not run it.
func (p program) unbusy(ctx context.Context) (exitCode int, output []byte, err error) {
	for tries := 0; ; tries++ {
		exitCode, output, err = p.run(ctx)
		if !isBusy(err) || tries == 100 || !sleep(ctx, 20*time.Millisecond) {
			return exitCode, output, err
		}
	}
}

// lastBytes keeps the end of an output, of whatever length.
type lastBytes struct {
	mu sync.Mutex
	b  []byte
}

func (l *lastBytes) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.b = append(l.b, b[max(0, len(b)-keptOutput):]...)
	if len(l.b) > 2*keptOutput {
		l.b = append([]byte(nil), l.b[len(l.b)-keptOutput:]...)
	}
	return len(b), nil
}

func (l *lastBytes) bytes() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]byte(nil), l.b[max(0, len(l.b)-keptOutput):]...)
}

// programEnvironment is all that a signed program sees of ours.
func programEnvironment(more ...string) []string {
	if runtime.GOOS == "windows" {
		env := []string{}
		for _, k := range []string{"SystemRoot", "SystemDrive", "windir", "ProgramData", "ProgramFiles", "PATHEXT", "ComSpec"} {
			if v := os.Getenv(k); v != "" {
				env = append(env, k+"="+v)
			}
		}
		return append(append(env, `PATH=`+os.Getenv("SystemRoot")+`\System32`), more...)
	}
	return append(environment()[:3:3], more...) // PATH, HOME, LC_ALL
}
