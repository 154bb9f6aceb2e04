//go:build linux

package install_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"patchmesh/node/install"
	"patchmesh/node/install/installtest"
)

// deb is a package to build.
type deb struct {
	name, version, extra string            // extra control lines
	arch                 string            // empty: all
	files                map[string]string // path below / to content
	scripts              map[string]string // postinst and so on
}

// build makes a real package file with dpkg-deb.
func (d deb) build(t *testing.T) []byte {
	t.Helper()
	dir := t.TempDir()
	write(t, filepath.Join(dir, "DEBIAN", "control"), fmt.Sprintf(
		"Package: %s\nVersion: %s\nArchitecture: %s\nMaintainer: Tests <t@example.org>\n%sDescription: test\n",
		d.name, d.version, cmp.Or(d.arch, "all"), d.extra), 0o644)
	for path, body := range d.files {
		write(t, filepath.Join(dir, path), body, 0o644)
	}
	for name, body := range d.scripts {
		write(t, filepath.Join(dir, "DEBIAN", name), body, 0o755)
	}
	if err := os.Chmod(dir, 0o755); err != nil { // dpkg-deb packs the mode of the folder as that of /
		t.Fatal(err)
	}
	out := filepath.Join(t.TempDir(), "p.deb")
	if b, err := exec.Command("dpkg-deb", "--root-owner-group", "-Znone", "--build", dir, out).CombinedOutput(); err != nil {
		t.Fatalf("dpkg-deb: %v\n%s", err, b)
	}
	return []byte(read(t, out))
}

func (d deb) spec() install.Spec {
	return install.Spec{Update: d.name + "-" + d.version, Revision: 1, Installer: "deb", Package: d.name, Version: d.version, Arch: "all"}
}

func (d deb) job(t *testing.T, root string) install.Job {
	t.Helper()
	opened := 0
	return installtest.Job(installtest.Fixture{Root: root, Work: filepath.Join(root, "work")}, d.spec(), d.build(t), &opened)
}

func needDpkg(t *testing.T) install.Installer {
	t.Helper()
	i := installer(t, "deb")
	if err := i.Available(); err != nil {
		t.Fatalf("these tests call the real dpkg: %v", err)
	}
	return i
}

// shellRoot is a root in which maintainer scripts can run: dpkg changes the root for them.
func shellRoot(t *testing.T) string {
	t.Helper()
	root := t.TempDir()
	sh, err := filepath.EvalSymlinks("/bin/sh")
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.Command("ldd", sh).Output()
	if err != nil {
		t.Fatal(err)
	}
	copyFile(t, sh, filepath.Join(root, "bin", "sh"))
	for _, word := range strings.Fields(string(out)) {
		if strings.HasPrefix(word, "/") {
			copyFile(t, word, filepath.Join(root, word))
		}
	}
	return root
}

func copyFile(t *testing.T, from, to string) {
	t.Helper()
	write(t, to, read(t, from), 0o755)
}

func status(t *testing.T, root, name string) string {
	t.Helper()
	out, err := exec.Command("dpkg-query", "--admindir="+filepath.Join(root, "var/lib/dpkg"), "-W", "-f", "${db:Status-Abbrev}${Version}", name).Output()
	if err != nil {
		return ""
	}
	return string(out)
}

func TestDebInstallerPassesTheSuite(t *testing.T) {
	old := deb{name: "tiny", version: "1.0-1", files: map[string]string{"usr/share/tiny/v": "1"}}
	niu := deb{name: "tiny", version: "1.0-1+u1", files: map[string]string{"usr/share/tiny/v": "2"}}
	oldPayload, newPayload := old.build(t), niu.build(t)
	installtest.Run(t, needDpkg(t), func(t *testing.T) installtest.Fixture {
		return installtest.Fixture{Root: t.TempDir(), Work: filepath.Join(t.TempDir(), "work"), Old: old.spec(), New: niu.spec(),
			OldPayload: oldPayload, NewPayload: newPayload, Ignore: []string{"var"}}
	})
}

func TestDebInstallPutsFilesBelowTheRootOnly(t *testing.T) {
	root, i := t.TempDir(), needDpkg(t)
	j := deb{name: "tiny", version: "1.0", files: map[string]string{"usr/share/tiny/v": "1"}}.job(t, root)
	res, err := i.Install(t.Context(), j)
	if err != nil || res.Version != "1.0" || !res.Changed || res.RestartNeeded {
		t.Fatalf("%+v, %v", res, err)
	}
	if got := read(t, filepath.Join(root, "usr/share/tiny/v")); got != "1" {
		t.Errorf("file holds %q", got)
	}
	if left := names(t, j.Work); left != "" {
		t.Errorf("left in the work folder: %s", left)
	}
}

