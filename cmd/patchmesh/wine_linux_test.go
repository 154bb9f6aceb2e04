package main_test

import (
	"context"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"patchmesh/cmd/winetest"
	"patchmesh/node/api"
)

// windowsPackages are the packages with code of their own for Windows; of each, what cannot be shown under Wine.
var windowsPackages = []struct{ dir, run, skip string }{
	{"./content/durable", ".", ""},
	// Wine makes no symbolic links and says that it did.
	{"./content/disk", ".", "TestPastCVEs|TestWhatIsNotTheStoresOwnIsRefused|TestFolderThatIsALinkIsRefused|TestLinkPlantedUnderAnOpenStoreIsRefused"},
	// The same; and rules that name paths of other systems.
	{"./node/install", ".", "TestFileRefusesPathsOutOfTheRoot|TestFileFollowsLinksThatStayBelowTheRoot|TestPastCVEs|" +
		"TestRH6AFailedProbeBringsBackWhatWasThere|TestRH6AProbeThatHoldsInItsTimeKeepsTheUpdate|TestRH7ACrashBeforeTheProbeNeverLetsAnUpdatePass|TestRG2ConditionsDecideWhatIsThereAndWhatIsForThisMachine"},
	{"./node/inventory", ".", ""},
	{"./node/state", ".", ""},
	{"./node/keys", ".", ""},
	{"./node/restart", ".", ""},
	{"./node/trustdir", ".", ""},
	{"./node", "TestRJ11OnWindows", ""},
}

// R-H4, R-J11: the tests of the packages that speak to Windows run as programs of Windows: its installer and registry
// with real packages, its locks on open files, its jobs, the launcher with its slots.
func TestRH4WindowsCodeUnderWine(t *testing.T) {
	wine := winetest.New(t)
	msi := t.TempDir()
	winetest.MSI(t, msi)
	for _, p := range windowsPackages {
		t.Run(p.dir, func(t *testing.T) {
			exe := winetest.Build(t, t.TempDir(), "patchmesh/"+strings.TrimPrefix(p.dir, "./"), true)
			args := []string{"-test.v", "-test.timeout=8m", "-test.run=" + p.run}
			if p.skip != "" {
				args = append(args, "-test.skip=^("+p.skip+")$")
			}
			// A slice of the long runs is enough: the numbers are another system's business.
			code, out := wine.RunIn(t, filepath.Join("..", "..", p.dir), 9*time.Minute, []string{"PATCHMESH_SOAK=", "PATCHMESH_TEST_MSI=" + winetest.Windows(msi)}, exe, args...)
			passed := len(regexp.MustCompile(`(?m)^--- PASS`).FindAllString(out, -1))
			t.Logf("%d tests passed under Wine", passed)
			if code != 0 || passed == 0 {
				t.Errorf("exit code %d\n%s", code, troubles(out))
			}
		})
	}
}

// troubles is what of an output is not about tests that have passed.
func troubles(out string) string {
	var b strings.Builder
	for l := range strings.Lines(out) {
		if s := strings.TrimSpace(l); !strings.HasPrefix(s, "=== ") && !strings.HasPrefix(s, "--- PASS") && b.Len() < 8000 {
			b.WriteString(l)
		}
	}
	return b.String()
}

