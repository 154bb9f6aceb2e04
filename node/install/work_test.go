package install_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"patchmesh/node/install"
	"patchmesh/policy"
)

// probed is a file update whose health probe asks for another file.
func probed(t *testing.T, root, body string) install.Job {
	t.Helper()
	j := fileJob(root, "/srv/app", []byte(body))
	j.Keep = filepath.Join(root, "kept")
	j.Spec.Probe = &policy.Condition{File: &policy.FileTest{Path: "/healthy"}}
	j.Spec.ProbeTime = 10 * time.Millisecond
	return j
}

func look(t *testing.T, j install.Job) install.Detection {
	t.Helper()
	d, err := install.Look(t.Context(), installer(t, j.Spec.Installer), j)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func bring(t *testing.T, j install.Job, want string) *install.Error {
	t.Helper()
	_, err := install.Bring(t.Context(), installer(t, j.Spec.Installer), j)
	if want == "" {
		if err != nil {
			t.Fatal(err)
		}
		return nil
	}
	var e *install.Error
	if !errors.As(err, &e) || e.Reason != want {
		t.Fatalf("%v, want reason %s", err, want)
	}
	return e
}

func TestRH6AFailedProbeBringsBackWhatWasThere(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "srv", "app"), "before", 0o644)
	j := probed(t, root, "after")
	e := bring(t, j, install.ReasonRolledBack)
	if !strings.Contains(e.Error(), "there is no file /healthy") {
		t.Errorf("%v does not say what the probe saw", e)
	}
	if got := read(t, filepath.Join(root, "srv", "app")); got != "before" {
		t.Errorf("after the rollback the file holds %q", got)
	}
	if d := look(t, j); d.Present {
		t.Errorf("rolled back, yet %+v", d)
	}
	if left := names(t, j.Keep); left != "" {
		t.Errorf("the trial is over, kept is %s", left)
	}
}

func TestRH6AProbeThatHoldsInItsTimeKeepsTheUpdate(t *testing.T) {
	root := t.TempDir()
	j := probed(t, root, "after")
	j.Spec.ProbeTime = time.Minute
	open := j.Open
	j.Open = func() (io.ReadCloser, error) { // the service needs a while after the install
		time.AfterFunc(200*time.Millisecond, func() { _ = os.WriteFile(filepath.Join(root, "healthy"), nil, 0o644) })
		return open()
	}
	bring(t, j, "")
	if d := look(t, j); !d.Present || names(t, j.Keep) != "" {
		t.Errorf("%+v, kept %q", d, names(t, j.Keep))
	}
}

// killed plays a crash: an install that never comes back from a point of its own.
type killed struct {
	install.Installer
	before, after bool
}

var errKilled = errors.New("killed")

func (k killed) Install(ctx context.Context, j install.Job) (install.Result, error) {
	if k.before {
		panic(errKilled)
	}
	res, err := k.Installer.Install(ctx, j)
	if k.after {
		panic(errKilled)
	}
	return res, err
}

func (k killed) Rollback(context.Context, install.Job, string) (install.Result, error) {
	panic(errKilled)
}

func (k killed) bring(t *testing.T, j install.Job) {
	t.Helper()
	defer func() {
		if r := recover(); r != errKilled {
			t.Fatalf("ended with %v", r)
		}
	}()
	_, err := install.Bring(t.Context(), k, j)
	t.Fatalf("was not killed: %v", err)
}

func TestRH7ACrashBeforeTheProbeNeverLetsAnUpdatePass(t *testing.T) {
	for name, c := range map[string]struct {
		at      killed
		healthy bool
		reason  string
		holds   string
	}{
		"before the install":              {at: killed{before: true}, reason: install.ReasonRolledBack, holds: "before"},
		"after the install":               {at: killed{after: true}, reason: install.ReasonRolledBack, holds: "before"},
		"after the install, then healthy": {at: killed{after: true}, healthy: true, holds: "after"},
		"while rolling back":              {reason: install.ReasonRolledBack, holds: "before"},
		// Even if it is well by then: that it has failed was noted, and the way back had begun.
		"while rolling back, then healthy": {healthy: true, reason: install.ReasonRolledBack, holds: "before"},
	} {
		root := t.TempDir()
		write(t, filepath.Join(root, "srv", "app"), "before", 0o644)
		j := probed(t, root, "after")
		c.at.Installer = installer(t, "file")
		c.at.bring(t, j)
		if d := look(t, j); d.Present {
			t.Errorf("%s: %+v although nothing was probed", name, d)
		}
		if c.healthy {
			write(t, filepath.Join(root, "healthy"), "", 0o644)
		}
		bring(t, j, c.reason)
		if got := read(t, filepath.Join(root, "srv", "app")); got != c.holds {
			t.Errorf("%s: the file holds %q", name, got)
		}
		if d := look(t, j); d.Present != (c.reason == "") {
			t.Errorf("%s: in the end %+v", name, d)
		}
	}
}

func TestRH6WhereThereIsNoWayBackThatIsSaid(t *testing.T) {
	root := t.TempDir()
	j := probed(t, root, "after")
	e, i := (*install.Error)(nil), struct{ install.Installer }{installer(t, "file")} // without Rollback
	if _, err := install.Bring(t.Context(), i, j); !errors.As(err, &e) || e.Reason != install.ReasonProbe {
		t.Errorf("%v, want %s", err, install.ReasonProbe)
	}
}

// stuckBack plays a rollback that does not work at first.
type stuckBack struct {
	install.Installer
	reason string
}

func (s stuckBack) Rollback(context.Context, install.Job, string) (install.Result, error) {
	return install.Result{}, &install.Error{Reason: s.reason, What: "bring back /srv/app"}
}