// Descriptors name architectures as Go does.
func TestDebArchitectureOfThisMachine(t *testing.T) {
	out, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, i := t.TempDir(), needDpkg(t)
	j := deb{name: "native", version: "1", arch: strings.TrimSpace(string(out))}.job(t, root)
	for _, arch := range []string{runtime.GOARCH, strings.TrimSpace(string(out)), "all", ""} {
		j.Spec.Arch = arch
		if res, err := i.Install(t.Context(), j); err != nil || !res.Changed {
			t.Fatalf("arch %q: %+v, %v", arch, res, err)
		}
		if d, err := i.Detect(t.Context(), j); err != nil || !d.Present {
			t.Errorf("arch %q: %+v, %v", arch, d, err)
		}
		if res, err := i.Remove(t.Context(), j); err != nil || !res.Changed {
			t.Errorf("arch %q: remove: %+v, %v", arch, res, err)
		}
	}
	j.Spec.Arch = "s390x"
	if d, err := i.Detect(t.Context(), j); err != nil || d.Present {
		t.Errorf("another architecture: %+v, %v", d, err)
	}
}

func TestDebNewerVersionCountsAsPresent(t *testing.T) {
	root, i := t.TempDir(), needDpkg(t)
	one, two := deb{name: "tiny", version: "1:1.0"}.job(t, root), deb{name: "tiny", version: "1:1.0+b1"}.job(t, root)
	if _, err := i.Install(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if d, err := i.Detect(t.Context(), one); err != nil || !d.Present || d.Version != "1:1.0+b1" {
		t.Errorf("older update: %+v, %v", d, err)
	}
	if res, err := i.Install(t.Context(), one); err != nil || res.Changed || status(t, root, "tiny") != "ii 1:1.0+b1" {
		t.Errorf("install of the older: %+v, %v, now %q", res, err, status(t, root, "tiny"))
	}
	_, err := i.Remove(t.Context(), one)
	wantReason(t, "removing the older update", err, install.ReasonDenied)
	one.Spec.Args = map[string]string{"allow-downgrade": "true"}
	if d, err := i.Detect(t.Context(), one); err != nil || d.Present {
		t.Errorf("with allow-downgrade: %+v, %v", d, err)
	}
	if res, err := i.Install(t.Context(), one); err != nil || status(t, root, "tiny") != "ii 1:1.0" {
		t.Errorf("downgrade: %+v, %v, now %q", res, err, status(t, root, "tiny"))
	}
}

func TestDebMissingDependencyTouchesNothing(t *testing.T) {
	root, i := t.TempDir(), needDpkg(t)
	if _, err := i.Install(t.Context(), deb{name: "needy", version: "1"}.job(t, root)); err != nil {
		t.Fatal(err)
	}
	needy := deb{name: "needy", version: "2", extra: "Depends: lib-a (>= 2), absent | provided-by-a, other\n"}.job(t, root)
	_, err := i.Install(t.Context(), needy)
	wantReason(t, "no dependency", err, install.ReasonDependency)
	if e := asError(t, err); !strings.Contains(e.Log, "lib-a (>= 2)") || !strings.Contains(e.Log, "other") {
		t.Errorf("log %q does not name what is missing", e.Log)
	}
	if got := status(t, root, "needy"); got != "ii 1" {
		t.Errorf("the working version is now %q", got)
	}
	for _, d := range []deb{{name: "lib-a", version: "1.9", extra: "Provides: provided-by-a\n"}, {name: "other", version: "0"}} {
		if _, err := i.Install(t.Context(), d.job(t, root)); err != nil {
			t.Fatal(err)
		}
	}
	_, err = i.Install(t.Context(), needy)
	wantReason(t, "dependency too old", err, install.ReasonDependency)
	if _, err := i.Install(t.Context(), deb{name: "lib-a", version: "2~rc1-1+x", extra: "Provides: provided-by-a\n"}.job(t, root)); err != nil {
		t.Fatal(err)
	}
	_, err = i.Install(t.Context(), needy) // 2~rc1 comes before 2
	wantReason(t, "dependency is a release candidate", err, install.ReasonDependency)
	if _, err := i.Install(t.Context(), deb{name: "lib-a", version: "2", extra: "Provides: provided-by-a\n"}.job(t, root)); err != nil {
		t.Fatal(err)
	}
	if _, err := i.Install(t.Context(), needy); err != nil || status(t, root, "needy") != "ii 2" {
		t.Errorf("%v, now %q", err, status(t, root, "needy"))
	}
	_, err = i.Remove(t.Context(), deb{name: "other", version: "0"}.job(t, root))
	wantReason(t, "removing what another needs", err, install.ReasonDependency)
}

func TestDebFailingScriptIsReportedWithExitCodeAndCleanLog(t *testing.T) {
	root, i := shellRoot(t), needDpkg(t)
	j := deb{name: "broken", version: "1", scripts: map[string]string{"postinst": "#!/bin/sh\nprintf 'about to \\033[31mfail\\n'\nexit 7\n"}}.job(t, root)
	_, err := i.Install(t.Context(), j)
	wantReason(t, "failing postinst", err, install.ReasonExit)
	e := asError(t, err)
	if e.ExitCode != 1 || !strings.Contains(e.Log, "about to [31mfail\n") || !strings.Contains(e.Log, "exit status 7") {
		t.Errorf("exit code %d, log %q", e.ExitCode, e.Log)
	}
	if d, err := i.Detect(t.Context(), j); err != nil || d.Present || !d.Interrupted || d.Version != "1" {
		t.Errorf("Detect says %+v, %v, want interrupted", d, err)
	}
}

func TestDebHalfConfiguredPackageIsRepairedWithoutUnpackingAgain(t *testing.T) {
	root, i := shellRoot(t), needDpkg(t)
	// The script stands for a power cut: it fails until the obstacle is gone.
	d := deb{name: "cut", version: "1", scripts: map[string]string{
		"preinst":  "#!/bin/sh\necho unpacked >> /unpacked\n",
		"postinst": "#!/bin/sh\n[ ! -e /obstacle ]\n"}}
	j := d.job(t, root)
	write(t, filepath.Join(root, "obstacle"), "", 0o644)
	_, err := i.Install(t.Context(), j)
	wantReason(t, "cut off", err, install.ReasonExit)
	if got := status(t, root, "cut"); got != "iF 1" {
		t.Fatalf("status %q, want half-configured", got)
	}
	if err := os.Remove(filepath.Join(root, "obstacle")); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(filepath.Join(root, "unpacked")); err != nil {
		t.Fatal(err)
	}
	res, err := i.Install(t.Context(), j)
	if err != nil || !res.Changed || status(t, root, "cut") != "ii 1" {
		t.Fatalf("%+v, %v, now %q", res, err, status(t, root, "cut"))
	}
	if _, err := os.Stat(filepath.Join(root, "unpacked")); err == nil {
		t.Error("the package was unpacked again although configuring was enough")
	}
}

func TestDebHalfInstalledPackageIsReplacedByAFixedRevision(t *testing.T) {
	root, i := shellRoot(t), needDpkg(t)
	bad := deb{name: "fix", version: "1", scripts: map[string]string{"postinst": "#!/bin/sh\nexit 3\n"}}.job(t, root)
	_, err := i.Install(t.Context(), bad)
	wantReason(t, "broken revision", err, install.ReasonExit)
	good := deb{name: "fix", version: "2", scripts: map[string]string{"postinst": "#!/bin/sh\nexit 0\n"}}.job(t, root)
	if res, err := i.Install(t.Context(), good); err != nil || status(t, root, "fix") != "ii 2" {
		t.Errorf("%+v, %v, now %q", res, err, status(t, root, "fix"))
	}
}

func TestDebKeepsChangedConfigurationFilesAndAsksNothing(t *testing.T) {
	root, i := t.TempDir(), needDpkg(t)
	conf := func(version, body string) install.Job {
		d := deb{name: "conf", version: version, files: map[string]string{"etc/conf": body, "DEBIAN/conffiles": "/etc/conf\n"}}
		return d.job(t, root)
	}
	if _, err := i.Install(t.Context(), conf("1", "shipped 1")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(root, "etc/conf"), "edited by the admin", 0o644)
	if _, err := i.Install(t.Context(), conf("2", "shipped 2")); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(root, "etc/conf")); got != "edited by the admin" {
		t.Errorf("configuration is now %q", got)
	}
}

