package install_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/windows"
	"golang.org/x/sys/windows/registry"

	"patchmesh/node/install"
	"patchmesh/node/install/installtest"
	"patchmesh/policy"
)

// init lets this binary stand for msiexec and wusa: under their names it writes a log and ends with the exit code
// that lies beside it.
func init() {
	self, err := os.Executable()
	if err != nil {
		return
	}
	name := strings.ToLower(filepath.Base(self))
	if name != "msiexec.exe" && name != "wusa.exe" {
		return
	}
	dir := filepath.Dir(self)
	b, err := os.ReadFile(filepath.Join(dir, "code"))
	if err != nil {
		os.Exit(99)
	}
	code, err := strconv.Atoi(string(b))
	if err != nil {
		os.Exit(98)
	}
	for i, a := range os.Args {
		if a == "/l*v" && i+1 < len(os.Args) {
			_ = os.WriteFile(os.Args[i+1], []byte("\xff\xfe"+wide(strings.Repeat("a line of the log\r\n", 10_000)+"the end")), 0o600)
		}
	}
	fmt.Println("said by the tool")
	os.Exit(code)
}

// systemJob is a job on the system itself.
func systemJob(t *testing.T, s install.Spec, body []byte) install.Job {
	t.Helper()
	dir, opened := t.TempDir(), 0
	j := installtest.Job(installtest.Fixture{Work: filepath.Join(dir, "work")}, s, body, &opened)
	j.Keep = filepath.Join(dir, "kept")
	return j
}

// msiOf is a package that was made for these tests on a system that can.
func msiOf(t *testing.T, name string) []byte {
	t.Helper()
	dir := os.Getenv("PATCHMESH_TEST_MSI")
	if dir == "" {
		t.Skip("PATCHMESH_TEST_MSI names no folder of packages: see TestRH4WindowsCodeUnderWine")
	}
	return []byte(read(t, filepath.Join(dir, name)))
}

// R-H4 and R-G2: the Windows Installer installs a package of 64 and one of 32 bits, the registry says that each is
// there and in which version; once more changes nothing; both are removed, one by the way back.
func TestRH4WindowsInstallerInstallsDetectsRemovesAndRollsBack(t *testing.T) {
	for name, code := range map[string]string{"tool64.msi": "{01234567-64AB-CDEF-0123-456789ABCDEF}", "tool32.msi": "{01234567-32AB-CDEF-0123-456789ABCDEF}"} {
		t.Run(name, func(t *testing.T) {
			j := systemJob(t, install.Spec{Update: name, Revision: 1, Installer: "msi", FileName: name, Version: "1.2.3", Args: map[string]string{"product-code": code}}, msiOf(t, name))
			i := installer(t, "msi")
			is := func(when string, present bool, version string) {
				t.Helper()
				if d, err := i.Detect(t.Context(), j); err != nil || d.Present != present || d.Version != version {
					t.Fatalf("%s: %+v, %v", when, d, err)
				}
			}
			is("before", false, "")
			res, err := i.Install(t.Context(), j)
			if err != nil || !res.Changed || res.ExitCode != 0 || res.Version != "1.2.3" || res.Log == "" || len(res.Log) > 4<<10 {
				t.Fatalf("install: %+v, %v", res, err)
			}
			is("after", true, "1.2.3")
			if res, err := i.Install(t.Context(), j); err != nil || res.Changed {
				t.Errorf("once more: %+v, %v", res, err)
			}
			older, newer := j, j
			older.Spec.Version, newer.Spec.Version = "1.2", "1.10"
			if d, err := i.Detect(t.Context(), older); err != nil || !d.Present {
				t.Errorf("an older version is asked for: %+v, %v", d, err)
			}
			if d, err := i.Detect(t.Context(), newer); err != nil || d.Present {
				t.Errorf("a newer version is asked for: %+v, %v", d, err)
			}
			if name == "tool64.msi" {
				_, err = i.Remove(t.Context(), j)
			} else {
				_, err = i.(install.Rollbacker).Rollback(t.Context(), j, "")
			}
			if err != nil {
				t.Fatal(err)
			}
			is("removed", false, "")
			if res, err := i.Remove(t.Context(), j); err != nil || res.Changed {
				t.Errorf("removed again: %+v, %v", res, err)
			}
			if left, err := os.ReadDir(j.Work); err != nil || len(left) != 0 {
				t.Errorf("left in the work folder: %v, %v", left, err)
			}
		})
	}
}

