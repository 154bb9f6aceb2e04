package install_test

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"patchmesh/node/install"
	"patchmesh/node/install/installtest"
	"patchmesh/policy"
)

// thereIf is the rule that a file says whether the update is there.
func thereIf(path string) *policy.Condition {
	return &policy.Condition{File: &policy.FileTest{Path: path}}
}

func windowsJob(t *testing.T, kind string, args map[string]string, body []byte) install.Job {
	t.Helper()
	root, opened := t.TempDir(), 0
	j := installtest.Job(installtest.Fixture{Root: root, Work: filepath.Join(root, "work")},
		install.Spec{Update: "u", Revision: 1, Installer: kind, FileName: "u." + kind, Args: args, Installed: thereIf("/there")}, body, &opened)
	j.Keep = filepath.Join(root, "kept")
	return j
}

// normal puts fixed words in the place of paths that differ from run to run.
func normal(j install.Job, args []string) string {
	for i, a := range args {
		if strings.HasPrefix(a, j.Work) {
			name := filepath.Base(a)
			if strings.HasPrefix(name, "stage-") || strings.HasPrefix(name, "kept-") {
				name = "PAYLOAD" + filepath.Ext(name)
			}
			args[i] = name
		}
	}
	return strings.Join(args, " ")
}

func TestRH4CommandLinesOfWindowsTools(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the rule names a path of other systems")
	}
	for _, c := range []struct {
		kind            string
		args            map[string]string
		install, remove string
	}{
		{"msi", map[string]string{"property-MODE": "quiet and small", "property-ALLUSERS": "1"},
			"msiexec.exe /i PAYLOAD.msi /qn /norestart /l*v msiexec.log ALLUSERS=1 MODE=quiet and small REBOOT=ReallySuppress",
			"msiexec.exe /x PAYLOAD.msi /qn /norestart /l*v msiexec.log REBOOT=ReallySuppress"},
		{"msi", map[string]string{"product-code": "{01234567-89AB-CDEF-0123-456789ABCDEF}"},
			"msiexec.exe /i PAYLOAD.msi /qn /norestart /l*v msiexec.log REBOOT=ReallySuppress",
			"msiexec.exe /x {01234567-89AB-CDEF-0123-456789ABCDEF} /qn /norestart /l*v msiexec.log REBOOT=ReallySuppress"},
		{"msu", map[string]string{"kb": "5031234"}, "wusa.exe PAYLOAD.msu /quiet /norestart", "wusa.exe /uninstall /kb:5031234 /quiet /norestart"},
	} {
		j := windowsJob(t, c.kind, c.args, []byte("package"))
		there := filepath.Join(j.Root, "there")
		var lines []string
		install.WindowsTool(t, func(tool string, args []string) (int, []byte, error) {
			lines = append(lines, tool+" "+normal(j, slices.Clone(args)))
			if len(lines) == 1 {
				write(t, there, "", 0o644)
			} else if err := os.Remove(there); err != nil {
				t.Fatal(err)
			}
			return 0, nil, nil
		})
		i := installer(t, c.kind)
		for range 2 { // once more changes nothing
			if _, err := i.Install(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}
		for range 2 {
			if _, err := i.Remove(t.Context(), j); err != nil {
				t.Fatal(err)
			}
		}
		if !slices.Equal(lines, []string{c.install, c.remove}) {
			t.Errorf("%s ran\n%s", c.kind, strings.Join(lines, "\n"))
		}
	}
}

func TestRH4ExitCodesOfWindowsTools(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the rule names a path of other systems")
	}
	for _, c := range []struct {
		kind    string
		code    int
		appears bool
		reason  string
		restart bool
	}{
		{"msi", 0, true, "", false},
		{"msi", 0, false, install.ReasonUndetected, false},
		{"msi", 3010, false, "", true},
		{"msi", 1641, true, "", true},
		{"msi", 1618, false, install.ReasonLocked, false},
		{"msi", 1603, false, install.ReasonExit, false},
		{"msi", 1602, false, install.ReasonDenied, false},
		{"msi", 1633, false, "compat-arch", false},
		{"msi", 112, false, install.ReasonDiskShort, false},
		{"msi", 4711, false, install.ReasonExit, false},
		{"msu", 3010, false, "", true},
		{"msu", 2359302, true, "", false},
		{"msu", 0x80240017, false, "compat-edition", false},
		{"msu", 0x80070070, false, install.ReasonDiskShort, false},
	} {
		j := windowsJob(t, c.kind, nil, []byte("package"))
		install.WindowsTool(t, func(string, []string) (int, []byte, error) {
			if c.appears {
				write(t, filepath.Join(j.Root, "there"), "", 0o644)
			}
			write(t, filepath.Join(j.Work, "msiexec.log"), "\xff\xfe"+wide("a \x1b[31mlog\r\n"+strings.Repeat("line\r\n", 50_000)), 0o600)
			return c.code, nil, nil
		})
		res, err := install.Bring(t.Context(), installer(t, c.kind), j)
		reason := ""
		var e *install.Error
		if errors.As(err, &e) {
			reason, res.Log = e.Reason, e.Log
		}
		if reason != c.reason || res.RestartNeeded != c.restart {
			t.Errorf("%s %d: %q, restart %v (%v)", c.kind, c.code, reason, res.RestartNeeded, err)
		}
		if len(res.Log) == 0 || len(res.Log) > 4<<10 || strings.ContainsAny(res.Log, "\x00\x1b") {
			t.Errorf("%s %d: a log of %d bytes is kept: %.60q", c.kind, c.code, len(res.Log), res.Log)
		}
		if left, err := os.ReadDir(j.Work); err != nil || len(left) != 0 {
			t.Errorf("%s %d: %v is left in the work folder, %v", c.kind, c.code, left, err)
		}
	}
}

func wide(s string) string {
	var b strings.Builder
	for _, c := range []byte(s) {
		b.WriteByte(c)
		b.WriteByte(0)
	}
	return b.String()
}

func TestRH4DescriptorsForWindowsToolsAreChecked(t *testing.T) {
	for _, c := range []struct {
		kind string
		args map[string]string
		rule bool
	}{
		{"msi", nil, false}, {"msu", nil, false}, {"msi", map[string]string{"product-code": "{1}"}, true}, {"msi", map[string]string{"args": "/a"}, true},
		{"msi", map[string]string{"property-REBOOT": "Force"}, true}, {"msi", map[string]string{"property-x": "1"}, true},
		{"msi", map[string]string{"property-A": `1" /x "b`}, true}, {"msu", map[string]string{"kb": "KB5031234"}, true}, {"msu", map[string]string{"extract": "x"}, true},
	} {
		d := &policy.Descriptor{Update: "u", Installer: c.kind, InstallerArgs: c.args}
		if c.rule {
			d.Installed = thereIf("/there")
		}
		if err := install.CheckDescriptor(d); err == nil {
			t.Errorf("%s with %v and rule %v is taken", c.kind, c.args, c.rule)
		}
	}
}