func TestDebPayloadOfAnotherPackageIsNotDetected(t *testing.T) {
	root, i := t.TempDir(), needDpkg(t)
	j := deb{name: "really", version: "1"}.job(t, root)
	j.Spec.Package = "claimed"
	_, err := i.Install(t.Context(), j)
	wantReason(t, "other package", err, install.ReasonUndetected)
}

func TestDebPayloadThatIsNoPackageIsRefusedBeforeDpkgInstalls(t *testing.T) {
	root, i, opened := t.TempDir(), needDpkg(t), 0
	fx := installtest.Fixture{Root: root, Work: filepath.Join(root, "work")}
	j := installtest.Job(fx, deb{name: "tiny", version: "1"}.spec(), []byte("#!/bin/sh\nrm -rf /\n"), &opened)
	_, err := i.Install(t.Context(), j)
	wantReason(t, "no package", err, install.ReasonExit)
	if status(t, root, "tiny") != "" {
		t.Error("something was installed")
	}
}

func TestDebWaitsForAnotherPackageTool(t *testing.T) {
	root, i := t.TempDir(), needDpkg(t)
	j := deb{name: "tiny", version: "1"}.job(t, root)
	if _, err := i.Detect(t.Context(), j); err != nil {
		t.Fatal(err)
	}
	release := holdLock(t, filepath.Join(root, "var/lib/dpkg/lock-frontend"))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err := i.Install(ctx, j)
	wantReason(t, "locked until the end", err, install.ReasonLocked)
	if status(t, root, "tiny") != "" {
		t.Error("installed although another tool held the lock")
	}
	done := make(chan error, 1)
	go func() {
		_, err := i.Install(t.Context(), j)
		done <- err
	}()
	release()
	if err := <-done; err != nil || status(t, root, "tiny") != "ii 1" {
		t.Errorf("after the lock was released: %v", err)
	}
}