// A package whose action fails is told as such with the end of its log, and nothing of it stays.
func TestRH4WindowsInstallerTellsFailures(t *testing.T) {
	for name, body := range map[string][]byte{"bad.msi": msiOf(t, "bad.msi"), "no.msi": []byte("this is no package")} {
		j := systemJob(t, install.Spec{Update: name, Revision: 1, Installer: "msi", FileName: name, Version: "1", Args: map[string]string{"product-code": "{01234567-BADB-CDEF-0123-456789ABCDEF}"}}, body)
		_, err := installer(t, "msi").Install(t.Context(), j)
		var e *install.Error
		if !errors.As(err, &e) || e.Reason != install.ReasonExit || e.ExitCode == 0 {
			t.Errorf("%s: %v", name, err)
		}
		if d, err := installer(t, "msi").Detect(t.Context(), j); err != nil || d.Present {
			t.Errorf("%s: %+v, %v", name, d, err)
		}
	}
}

// The exit codes of real processes: those that Windows tools tell with the high bit set, and the restarts.
func TestRH4ExitCodesOfRealProcesses(t *testing.T) {
	system := t.TempDir()
	dir := filepath.Join(system, "System32")
	write(t, filepath.Join(dir, "code"), "0", 0o600)
	for _, name := range []string{"msiexec.exe", "wusa.exe"} {
		write(t, filepath.Join(dir, name), read(t, os.Args[0]), 0o700)
	}
	t.Setenv("SystemRoot", system)
	for _, c := range []struct {
		kind    string
		code    uint32
		reason  string
		restart bool
	}{
		{"msi", 3010, "", true}, {"msi", 1641, "", true}, {"msi", 1603, install.ReasonExit, false}, {"msi", 1618, install.ReasonLocked, false},
		{"msi", 0, install.ReasonUndetected, false}, {"msu", 3010, "", true}, {"msu", 0x80240017, "compat-edition", false}, {"msu", 0x80070070, install.ReasonDiskShort, false},
	} {
		s := install.Spec{Update: "u", Revision: 1, Installer: c.kind, FileName: "u." + c.kind, Installed: &policy.Condition{File: &policy.FileTest{Path: `C:\nothing\here`}}}
		j := systemJob(t, s, []byte("package"))
		write(t, filepath.Join(dir, "code"), strconv.Itoa(int(int32(c.code))), 0o600)
		res, err := installer(t, c.kind).Install(t.Context(), j)
		reason := ""
		var e *install.Error
		if errors.As(err, &e) {
			reason, res.Log = e.Reason, e.Log
		}
		if reason != c.reason || res.RestartNeeded != c.restart {
			t.Errorf("%s %#x: %q, restart %v (%v)", c.kind, c.code, reason, res.RestartNeeded, err)
		}
		if len(res.Log) == 0 || len(res.Log) > 4<<10 || c.kind == "msi" && !strings.HasSuffix(res.Log, "the end") {
			t.Errorf("%s %#x: a log of %d bytes: %.60q", c.kind, c.code, len(res.Log), res.Log)
		}
	}
}