// What time may heal does not end the way back: an update that has failed its probe is not left in place because of one
// write that did not work.
func TestRH6ARollbackThatTimeMayHealIsTriedAgain(t *testing.T) {
	for _, reason := range []string{install.ReasonDiskError, install.ReasonDiskShort, install.ReasonLocked} {
		root := t.TempDir()
		write(t, filepath.Join(root, "srv", "app"), "before", 0o644)
		j := probed(t, root, "after")
		e := (*install.Error)(nil)
		if _, err := install.Bring(t.Context(), stuckBack{installer(t, "file"), reason}, j); !errors.As(err, &e) || e.Reason != reason {
			t.Errorf("%v, want %s", err, reason)
		}
		bring(t, j, install.ReasonRolledBack)
		if got := read(t, filepath.Join(root, "srv", "app")); got != "before" {
			t.Errorf("%s: in the end the file holds %q", reason, got)
		}
	}
}

func TestRG2ConditionsDecideWhatIsThereAndWhatIsForThisMachine(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "etc", "os-release"), "NAME=\"x\"\nID=debian\nVERSION_ID=\"12\"\n", 0o644)
	j := fileJob(root, "/srv/app", []byte("after"))
	rule := func(text string) *policy.Condition {
		c, err := policy.ParseCondition([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	j.Spec.Applicable = rule(`{"os":{"distribution":"ubuntu"}}`)
	if d := look(t, j); d.Foreign != "compat-os" || !strings.Contains(d.Detail, "debian") {
		t.Errorf("an update for another distribution: %+v", d)
	}
	bring(t, j, "compat-os")
	j.Spec.Applicable = rule(`{"registry":{"key":"HKLM\\Software\\X","name":"v"}}`)
	if runtime.GOOS != "windows" {
		bring(t, j, "compat-os") // cannot be found out: nothing is installed
		if _, err := install.Look(t.Context(), installer(t, "file"), j); err == nil {
			t.Error("a rule that cannot be evaluated is no error")
		}
	}
	if _, err := os.Stat(filepath.Join(root, "srv", "app")); err == nil {
		t.Fatal("it was installed")
	}
	j.Spec.Applicable = rule(`{"all":[{"os":{"distribution":"debian","version":{"at_least":"12"}}},{"not":{"file":{"path":"/etc/no"}}}]}`)
	j.Spec.Installed = rule(`{"file":{"path":"/srv/marker"}}`)
	bring(t, j, install.ReasonUndetected) // the installer was content, the rule is not
	write(t, filepath.Join(root, "srv", "marker"), "", 0o644)
	if d := look(t, j); !d.Present {
		t.Errorf("the rule says yes: %+v", d)
	}
}

func TestRG2FactsAreReadBelowTheRootOnly(t *testing.T) {
	root, outside := t.TempDir(), filepath.Join(t.TempDir(), "secret")
	write(t, outside, "version=9", 0o644)
	write(t, filepath.Join(root, "app"), "x version=2.1~rc1, more", 0o644)
	if err := os.Symlink(outside, filepath.Join(root, "out")); err != nil {
		t.Skipf("no symbolic links here: %v", err)
	}
	if err := os.Mkdir(filepath.Join(root, "folder"), 0o755); err != nil {
		t.Fatal(err)
	}
	sum := content(t, filepath.Join(root, "app"))
	for text, want := range map[string]policy.Truth{
		`{"file":{"path":"/app","version":{"after":"version=","below":"2.1"}}}`: policy.Yes,
		`{"file":{"path":"/app","sha256":"` + sum + `"}}`:                       policy.Yes,
		`{"file":{"path":"/out"}}`:                                              policy.Uncertain,
		`{"file":{"path":"/folder"}}`:                                           policy.No,
		`{"file":{"path":"/app/x"}}`:                                            policy.Uncertain,
	} {
		c, err := policy.ParseCondition([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if runtime.GOOS == "windows" {
			continue // paths without a drive are another system's there
		}
		if got := install.Evaluate(t.Context(), install.Job{Root: root}, c); got.Truth != want {
			t.Errorf("%s: %+v, want %d", text, got, want)
		}
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	j := fileJob("", "", bytes.TrimSpace([]byte(read(t, path))))
	return hex.EncodeToString(j.Spec.SHA256[:])
}

func TestRG2CommandProbesHaveNoShellAndAnEnd(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("needs the programs of a Unix system")
	}
	ask := func(seconds int, args ...string) policy.Answer {
		c := &policy.Condition{Command: &policy.CommandTest{Args: args, TimeoutSeconds: seconds, Exit: []int{0}}}
		if err := c.Check(); err != nil {
			t.Fatal(err)
		}
		return install.Evaluate(t.Context(), install.Job{}, c)
	}
	marker := filepath.Join(t.TempDir(), "m")
	if got := ask(60, "/usr/bin/test", "$(touch "+marker+")", "=", "`id`"); got.Truth != policy.No {
		t.Errorf("two texts that differ: %+v", got)
	}
	if _, err := os.Stat(marker); err == nil {
		t.Error("a shell has read the arguments")
	}
	if got := ask(60, "/usr/bin/test", "a", "=", "a"); got.Truth != policy.Yes {
		t.Errorf("equal texts: %+v", got)
	}
	if got := ask(1, "/bin/sleep", "600"); got.Truth != policy.Uncertain || got.Reason != policy.ReasonInstallerTimeout {
		t.Errorf("an endless program: %+v", got)
	}
	if got := ask(60, "/no/such/program"); got.Truth != policy.Uncertain || got.Reason != policy.ReasonInstallerMissing {
		t.Errorf("no program: %+v", got)
	}
	if got := ask(60, "/bin/sh", "-c", "kill -9 $$"); got.Truth != policy.Uncertain {
		t.Errorf("ended by a signal: %+v", got)
	}
}