// Old tools take only the inner lock, which dpkg itself meets.
func TestDebWaitsForTheInnerLockToo(t *testing.T) {
	root, i := t.TempDir(), needDpkg(t)
	j := deb{name: "tiny", version: "1"}.job(t, root)
	write(t, filepath.Join(root, "var/lib/dpkg/status"), "", 0o644)
	write(t, filepath.Join(root, "var/lib/dpkg/info/format"), "1\n", 0o644)
	if err := os.MkdirAll(filepath.Join(root, "var/lib/dpkg/updates"), 0o755); err != nil {
		t.Fatal(err)
	}
	release := holdLock(t, filepath.Join(root, "var/lib/dpkg/lock"))
	done := make(chan error, 1)
	go func() {
		_, err := i.Install(t.Context(), j)
		done <- err
	}()
	// The lock is given up when dpkg has met it at least once: it leaves its log behind while it waits.
	select {
	case err := <-done:
		t.Fatalf("did not wait: %v", err)
	case <-time.After(400 * time.Millisecond):
	}
	release()
	if err := <-done; err != nil || status(t, root, "tiny") != "ii 1" {
		t.Errorf("after the lock was released: %v", err)
	}
}

// holdLock takes a file lock from another process, as another package tool would: locks of one
// process do not exclude each other.
func holdLock(t *testing.T, path string) (release func()) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(os.Args[0], "-test.run=^$")
	cmd.Env = append(os.Environ(), "HOLD_LOCK="+path)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(out, make([]byte, 1)); err != nil {
		t.Fatalf("the lock holder: %v", err)
	}
	released := false
	release = func() {
		if !released {
			released = true
			in.Close()
			cmd.Wait()
		}
	}
	t.Cleanup(release)
	return release
}

