package policy

import (
	"errors"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

func TestRC15ExitCodesOfHooks(t *testing.T) {
	plain, own := Hook{}, Hook{OK: []int{0, 7}, RestartOK: []int{100, 259}}
	for _, c := range []struct {
		name  string
		h     Hook
		code  int
		bytes bool
		want  HookResult
	}{
		{"0 is well", plain, 0, false, HookOK},
		{"3010 is well and asks for a restart", plain, 3010, false, HookRestart},
		{"3010 where codes are bytes", plain, 3010 & 255, true, HookRestart},
		{"194 where they are not", plain, 194, false, HookFailed},
		{"1 is not", plain, 1, true, HookFailed},
		{"1641 is not", plain, 1641, false, HookFailed},
		{"own list", own, 7, true, HookOK},
		{"own restart", own, 100, true, HookRestart},
		{"own restart beyond a byte", own, 3, true, HookRestart},
		{"own lists replace the usual ones", own, 3010, false, HookFailed},
	} {
		if got := c.h.Judge(c.code, c.bytes); got != c.want {
			t.Errorf("%s: %d", c.name, got)
		}
	}
}

// hooked is a descriptor with a hook.
func hooked(h *Hook) *Descriptor {
	return &Descriptor{
		Update: "u", Revision: 1, Severity: "low", Installer: "file", Requires: []string{"file"}, FileName: "u", Payload: content.Sum([]byte("u")), MapBytes: 1,
		PlainBytes: 1, StoredBytes: 1, SHA256: strings.Repeat("0", 64), Before: h,
	}
}

func TestRC15HooksAreBoundedAndPartOfWhatIsSigned(t *testing.T) {
	good := Hook{Script: "#!/bin/sh\nexit 0\n", TimeoutSeconds: 10}
	for name, c := range map[string]struct {
		edit func(*Hook)
		want error
	}{
		"as it should be":  {func(*Hook) {}, nil},
		"too large":        {func(h *Hook) { h.Script += strings.Repeat("#", MaxHookBytes) }, ErrTooLarge},
		"empty":            {func(h *Hook) { h.Script = " \n" }, ErrFormat},
		"zero byte":        {func(h *Hook) { h.Script += "\x00" }, ErrFormat},
		"no text":          {func(h *Hook) { h.Script += "\xff" }, ErrFormat},
		"no end":           {func(h *Hook) { h.TimeoutSeconds = 0 }, ErrFormat},
		"longer than any":  {func(h *Hook) { h.TimeoutSeconds = MaxHookSeconds + 1 }, ErrFormat},
		"nobody runs it":   {func(h *Hook) { h.Script = "exit 0" }, ErrFormat},
		"by a search path": {func(h *Hook) { h.Script = "#!sh\nexit 0" }, ErrFormat},
		"by a path upward": {func(h *Hook) { h.Interpreter = "/bin/../tmp/sh" }, ErrFormat},
		"too many codes":   {func(h *Hook) { h.OK = make([]int, 33) }, ErrTooLarge},
	} {
		h := good
		c.edit(&h)
		_, err := hooked(&h).Encode()
		if !errors.Is(err, c.want) || (err == nil) != (c.want == nil) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	a, b := good, good
	b.Script += "# one byte more\n"
	if hooked(&a).ID() == hooked(&b).ID() {
		t.Error("a changed script leaves the descriptor's name as it was: nobody's signature covers it")
	}
}

func TestRC15AWindowMustHoldTheHooksToo(t *testing.T) {
	d := hooked(&Hook{Script: "#!/bin/sh\n", TimeoutSeconds: 1800})
	d.After, d.MaxRunSeconds = d.Before, 600
	at := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for minutes, want := range map[int]Verb{69: VerbStage, 70: VerbInstall} {
		m := &Manifest{
			Windows:   []Window{{ID: "w", Group: "all", Rule: "FREQ=DAILY", From: "2026-03-01", At: "12:00", Zone: "UTC", Minutes: minutes}},
			Approvals: []Approval{{Update: "u", Revision: 1, Descriptor: d.ID(), Group: "all", Action: ActionInstall}},
		}
		mach := Machine{ID: "m", Installers: []string{"file"}, Detected: map[UpdateID]Detection{"u": {At: at}}}
		p := MakePlan(m, func(content.ID) *Descriptor { return d }, mach, false, at)
		if len(p.Verdicts) != 1 || p.Verdicts[0].Verb != want {
			t.Errorf("10 minutes and two scripts of 30 in a window of %d: %+v", minutes, p.Verdicts)
		}
	}
}