// R-G2: rules ask the registry for texts and numbers, and what is not there is not there.
func TestRG2RulesReadTheRegistry(t *testing.T) {
	const key = `SOFTWARE\patchmesh test`
	k, _, err := registry.CreateKey(registry.LOCAL_MACHINE, key, registry.ALL_ACCESS)
	if err != nil {
		t.Skipf("the registry cannot be written: %v", err)
	}
	defer registry.DeleteKey(registry.LOCAL_MACHINE, key)
	defer k.Close()
	if err := errors.Join(k.SetStringValue("text", "2.10"), k.SetDWordValue("number", 7), k.SetQWordValue("large", 1<<40), k.SetExpandStringValue("path", `%SystemRoot%\x`)); err != nil {
		t.Fatal(err)
	}
	j := systemJob(t, install.Spec{}, nil)
	for _, c := range []struct {
		test policy.RegistryTest
		want policy.Truth
	}{
		{policy.RegistryTest{Key: `HKLM\` + key, Name: "text"}, policy.Yes},
		{policy.RegistryTest{Key: `HKLM\` + key, Name: "text", Equal: "2.10"}, policy.Yes},
		{policy.RegistryTest{Key: `HKLM\` + key, Name: "text", Equal: "2.1"}, policy.No},
		{policy.RegistryTest{Key: `HKLM\` + key, Name: "number", Equal: "7"}, policy.Yes},
		{policy.RegistryTest{Key: `HKLM\` + key, Name: "large", Equal: "1099511627776"}, policy.Yes},
		{policy.RegistryTest{Key: `HKLM\` + key, Name: "nothing"}, policy.No},
		{policy.RegistryTest{Key: `HKLM\` + key + `\below`, Name: "text"}, policy.No},
	} {
		if got := install.Evaluate(t.Context(), j, &policy.Condition{Registry: &c.test}); got.Truth != c.want {
			t.Errorf("%+v: %+v", c.test, got)
		}
	}
}

// A script of the command processor gets its arguments, its output is kept, and one that does not end in time is
// killed with what it has started.
func TestRH4ScriptsOfTheCommandProcessor(t *testing.T) {
	dir := t.TempDir()
	there := filepath.Join(dir, "there")
	s := install.Spec{
		Update: "s", Revision: 1, Installer: "script", FileName: "s.cmd", Installed: &policy.Condition{File: &policy.FileTest{Path: filepath.ToSlash(there)}},
		Args: map[string]string{"args": `["first","two words"]`},
	}
	body := "@echo off\r\necho got %1 and %2\r\necho x > \"" + there + "\"\r\n"
	j := systemJob(t, s, []byte(body))
	res, err := installer(t, "script").Install(t.Context(), j)
	if err != nil || !strings.Contains(res.Log, `got first and "two words"`) {
		t.Fatalf("%+v, %v", res, err)
	}
	if err := os.Remove(there); err != nil {
		t.Fatal(err)
	}
	s.Args, s.MaxRun = nil, 2*time.Second
	slow := systemJob(t, s, []byte("@echo off\r\necho begun\r\nping -n 120 127.0.0.1 > nul\r\necho x > \""+there+"\"\r\n"))
	began := time.Now()
	_, err = installer(t, "script").Install(t.Context(), slow)
	var e *install.Error
	if !errors.As(err, &e) || e.Reason != install.ReasonTimeout || time.Since(began) > time.Minute {
		t.Errorf("after %s: %v", time.Since(began), err)
	}
	if _, err := os.Stat(there); err == nil {
		t.Error("the script went on")
	}
}

// A file that somebody has open stays as it is, and the reason says so; a program that runs does too.
func TestRH4FilesInUseAreToldAsSuch(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open.txt")
	write(t, open, "before", 0o600)
	f, err := os.Open(open)
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(dir, "sleeper", "msiexec.exe") // this binary, which ends at once under this name: it is started suspended below
	write(t, program, read(t, os.Args[0]), 0o700)
	write(t, filepath.Join(dir, "sleeper", "code"), "0", 0o600)
	for _, c := range []struct {
		path string
		free func()
	}{{open, func() { f.Close() }}, {program, runSuspended(t, program)}} {
		j := systemJob(t, install.Spec{Update: "u", Revision: 1, Installer: "file", FileName: "u", Args: map[string]string{"dest": filepath.ToSlash(c.path)}}, []byte("after"))
		was := read(t, c.path)
		_, err := installer(t, "file").Install(t.Context(), j)
		var e *install.Error
		if !errors.As(err, &e) || e.Reason != install.ReasonLocked {
			t.Errorf("%s: %v, want %s", c.path, err, install.ReasonLocked)
		}
		if read(t, c.path) != was {
			t.Errorf("%s was changed", c.path)
		}
		c.free()
		if _, err := installer(t, "file").Install(t.Context(), j); err != nil || read(t, c.path) != "after" {
			t.Errorf("%s once it is free: %v", c.path, err)
		}
	}
}

// runSuspended starts a program that does nothing until it is ended.
func runSuspended(t *testing.T, path string) (end func()) {
	t.Helper()
	c := exec.Command(path)
	c.SysProcAttr = &syscall.SysProcAttr{CreationFlags: windows.CREATE_SUSPENDED}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	return func() {
		_ = c.Process.Kill()
		_ = c.Wait()
	}
}