func TestMain(m *testing.M) {
	path := os.Getenv("HOLD_LOCK")
	if path == "" {
		os.Exit(m.Run())
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o640)
	if err == nil {
		err = unix.FcntlFlock(f.Fd(), unix.F_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Print("!")
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

func TestDebIsLeftToFinishWhenTheTimeIsUp(t *testing.T) {
	root, i := shellRoot(t), needDpkg(t)
	fifo := filepath.Join(root, "go-on")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	j := deb{name: "slow", version: "1", scripts: map[string]string{"postinst": "#!/bin/sh\necho > /started\nread line < /go-on\n"}}.job(t, root)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		_, err := i.Install(ctx, j)
		done <- err
	}()
	for deadline := time.Now().Add(20 * time.Second); ; {
		if _, err := os.Stat(filepath.Join(root, "started")); err == nil {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the script never ran")
		}
		time.Sleep(5 * time.Millisecond)
	}
	cancel()
	wantReason(t, "time is up", <-done, install.ReasonTimeout)
	if got := status(t, root, "slow"); got == "" {
		t.Error("the package is unknown, want it half-way")
	}
	write(t, fifo, "go\n", 0o600)
	// The next call waits for the first dpkg to end and finds the package installed.
	res, err := i.Install(t.Context(), j)
	if err != nil || res.Changed || status(t, root, "slow") != "ii 1" {
		t.Errorf("%+v, %v, now %q", res, err, status(t, root, "slow"))
	}
}

func TestDebRefusesNamesThatWouldBeOptionsOrPatterns(t *testing.T) {
	i := needDpkg(t)
	for _, s := range []install.Spec{
		{Package: "--force-all", Version: "1"}, {Package: "*", Version: "1"}, {Package: "", Version: "1"}, {Package: "a b", Version: "1"},
		{Package: "../x", Version: "1"}, {Package: "tiny", Version: ""}, {Package: "tiny", Version: "-1"}, {Package: "tiny", Version: "1 2"},
		{Package: "tiny", Version: "1", Arch: "*"}, {Package: "tiny", Version: "1", Arch: "--x"}, {Package: "tiny", Version: strings.Repeat("9", 100)},
	} {
		j := install.Job{Root: t.TempDir(), Work: filepath.Join(t.TempDir(), "w"), Spec: s}
		_, err := i.Detect(t.Context(), j)
		wantReason(t, fmt.Sprintf("detect %+v", s), err, install.ReasonDenied)
		_, err = i.Install(t.Context(), j)
		wantReason(t, fmt.Sprintf("install %+v", s), err, install.ReasonDenied)
		_, err = i.Remove(t.Context(), j)
		wantReason(t, fmt.Sprintf("remove %+v", s), err, install.ReasonDenied)
	}
}

func TestDebRefusesAWorkFolderThatOthersCanWrite(t *testing.T) {
	root, i := t.TempDir(), needDpkg(t)
	j := deb{name: "tiny", version: "1"}.job(t, root)
	if err := os.Mkdir(j.Work, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(j.Work, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := i.Install(t.Context(), j)
	wantReason(t, "open folder", err, install.ReasonDenied)
	link := filepath.Join(root, "link")
	if err := os.Symlink(t.TempDir(), link); err != nil {
		t.Fatal(err)
	}
	j.Work = link
	_, err = i.Install(t.Context(), j)
	wantReason(t, "planted link", err, install.ReasonDenied)
	if status(t, root, "tiny") != "" {
		t.Error("installed all the same")
	}
}

func TestDebStagesThePayloadWhereOnlyWeCanReach(t *testing.T) {
	root, i := t.TempDir(), needDpkg(t)
	j := deb{name: "tiny", version: "1"}.job(t, root)
	payload := j.Open
	j.Open = func() (io.ReadCloser, error) {
		fi, err := os.Stat(j.Work)
		if err != nil || fi.Mode().Perm() != 0o700 {
			t.Errorf("work folder while copying: %v, %v", fi, err)
		}
		staged, _ := filepath.Glob(filepath.Join(j.Work, "stage-*.deb"))
		if len(staged) != 1 {
			t.Errorf("staged: %v", staged)
		} else if fi, _ := os.Stat(staged[0]); fi.Mode().Perm() != 0o600 {
			t.Errorf("staged file has mode %v", fi.Mode())
		}
		return payload()
	}
	if _, err := i.Install(t.Context(), j); err != nil {
		t.Fatal(err)
	}
}

func TestDebReportsAWantedRestart(t *testing.T) {
	root, i := t.TempDir(), needDpkg(t)
	j := deb{name: "kernel", version: "1", files: map[string]string{"var/run/reboot-required": "*** restart\n"}}.job(t, root)
	if res, err := i.Install(t.Context(), j); err != nil || !res.RestartNeeded {
		t.Errorf("%+v, %v", res, err)
	}
}

func asError(t *testing.T, err error) *install.Error {
	t.Helper()
	var e *install.Error
	if !errors.As(err, &e) {
		t.Fatalf("%v is no *install.Error", err)
	}
	if bytes.ContainsRune([]byte(e.Log), 0x1b) || len(e.Log) > 4<<10 {
		t.Errorf("log of %d bytes is not clean: %q", len(e.Log), e.Log)
	}
	return e
}