// R-H4: a whole Windows machine, the program itself under Wine, enrols with a seed on this system, hears of approvals,
// fetches, installs and detects through the real Windows Installer, registry and command processor, reports, and
// removes again.
func TestRH4AWindowsMachineInAMeshUnderWine(t *testing.T) {
	wine := winetest.New(t)
	dir := t.TempDir()
	winetest.MSI(t, dir)
	exe := winetest.Build(t, dir, "patchmesh/cmd/patchmesh", false, "-ldflags", "-X main.version=9.8.7")
	code, out := wine.Run(t, time.Minute, nil, exe, "--version")
	if code != 0 || !strings.Contains(out, "9.8.7") {
		t.Fatalf("--version: %d %s", code, out)
	}
	if code, out = wine.Run(t, time.Minute, nil, exe, "launch", "--hello"); code != 0 || !strings.Contains(out, `"os":"windows"`) {
		t.Fatalf("launch --hello: %d %s", code, out)
	}
	w := &watched{t: t, secrets: map[string][][]byte{}}
	l := &secretsLab{watched: w, bin: buildProduct(t), dir: dir}
	seed, addr := filepath.Join(dir, "seed"), freePort(t)
	l.run(0, false, "init", "--org", "acme", "--insecure-no-passphrase", "--data", seed)
	l.node(seed, "--listen", addr)
	if code, out = wine.Run(t, time.Minute, nil, exe, "join", l.run(0, true, "invite", "--group", "office", "--data", seed), "--data", `C:\pm`, "--name", "win"); code != 0 {
		t.Fatalf("join: %d %s", code, out)
	}
	windowsNode(t, wine, exe, addr)
	imports := map[string][]string{
		"hello":  {l.file("hello.txt", "hello"), "--installer", "file", "--installer-arg", `dest=C:\srv\hello.txt`},
		"tool64": {filepath.Join(dir, "tool64.msi"), "--installer-arg", "product-code=" + winetest.Code64, "--version-is", "1.2.3"},
		"tool32": {filepath.Join(dir, "tool32.msi"), "--installer-arg", "product-code=" + winetest.Code32, "--version-is", "1.2.3"},
		"bad":    {filepath.Join(dir, "bad.msi"), "--installer-arg", "product-code=" + winetest.CodeBad, "--version-is", "1"},
		"say":    {l.file("say.cmd", "@echo off\r\necho said > C:\\said.txt\r\n"), "--installer", "script", "--installed", l.file("said.json", `{"file":{"path":"C:\\said.txt"}}`)},
	}
	want := map[string]string{"hello": "installed", "tool64": "installed", "tool32": "installed", "say": "installed", "bad": "failed-install"}
	for id, args := range imports {
		l.run(0, false, append([]string{"import", "--data", seed, "--id", id}, args...)...)
		l.run(0, false, "approve", id, "--group", "office", "--data", seed)
	}
	awaitStates(t, l, seed, want)
	for path, text := range map[string]string{"srv/hello.txt": "hello\n", "Program Files/tool64/tool.txt": "tool", "Program Files (x86)/tool32/tool.txt": "tool", "said.txt": "said \r\n"} {
		if b, err := os.ReadFile(wine.Path(path)); err != nil || string(b) != text {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
	l.run(0, false, "approve", "tool32", "--group", "office", "--action", "remove", "--data", seed)
	awaitStates(t, l, seed, map[string]string{"tool32": "removed"})
	if _, err := os.Stat(wine.Path("Program Files (x86)/tool32/tool.txt")); err == nil {
		t.Error("tool32 is still there")
	}
}

// windowsNode runs the node of C:\pm until the test ends.
func windowsNode(t *testing.T, wine *winetest.Prefix, exe, seed string) {
	t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	c := wine.Command(ctx, exe, "run", "--data", `C:\pm`, "--listen", freePort(t), "--peer", seed, "--mdns=false", "--egress=yes")
	log, err := os.Create(filepath.Join(t.TempDir(), "node.log"))
	if err != nil {
		t.Fatal(err)
	}
	c.Stdout, c.Stderr = log, log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stop()
		_ = c.Wait()
		_ = log.Close()
		if b, err := os.ReadFile(log.Name()); t.Failed() && err == nil {
			t.Logf("%s", b[max(0, len(b)-6000):])
		}
	})
}

// awaitStates waits until the machine win is reported with these states.
func awaitStates(t *testing.T, l *secretsLab, seed string, want map[string]string) {
	t.Helper()
	var last string
	for end := time.Now().Add(3 * time.Minute); time.Now().Before(end); time.Sleep(200 * time.Millisecond) {
		out, err := exec.Command(l.bin, "status", "--json", "--data", seed).Output()
		if err != nil {
			continue
		}
		var f api.Fleet
		if err := json.Unmarshal(out, &f); err != nil {
			t.Fatal(err)
		}
		last = string(out)
		got := map[string]string{}
		for _, m := range f.Machines {
			for _, u := range m.Updates {
				got[u.Update] = string(u.State)
			}
		}
		reached := 0
		for id, state := range want {
			if got[id] == state {
				reached++
			}
		}
		if reached == len(want) {
			return
		}
	}
	t.Fatalf("not all came to their state: %v\n%s", want, last)
}
