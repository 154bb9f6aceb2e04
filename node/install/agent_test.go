package install

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
)

func agentSpec(version string, args map[string]string) Spec {
	return Spec{Update: "agent", Revision: 1, Installer: "agent", Version: version, FileName: "patchmesh", Args: args}
}

func TestRJ11DescriptorsOfAgentsAreChecked(t *testing.T) {
	for name, c := range map[string]struct {
		spec Spec
		ok   bool
	}{
		"plain":             {agentSpec("2.0", nil), true},
		"all arguments":     {agentSpec("2.0", map[string]string{"allow-downgrade": "true", "prove-seconds": "90"}), true},
		"no version":        {agentSpec("", nil), false},
		"no number":         {agentSpec("dev", nil), false},
		"a path":            {agentSpec("2.0", map[string]string{"dest": "/usr/bin/patchmesh"}), false},
		"no time":           {agentSpec("2.0", map[string]string{"prove-seconds": "0"}), false},
		"too much time":     {agentSpec("2.0", map[string]string{"prove-seconds": "3601"}), false},
		"half a permission": {agentSpec("2.0", map[string]string{"allow-downgrade": "yes"}), false},
	} {
		if err := (agentInstaller{}).check(c.spec); (err == nil) != c.ok {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// agentJobOf is a job on a root whose slots have a base of version 1.5.
func agentJobOf(t *testing.T, body []byte, s Spec) Job {
	t.Helper()
	root := t.TempDir()
	s.SHA256, s.PlainBytes = sha256.Sum256(body), int64(len(body))
	j := Job{Root: root, Work: filepath.Join(root, "work"), Spec: s, Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(body)), nil }}
	if err := j.agentSlots().Prepare(AgentSlot{Version: "1.5", SHA256: strings.Repeat("0", 64)}); err != nil {
		t.Fatal(err)
	}
	return j
}

func TestRJ11WrongBytesAreNeverStarted(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("programs of this test are shell scripts")
	}
	ran := filepath.Join(t.TempDir(), "ran")
	body := []byte("#!/bin/sh\ntouch " + ran + "\n")
	j := agentJobOf(t, body, agentSpec("2.0", nil))
	j.Open = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(append(body, "\n"...))), nil }
	_, err := agentInstaller{}.Install(t.Context(), j)
	if !errors.Is(err, ErrVerify) {
		t.Errorf("%v, want ErrVerify", err)
	}
	if _, err := os.Stat(ran); err == nil {
		t.Error("a program that was not approved was started")
	}
	if left, _ := filepath.Glob(filepath.Join(j.Root, AgentDir, "*", "*")); len(left) > 0 {
		t.Errorf("left behind: %s", left)
	}
}

func TestRJ11OlderVersionsNeedLeaveAndNewerOnesCountAsPresent(t *testing.T) {
	j := agentJobOf(t, []byte("x"), agentSpec("1.4", nil))
	if d, err := (agentInstaller{}).Detect(t.Context(), j); err != nil || !d.Present || d.Version != "1.5" {
		t.Errorf("a newer version runs: %+v, %v", d, err)
	}
	j.Spec.Args = map[string]string{"allow-downgrade": "true"}
	if d, err := (agentInstaller{}).Detect(t.Context(), j); err != nil || d.Present {
		t.Errorf("a downgrade is meant: %+v, %v", d, err)
	}
	j = agentJobOf(t, []byte("x"), agentSpec("1.6", nil))
	if d, err := (agentInstaller{}).Detect(t.Context(), j); err != nil || d.Present {
		t.Errorf("an older version runs: %+v, %v", d, err)
	}
}

func TestRJ11AProgramForAnotherSystemIsNotForThisMachine(t *testing.T) {
	for arg, want := range map[string]string{"os=plan9": "compat-os", "arch=mips": "compat-arch", "os=" + runtime.GOOS: "", "arch=" + runtime.GOARCH: ""} {
		key, value, _ := strings.Cut(arg, "=")
		j := agentJobOf(t, []byte("x"), agentSpec("2.0", map[string]string{key: value}))
		if d, err := Look(t.Context(), agentInstaller{}, j); err != nil || d.Foreign != want || d.Present {
			t.Errorf("%s: %+v, %v", arg, d, err)
		}
	}
}

func TestRJ11WithoutALauncherNothingIsInstalled(t *testing.T) {
	j := agentJobOf(t, []byte("x"), agentSpec("2.0", nil))
	if err := os.RemoveAll(filepath.Join(j.Root, filepath.FromSlash(AgentDir))); err != nil {
		t.Fatal(err)
	}
	_, err := agentInstaller{}.Install(t.Context(), j)
	var e *Error
	if !errors.As(err, &e) || e.Reason != ReasonMissing {
		t.Errorf("%v, want %s: a program that nobody would start", err, ReasonMissing)
	}
}

