//go:build linux

package bench

import (
	"context"
	"crypto/sha256"
	"errors"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestPlansThatMeasureNothingAreRefused(t *testing.T) {
	for _, c := range []struct{ scenario, contenders, want string }{
		{"wan10", "udpcast", "does not cross a router"},
		{"cold10", "http-proxy", "stands at a WAN"},
		{"churn10", "http", "comes later"},
		{"liars20", "aria2", "nobody else"},
		{"cold10", "bittorrent", "no contender"},
		{"cold10", "patchmesh", "no patchmesh to measure"},
	} {
		s, err := ScenarioNamed(c.scenario)
		if err != nil {
			t.Fatal(err)
		}
		p := Plan{Scenario: s, Contenders: []string{c.contenders}, Binary: filepath.Join(t.TempDir(), "none")}
		err = p.Run(t.Context(), func(Result) error { t.Error("something ran"); return nil })
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s in %s: %v, want %q", c.contenders, c.scenario, err, c.want)
		}
	}
}

func TestEveryUsualContenderSuitsItsScenario(t *testing.T) {
	for _, s := range Scenarios() {
		for _, name := range s.Usual {
			e, err := contenderNamed(name)
			if err == nil {
				err = s.suits(e)
			}
			if err != nil {
				t.Error(err)
			}
			if got := e.make(nil, "").Name(); got != name {
				t.Errorf("%s calls itself %s", name, got)
			}
		}
	}
}

func TestRunsNeedRoot(t *testing.T) {
	if os.Geteuid() == 0 {
		t.Skip("this is root")
	}
	s, err := ScenarioNamed("smoke")
	if err != nil {
		t.Fatal(err)
	}
	own, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	p := Plan{Scenario: s, Contenders: []string{"patchmesh"}, Binary: own}
	if err := p.Run(t.Context(), nil); !errors.Is(err, ErrNoLab) || !strings.Contains(err.Error(), "root") {
		t.Errorf("got %v", err)
	}
}

func TestMissingProgramsNameTheirPackage(t *testing.T) {
	e := entry{name: "x", programs: []string{"no-such-program-anywhere"}, packages: []string{"its-package"}}
	if err := e.missing(); !errors.Is(err, ErrMissing) || !strings.Contains(err.Error(), "its-package") {
		t.Errorf("got %v", err)
	}
	e = entry{name: "x", programs: []string{"sh"}, version: []string{"sh", "-c", "exit 1"}, packages: []string{"its-package"}}
	if err := e.missing(); !errors.Is(err, ErrMissing) {
		t.Errorf("a program that cannot even say its version is ready: %v", err)
	}
}

func TestChurnKillsAThirdAndBringsAsMany(t *testing.T) {
	s, err := ScenarioNamed("churn10")
	if err != nil {
		t.Fatal(err)
	}
	if got := s.late(); got != 3 {
		t.Errorf("%d of %d machines come late", got, s.Machines)
	}
	if got := s.lab().Machines; got != 13 {
		t.Errorf("the lab has %d machines, want 10 and 3 that come", got)
	}
}

// oneMachine is a machine of a test without a lab.
func oneMachine(t *testing.T, name string) *Machine {
	t.Helper()
	m := &Machine{Host: Host{Name: name}, Dir: t.TempDir()}
	if err := os.MkdirAll(filepath.Join(m.Dir, gotFolder), 0o755); err != nil {
		t.Fatal(err)
	}
	return m
}

