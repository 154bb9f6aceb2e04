package policy

import (
	"fmt"
	"path"
	"strings"
	"unicode/utf8"
)

// Hook is a script that runs before or after an install, on the machine, as part of it. The approvers sign
// every byte of it with the descriptor; nobody can add an argument.
//
// An exit code of OK lets the work go on, and one of RestartOK as well, which also says that the machine needs
// a restart. Any other code, a script that cannot be started and one that takes too long are failures: before
// an install it is not begun, after one the failure is reported and the script is run again with the next try.
// So a hook must be written to be run more than once.
type Hook struct {
	Interpreter    string `json:"interpreter,omitempty"` // absolute path; empty: the script begins with #! and one
	Script         string `json:"script"`
	TimeoutSeconds int    `json:"timeout_seconds"`
	OK             []int  `json:"ok,omitempty"`         // empty: 0
	RestartOK      []int  `json:"restart_ok,omitempty"` // empty: 3010, the code of Windows installers
}

// Limits of a hook.
const (
	MaxHookBytes   = 16 << 10
	MaxHookSeconds = 3600
	maxHookCodes   = 32
	restartExit    = 3010
)

// HookResult is what an exit code of a hook means.
type HookResult int

// The results.
const (
	HookFailed HookResult = iota
	HookOK
	HookRestart
)

// Judge says what an exit code means. A code that is in both lists asks for the restart. bytes: the system
// keeps only the lowest eight bits of a code, so that a script which ends with 3010 is seen to end with 194.
func (h *Hook) Judge(code int, bytes bool) HookResult {
	in := func(codes []int, otherwise int) bool {
		if len(codes) == 0 {
			codes = []int{otherwise}
		}
		for _, c := range codes {
			if c == code || bytes && c > 255 && c&255 == code {
				return true
			}
		}
		return false
	}
	switch {
	case in(h.RestartOK, restartExit):
		return HookRestart
	case in(h.OK, 0):
		return HookOK
	}
	return HookFailed
}

// Check refuses what no machine could run within bounds. ErrFormat, ErrTooLarge.
func (h *Hook) Check() error {
	switch {
	case len(h.Script) > MaxHookBytes:
		return fmt.Errorf("hook of %d bytes, at most %d: %w", len(h.Script), MaxHookBytes, ErrTooLarge)
	case strings.TrimSpace(h.Script) == "" || !utf8.ValidString(h.Script) || strings.ContainsRune(h.Script, 0):
		return fmt.Errorf("hook without a script of text: %w", ErrFormat)
	case h.TimeoutSeconds < 1 || h.TimeoutSeconds > MaxHookSeconds:
		return fmt.Errorf("hook with %d s, want 1 to %d: %w", h.TimeoutSeconds, MaxHookSeconds, ErrFormat)
	case len(h.OK) > maxHookCodes || len(h.RestartOK) > maxHookCodes:
		return fmt.Errorf("hook with %d and %d exit codes: %w", len(h.OK), len(h.RestartOK), ErrTooLarge)
	case h.Interpreter == "":
		line, _, _ := strings.Cut(h.Script, "\n")
		program, marked := strings.CutPrefix(line, "#!")
		if !marked || !path.IsAbs(strings.TrimSpace(program)) {
			return fmt.Errorf("hook that names no program to run it: %w", ErrFormat)
		}
		return nil
	}
	return CheckPath(h.Interpreter)
}

func (d *Descriptor) checkHooks() error {
	for _, x := range []struct {
		name string
		h    *Hook
	}{{"before", d.Before}, {"after", d.After}} {
		if x.h == nil {
			continue
		}
		if err := x.h.Check(); err != nil {
			return fmt.Errorf("descriptor of %s: %s: %w", d.Update, x.name, err)
		}
	}
	return nil
}

// HookSeconds is how long the hooks of an update may take together: a maintenance window must hold them too.
func (d *Descriptor) HookSeconds() (n int) {
	for _, h := range []*Hook{d.Before, d.After} {
		if h != nil {
			n += h.TimeoutSeconds
		}
	}
	return n
}