func TestRJ11AFolderThatOthersMayChangeIsRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("Windows has no permission bits")
	}
	j := agentJobOf(t, []byte("x"), agentSpec("2.0", nil))
	s := j.agentSlots()
	if err := os.Chmod(s.dir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := s.Prove(strings.Repeat("0", 64)); err == nil || errors.Is(err, ErrNotOnTrial) || s.Ours() {
		t.Errorf("%v: whoever may write there chooses what root starts", err)
	}
}

// A program that proves itself in the moment in which it is given up: one of the two counts, whole.
func TestRJ11ProofAndGivingUpExcludeEachOther(t *testing.T) {
	for range 20 {
		j := agentJobOf(t, []byte("x"), agentSpec("2.0", nil))
		s := j.agentSlots()
		p, err := s.Read()
		if err != nil {
			t.Fatal(err)
		}
		next := AgentSlot{Slot: slotA, Version: "2.0", SHA256: fmt.Sprintf("%064d", 2), Update: "agent", Revision: 1}
		if err := turn(j, s, p.Current, next, 60, false); err != nil {
			t.Fatal(err)
		}
		gaveUp := make(chan error, 1)
		go func() { gaveUp <- s.GiveUp(next.SHA256, "late") }()
		proved := s.Prove(next.SHA256)
		given := <-gaveUp
		p, err = s.Read()
		if err != nil || (proved == nil) == (given == nil) || p.Trial != nil || (p.Current == next) != (proved == nil) || (p.Failed == nil) != (proved == nil) {
			t.Fatalf("proved: %v, given up: %v, %+v, %v", proved, given, p, err)
		}
	}
}

func TestRJ11AProgramThatTakesTheMachineDownIsGivenUp(t *testing.T) {
	j := agentJobOf(t, []byte("x"), agentSpec("2.0", nil))
	s := j.agentSlots()
	p, err := s.Read()
	if err != nil {
		t.Fatal(err)
	}
	next := AgentSlot{Slot: slotA, Version: "2.0", SHA256: fmt.Sprintf("%064d", 2), Update: "agent", Revision: 1}
	if err := turn(j, s, p.Current, next, 60, false); err != nil {
		t.Fatal(err)
	}
	for n := range MaxAgentStarts {
		if trial, err := s.Start(); err != nil || trial == nil || trial.Starts != n+1 {
			t.Fatalf("start %d: %+v, %v", n+1, trial, err)
		}
	}
	if trial, err := s.Start(); err != nil || trial != nil {
		t.Fatalf("one start too many: %+v, %v", trial, err)
	}
	if now, err := s.Read(); err != nil || now.Current != p.Current || now.Failed == nil {
		t.Errorf("%+v, %v", now, err)
	}
}

func TestRJ11ABaseThatPeopleRenewRunsIfItIsNewer(t *testing.T) {
	for version, want := range map[string]string{"1.9": "2.0", "2.1": "2.1"} {
		j := agentJobOf(t, []byte("x"), agentSpec("2.0", nil))
		s := j.agentSlots()
		err := s.change(func(p *AgentPointer) error {
			p.Previous, p.Current = p.Current, AgentSlot{Slot: slotA, Version: "2.0", SHA256: fmt.Sprintf("%064d", 2)}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Prepare(AgentSlot{Version: version, SHA256: fmt.Sprintf("%064d", 3)}); err != nil {
			t.Fatal(err)
		}
		if p, err := s.Read(); err != nil || p.Current.Version != want {
			t.Errorf("after base %s: %+v, %v", version, p, err)
		}
	}
}

func FuzzRJ11Pointer(f *testing.F) {
	f.Add([]byte(`{"format":1,"base":{"slot":"base","version":"1","sha256":"00"},"current":{"slot":"a","version":"2","sha256":"11"},"previous":{"slot":"base"},"trial":{"update":"u","revision":1,"seconds":60}}`))
	f.Add([]byte(`{"format":1,"current":{"slot":"../../etc"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := decodePointer(b)
		if err != nil {
			return
		}
		for _, x := range []AgentSlot{p.Base, p.Current, p.Previous} {
			if x.Slot != "" && x.Slot != SlotBase && x.Slot != slotA && x.Slot != slotB {
				t.Fatalf("slot %q", x.Slot)
			}
		}
		if p.Trial != nil {
			p.back("x")
			if p.Current.Slot == "" {
				t.Fatal("the way back leads nowhere")
			}
		}
	})
}