func TestWatchWaitsForAllFilesOfAllMachines(t *testing.T) {
	a, b := oneMachine(t, "a"), oneMachine(t, "b")
	updates := []Update{{Name: "one"}, {Name: "two"}}
	w := newWatch([]*Machine{a, b}, updates)
	arrive := func(m *Machine, u Update) {
		t.Helper()
		if err := os.WriteFile(m.Got(u), nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	arrive(a, updates[0])
	arrive(a, updates[1])
	arrive(b, updates[0])
	if w.look(w.since.Add(time.Second)) {
		t.Error("done without a file")
	}
	if text := w.missing(); !strings.Contains(text, "1 machines") || !strings.Contains(text, "(b)") {
		t.Errorf("missing: %s", text)
	}
	arrive(b, updates[1])
	if !w.look(w.since.Add(3 * time.Second)) {
		t.Error("not done with all files")
	}
	if got := w.seconds(); !slices.Equal(got, []float64{1, 3}) {
		t.Errorf("took %v", got)
	}
	w.drop(a)
	if got := w.seconds(); !slices.Equal(got, []float64{3}) {
		t.Errorf("with a killed: %v", got)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	w.add(oneMachine(t, "c"))
	if err := w.until(ctx, nil); err == nil || !strings.Contains(err.Error(), "(c)") {
		t.Errorf("given up with %v", err)
	}
}

func TestCheckFindsOneWrongByte(t *testing.T) {
	m := oneMachine(t, "a")
	u := Update{Name: "u.bin", Path: filepath.Join(t.TempDir(), "u.bin"), SizeBytes: 3_000_000}
	if err := u.write(); err != nil {
		t.Fatal(err)
	}
	data := []byte(read(t, u.Path))
	if len(data) != 3_000_000 || sha256.Sum256(data) != u.Sum {
		t.Fatalf("the file has %d bytes and another hash than it was said to have", len(data))
	}
	if err := u.check(m); err == nil {
		t.Error("a file that is not there passed")
	}
	for _, c := range []struct {
		spoil func()
		ok    bool
	}{{func() {}, true}, {func() { data[2_999_999] ^= 1 }, false}, {func() { data = data[:2_999_999] }, false}} {
		c.spoil()
		if err := os.WriteFile(m.Got(u), data, 0o644); err != nil {
			t.Fatal(err)
		}
		if err := u.check(m); (err == nil) != c.ok {
			t.Errorf("check says %v, want ok=%v", err, c.ok)
		}
	}
}

func TestSpoilLeavesNoChunkRight(t *testing.T) {
	dir := t.TempDir()
	payload, other := filepath.Join(dir, "payload"), filepath.Join(dir, "small")
	size := 5*spoilEvery + 2000
	for path, n := range map[string]int{payload: size, other: 100} {
		if err := os.WriteFile(path, make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if err := spoil(dir, int64(size)); err != nil {
		t.Fatal(err)
	}
	text := read(t, payload)
	for at := 0; at < size; at += spoilEvery {
		if part := text[at:min(at+spoilEvery, size)]; strings.Count(part, "\x00") != len(part)-len(spoilWith) {
			t.Errorf("%d bytes from %d on have %d changes", len(part), at, len(part)-strings.Count(part, "\x00"))
		}
	}
	if strings.Trim(read(t, other), "\x00") != "" {
		t.Error("a file that is no payload was spoiled")
	}
	if err := spoil(dir, int64(size)+1); err == nil {
		t.Error("nothing was spoiled, and nothing is said")
	}
}

func TestTrackerTellsEverybodyAboutEverybodyElse(t *testing.T) {
	tr := &tracker{peers: map[string]map[netip.AddrPort]bool{}}
	ask := func(from, query string) string {
		r := httptest.NewRequest("GET", "/announce?"+query, nil)
		r.RemoteAddr = from + ":40000"
		w := httptest.NewRecorder()
		tr.ServeHTTP(w, r)
		return w.Body.String()
	}
	ask("10.77.0.1", "info_hash=x&port=6881")
	ask("10.77.0.3", "info_hash=y&port=6881")
	if got, want := ask("10.77.0.2", "info_hash=x&port=6882"), "d8:intervali2e12:min intervali2e5:peers6:\x0a\x4d\x00\x01\x1a\xe1e"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := tr.known(2); got != 1 {
		t.Errorf("%d torrents have two peers, want 1", got)
	}
	ask("10.77.0.1", "info_hash=x&port=6881&event=stopped")
	if got := ask("10.77.0.2", "info_hash=x&port=6882"); !strings.HasSuffix(got, "5:peers0:e") {
		t.Errorf("after the other one has left: %q", got)
	}
	if got := ask("10.77.0.2", "info_hash=x"); strings.Contains(got, "peers") {
		t.Errorf("an announce without a port was answered with %q", got)
	}
}

// Every contender brings three machines two megabytes, in networks of its own.
func TestLabSmoke(t *testing.T) {
	if os.Getenv("PATCHMESH_E2E") == "" {
		t.Skip("builds network namespaces as root: run it with `make e2e`")
	}
	if err := labPossible(); err != nil {
		t.Skip(err)
	}
	bin := os.Getenv("PATCHMESH_E2E_BIN")
	if bin == "" {
		bin = filepath.Join(t.TempDir(), "patchmesh")
		if err := run("go", "build", "-o", bin, "../cmd/patchmesh"); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range contenders {
		t.Run(e.name, func(t *testing.T) {
			if err := e.missing(); err != nil {
				t.Skip(err)
			}
			name := "smoke"
			if e.wanOnly {
				name = "smokewan"
			}
			s, err := ScenarioNamed(name)
			if err != nil {
				t.Fatal(err)
			}
			p := Plan{Scenario: s, Contenders: []string{e.name}, Runs: 1, Binary: bin, Session: "test"}
			if err := p.Run(t.Context(), func(r Result) error { expectSane(t, r); return nil }); err != nil {
				t.Fatal(err)
			}
		})
	}
	if names, err := namespaces(labPrefix + ownMark(t)); err != nil || len(names) > 0 {
		t.Errorf("left behind: %v %v", names, err)
	}
}

func ownMark(t *testing.T) string {
	t.Helper()
	mark, err := processMark(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	return mark
}

// expectSane wants figures that an outside look could have: nothing is faster than its link, and
// no byte is counted that nobody sent.
func expectSane(t *testing.T, r Result) {
	t.Helper()
	if r.Error != "" {
		t.Error(r.Error)
		return
	}
	t.Logf("%.2f s, CPU %.2f s, peak %.1f MB, seed sent %.3f payloads", r.Last(), r.CPUSeconds, peakMB(r), seedOut(r))
	if len(r.Seconds) != r.Machines || r.Last() < 0.8*r.BoundSeconds {
		t.Errorf("%d machines done, the last after %.2f s; the bound is %.2f s", len(r.Seconds), r.Last(), r.BoundSeconds)
	}
	if got := r.payloads(float64(r.LANInBytes)) / float64(r.Machines); got < 1 || got > 3 {
		t.Errorf("each machine was sent %.3f payloads", got)
	}
	// Programs that live for moments may end before anybody has looked at their memory.
	if r.Contender == patchmeshEntry.name && (r.PeakRSS < 5e6 || r.SeedPeakRSS < 5e6 || r.Told["installed"] != float64(r.Machines)) {
		t.Errorf("peak %d and %d bytes, told %v", r.PeakRSS, r.SeedPeakRSS, r.Told)
	}
	if r.CPUSeconds <= 0 || r.Version == "" || r.Hardware.Kernel == "" {
		t.Errorf("no cost, version or hardware: %+v", r)
	}
}
