package restart

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
)

func put(t *testing.T, root, path, text string) {
	t.Helper()
	full := filepath.Join(root, path)
	if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func machine(t *testing.T, boot *string) *Machine {
	return &Machine{
		Root: t.TempDir(), Keep: filepath.Join(t.TempDir(), "kept"), boot: func() (string, error) { return *boot, nil },
		Now: func() time.Time { return time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC) },
	}
}

func TestRC6NotesOfAnEarlierBootAreVoid(t *testing.T) {
	boot := "one"
	m := machine(t, &boot)
	if p, err := m.Look(); err != nil || p.Pending {
		t.Fatalf("%+v %v", p, err)
	}
	for _, u := range []string{"a", "b", "a"} {
		if err := m.Note(u); err != nil {
			t.Fatal(err)
		}
	}
	again := &Machine{Root: m.Root, Keep: m.Keep, boot: m.boot}
	p, err := again.Look()
	if err != nil || !p.Pending || len(p.Updates) != 2 || !p.Since.Equal(m.Now()) {
		t.Errorf("a program that was started anew sees %+v, %v", p, err)
	}
	if err := m.Forget("b"); err != nil {
		t.Fatal(err)
	}
	if p, _ := m.Look(); len(p.Updates) != 1 || p.Updates[0] != "a" {
		t.Errorf("%+v", p)
	}
	boot = "two"
	if p, err := m.Look(); err != nil || p.Pending {
		t.Errorf("after a restart: %+v, %v", p, err)
	}
	if err := os.WriteFile(filepath.Join(m.Keep, noteFile), []byte(`[{"update":"a","at"`), 0o600); err != nil {
		t.Fatal(err)
	}
	if p, err := m.Look(); err != nil || p.Pending {
		t.Errorf("of a damaged file: %+v, %v", p, err)
	}
}

func TestRC6WhatAsksForARestartAndWhoIsThereIsReadBelowTheRoot(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("these files are Linux'")
	}
	boot := "one"
	m := machine(t, &boot)
	put(t, m.Root, "run/systemd/sessions/1", "UID=1000\nCLASS=user\nSTATE=active\n")
	put(t, m.Root, "run/systemd/sessions/2", "UID=1001\nCLASS=user\nSTATE=closing\n")
	put(t, m.Root, "run/systemd/sessions/c1", "UID=110\nCLASS=greeter\nSTATE=online\n")
	put(t, m.Root, "run/systemd/inhibit/1", "WHAT=shutdown:sleep\nWHO=backup\nWHY=writing a tape\nMODE=block\n")
	put(t, m.Root, "run/systemd/inhibit/2", "WHAT=shutdown\nWHO=ModemManager\nWHY=x\nMODE=delay\n")
	put(t, m.Root, "run/systemd/inhibit/3", "WHAT=handle-lid-switch\nWHO=y\nWHY=x\nMODE=block\n")
	if p, err := m.Look(); err != nil || p.Pending {
		t.Fatalf("nobody asks for a restart: %+v, %v", p, err)
	}
	put(t, m.Root, "run/reboot-required", "*** System restart required ***\n")
	p, err := m.Look()
	if err != nil || !p.Pending || len(p.Updates) != 0 || p.Since.IsZero() {
		t.Fatalf("%+v, %v", p, err)
	}
	if p.Users != 1 || !slices.Equal(p.Blockers, []string{"backup: writing a tape"}) {
		t.Errorf("%d users, blocked by %q", p.Users, p.Blockers)
	}
	if p.Impossible == "" {
		t.Error("a folder can be restarted")
	}
}

func TestRC6AnotherRootIsNeverRestarted(t *testing.T) {
	boot := "one"
	m := machine(t, &boot)
	if err := m.Restart(context.Background(), 0, false); !errors.Is(err, ErrOtherRoot) {
		t.Errorf("%v", err)
	}
	if err := (&Machine{Run: func(context.Context, []string) error { return nil }}).Restart(context.Background(), 25*time.Hour, false); err == nil {
		t.Error("a warning of 25 hours is taken")
	}
}

func TestRC6CommandLinesOfARestart(t *testing.T) {
	var ran []string
	fail := true
	m := &Machine{Run: func(_ context.Context, argv []string) error {
		ran = append(ran, strings.Join(argv, "|"))
		if fail {
			fail = false
			return errors.New("not there")
		}
		return nil
	}}
	if err := m.Restart(context.Background(), 0, false); err != nil && runtime.GOOS == "linux" {
		t.Fatal(err)
	}
	fail = false
	if err := m.Restart(context.Background(), 90*time.Second, false); err != nil {
		t.Fatal(err)
	}
	want := map[string][]string{
		"linux": {"/usr/bin/systemctl|reboot", "/sbin/shutdown|-r|now|" + warning, "/sbin/shutdown|-r|+2|" + warning},
	}[runtime.GOOS]
	if want != nil && !slices.Equal(ran, want) {
		t.Errorf("%q", ran)
	}
}

// R-C8: where policy has nobody told, people get the time and no message.
func TestRC8ASilentRestartTellsNobody(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("other systems' commands tell people in any case")
	}
	var ran []string
	m := &Machine{Run: func(_ context.Context, argv []string) error { ran = append(ran, strings.Join(argv, "|")); return nil }}
	if err := m.Restart(context.Background(), 10*time.Minute, true); err != nil {
		t.Fatal(err)
	}
	if want := []string{"/sbin/shutdown|-r|--no-wall|+10"}; !slices.Equal(ran, want) {
		t.Errorf("%q, want %q", ran, want)
	}
}

func FuzzNotes(f *testing.F) {
	f.Add([]byte(`[{"update":"a","at":"2026-03-02T09:00:00Z","boot":"x"}]`))
	f.Add([]byte(`[{"update":"a\u0000"}]`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, n := range decodeNotes(b) {
			if n.Update == "" || strings.ContainsRune(n.Update, 0) {
				t.Errorf("%q", n.Update)
			}
		}
	})
}
