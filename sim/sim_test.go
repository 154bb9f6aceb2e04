package sim

import (
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// soak is the short slice by default, the full count with PATCHMESH_SOAK=1.
func soak(short, full int) int {
	if os.Getenv("PATCHMESH_SOAK") != "" {
		return full
	}
	return short
}

func open(t testing.TB, name string) *Scenario {
	t.Helper()
	sc, err := OpenScenario(name)
	if err != nil {
		t.Fatal(err)
	}
	return sc
}

// trace runs once and keeps what was written.
func trace(t testing.TB, sc *Scenario, seed uint64, workers int) (*Report, string) {
	t.Helper()
	var b strings.Builder
	r, err := Run(sc, Options{Seed: seed, Workers: workers, Check: true, Trace: func(l []byte) {
		b.Write(l)
		b.WriteByte('\n')
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r, b.String()
}

// quiet runs a scenario without faults and fails the test on any broken promise.
func quiet(t *testing.T, name string) *Report {
	t.Helper()
	r, err := Run(open(t, name), Options{Seed: 1, Workers: 2, Check: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, v := range r.Violations {
		t.Errorf("%s: %v", name, v)
	}
	if r.Installed != r.Machines {
		t.Errorf("%s: %d of %d machines have what is approved", name, r.Installed, r.Machines)
	}
	t.Logf("%s: WAN %.3f (worst site %.3f), duplicates %.4f, last after %.2f s, the lines alone need %.2f s",
		name, r.Amplification, r.WANMost, r.DuplicateRatio, r.LastInstalled, r.LowerBound)
	return r
}

func TestSmallSitesCrossTheWANOnceAtTheLinesSpeed(t *testing.T) {
	for _, name := range []string{"shop-5", "branch-40"} {
		r := quiet(t, name)
		if r.Amplification != 1 || r.WANMost != 1 {
			t.Errorf("%s: the WAN carried %.4f times the payload", name, r.Amplification)
		}
		if r.LastInstalled > 1.3*r.LowerBound+5 {
			t.Errorf("%s: the last machine was done after %.1f s, the line alone needs %.1f s", name, r.LastInstalled, r.LowerBound)
		}
	}
}

// Same seed, same trace: with one worker or two, and again. Another seed is another run.
func TestSameSeedSameTrace(t *testing.T) {
	sc := open(t, "mixed-small")
	for seed := range uint64(soak(3, 50)) {
		a, text := trace(t, sc, seed, 1)
		b, _ := trace(t, sc, seed, 2)
		c, again := trace(t, sc, seed, 2)
		if a.TraceHash != b.TraceHash || b.TraceHash != c.TraceHash || text != again {
			t.Fatalf("seed %d: three runs, traces %s %s %s", seed, a.TraceHash, b.TraceHash, c.TraceHash)
		}
		if d, _ := trace(t, sc, seed+1000, 1); d.TraceHash == a.TraceHash {
			t.Fatalf("seeds %d and %d make the same run", seed, seed+1000)
		}
	}
}

// Many sites at once: whichever worker runs which of them, and however many there are, the trace is the same.
func TestWorkersMakeNoDifference(t *testing.T) {
	sc, err := ParseScenario("many", `
site   s count=12 machines=4..7 egress=1..3 wan=20Mbit/s..100Mbit/s lan=1Gbit/s delay=10ms..40ms loss=0.01
update u1 size=2MiB chunk=128KiB
at     10s approve u1
fault  crash from=8s until=20s times=3 share=10% lasts=1s..5s
fault  wan-down from=8s until=20s times=3 lasts=1s..9s
fault  roam from=12s until=20s times=2
`)
	if err != nil {
		t.Fatal(err)
	}
	a, text := trace(t, sc, 1, 1)
	for _, v := range a.Violations {
		t.Error(v)
	}
	for _, workers := range []int{2, 3, 16} {
		for _, procs := range []int{1, 2} {
			was := runtime.GOMAXPROCS(procs)
			b, again := trace(t, sc, 1, workers)
			runtime.GOMAXPROCS(was)
			if a.TraceHash != b.TraceHash || text != again {
				t.Errorf("%d workers on %d processors: trace %s, with one %s", workers, procs, b.TraceHash, a.TraceHash)
			}
		}
	}
}

// All faults at once, with seeds. A failure prints the one command that repeats it.
func TestMixedFaultsBreakNoPromise(t *testing.T) {
	if raced {
		runs(t, "mixed-small", 1, 20)
		return
	}
	runs(t, "mixed-small", 1, soak(200, 9000))
	runs(t, "mixed-caches", 1, soak(20, 1000))
	runs(t, "mixed", 1, soak(4, 1000))
}

func runs(t *testing.T, name string, from uint64, n int) {
	t.Helper()
	sc := open(t, name)
	var mu sync.Mutex
	var all sync.WaitGroup
	next, machines, installed, lying := 0, 0, 0, 0
	for range runtime.GOMAXPROCS(0) {
		all.Go(func() {
			for {
				mu.Lock()
				seed := from + uint64(next)
				next++
				stop := next > n || t.Failed()
				mu.Unlock()
				if stop {
					return
				}
				r, err := Run(sc, Options{Seed: seed, Check: true})
				mu.Lock()
				switch {
				case err != nil:
					t.Error(err)
				case len(r.Violations) > 0:
					t.Errorf("%v (and %d more)\nrepeat it with: patchmesh sim %s --seed %d", r.Violations[0], len(r.Violations)-1, name, seed)
				default:
					machines, installed, lying = machines+r.Machines, installed+r.Installed, lying+r.Lying
				}
				mu.Unlock()
			}
		})
	}
	all.Wait()
	t.Logf("%s: %d runs, %d machines, %d done, %d liars", name, n, machines, installed, lying)
	if !t.Failed() && (installed < machines/2 || lying == 0) {
		t.Error("hardly anything happened: such runs show nothing")
	}
}

// Seeds that failed once, with what they found. They stay for ever.
func TestSeedsThatOnceFailed(t *testing.T) {
	for _, c := range []struct {
		name string
		seed uint64
		what string
	}{
		{"mixed-first", 1, "a payload that rotted between check and installation was installed again and again"},
		{"mixed-first", 2, "a head under a new key came while another was being followed, and was never looked at"},
		{"mixed-first", 3, "one egress machine that kept the news to itself froze its site"},
		{"mixed-first", 5, "a peer that claimed everything and answered nothing kept its site from the WAN"},
		{"mixed-first", 108348, "the seed's head under a new key was forgotten for a neighbour's older one, before either was followed"},
	} {
		r, err := Run(open(t, c.name), Options{Seed: c.seed, Check: true})
		if err != nil {
			t.Fatal(err)
		}
		if len(r.Violations) > 0 {
			t.Errorf("seed %d of %s (%s): %v", c.seed, c.name, c.what, r.Violations[0])
		}
	}
}

// A written trace is judged the same as one that is judged while it is written, and each kind of
// violation is seen when it is planted into a good one.
func TestCheckerSeesPlantedViolations(t *testing.T) {
	_, text := trace(t, open(t, "shop-5"), 1, 1)
	if got, err := Check(strings.NewReader(text)); err != nil || len(got) > 0 {
		t.Fatalf("a good trace: %v, %v", got, err)
	}
	first := func(kind string) string {
		return regexp.MustCompile(`(?m)^\d+ ` + kind + `\b.*\n`).FindString(text)
	}
	swap := func(old, now string) func(string) string {
		return func(s string) string { return strings.Replace(s, old, now, 1) }
	}
	install, stored, adopt, end := first("install"), first("stored"), first("adopt m=shop"), first("end")
	for _, c := range []struct {
		rule string
		edit func(string) string
	}{
		{"unapproved", swap(first("approval"), "")},
		{"unapproved", swap("action=install", "action=decline")},
		{"unapproved", swap("not_before=0", "not_before=99000000000")},
		{"unapproved", swap("group=all", "group=pilot")},
		{"unapproved", swap(first("approval"), first("approval")+"10000000000 hold head=2 id=h u=u1 group=- expires=0\n")},
		{"unapproved", swap("head=2 root=1 expires=604810000000000", "head=2 root=1 expires=11000000000")},
		{"unapproved", swap(install, "")},
		{"wrong-byte", swap(install, strings.Replace(install, "whole=1", "whole=0", 1))},
		{"wrong-byte", swap(install, strings.Replace(install, "bad=0", "bad=1", 1))},
		{"wrong-byte", swap(stored, strings.Replace(stored, "good=1", "good=0", 1))},
		{"wan", swap(first("claim"), "")},
		{"wan", func(s string) string { return strings.Replace(s, first("wan"), first("wan")+first("wan"), 1) }},
		{"duplicates", swap(stored, strings.Replace(stored, "fresh=1", "fresh=0", 1))},
		{"one-at-a-time", swap(install, install+install)},
		{"rollback", swap(end, strings.Replace(adopt, strings.Fields(adopt)[0], strings.Fields(end)[0], 1)[:strings.Index(adopt, " epoch")+len(strings.Fields(end)[0])-len(strings.Fields(adopt)[0])]+" epoch=1 head=1 root=1\n"+end)},
		{"unsigned", swap(adopt, strings.Replace(adopt, "head=2", "head=7", 1))},
		{"lease", swap(first("release"), "")},
		{"converge", swap(first("installed"), "")},
		{"shun", swap(end, strings.Repeat(strings.Fields(end)[0]+" refused m=shop-0 from=shop-1 reason=trust-bad-chunk\n", 5)+end)},
		{"memory", swap(first("load m=shop"), strings.Replace(first("load m=shop"), "asks=0", "asks=9999", 1))},
		{"trace", swap(end, "")},
		{"trace", swap("patchmesh-trace 1", "patchmesh-trace 9")},
	} {
		planted := c.edit(text)
		if planted == text {
			t.Errorf("%s: nothing was planted", c.rule)
			continue
		}
		got, err := Check(strings.NewReader(planted))
		if err != nil {
			t.Errorf("%s: %v", c.rule, err)
		}
		seen := false
		for _, v := range got {
			seen = seen || v.Rule == c.rule
		}
		if !seen {
			t.Errorf("planted a violation of %q, the checker says %v", c.rule, got)
		}
	}
	if _, err := Check(strings.NewReader("")); !errors.Is(err, ErrTrace) {
		t.Errorf("an empty file: %v", err)
	}
}

func TestScenariosAreReadOrRefusedWithTheirLine(t *testing.T) {
	for _, name := range Scenarios() {
		sc := open(t, name)
		if sc.Title == "" {
			t.Errorf("%s has no title", name)
		}
		if _, err := newWorld(sc, Options{Seed: 1}); err != nil && len(sc.sites) < 3 {
			t.Errorf("%s: %v", name, err)
		}
	}
	for text, want := range map[string]string{
		"site a machines=0":                                      "line 1",
		"site a machines=3\nsite b machines=x":                   "line 2",
		"site a machines=3 colour=red":                           "colour",
		"site hq machines=3":                                     "hq",
		"site a machines=3\nupdate u1 size=64":                   "64MiB",
		"site a machines=3\nfault meteor":                        "meteor",
		"site a machines=3\nat 5s approve":                       "without an object",
		"site a machines=3\nat 5s bless u1":                      "bless",
		"site a machines=9..3":                                   "backwards",
		"site a machines=3\nexpect luck=1":                       "luck",
		"site a machines=3 machines=4":                           "twice",
		"limit 1000d":                                            "time",
		"update u1 size=1MiB":                                    "no site",
		"site a machines=3\nupdate u1 size=1MiB chunk=0B":        "",
		"site a machines=3\nat 1s approve nothing":               "nothing",
		"site a machines=3\nfault liars kinds=charm":             "charm",
		"site a machines=3\nfault crash power=200%":              "200%",
		"site a machines=1 count=999999 wan=1Mbit/s delay=-5h x": "",
	} {
		sc, err := ParseScenario("t", text)
		if err == nil {
			_, err = newWorld(sc, Options{Seed: 1})
		}
		if !errors.Is(err, ErrScenario) || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, want a word of %q", text, err, want)
		}
	}
}

func FuzzScenario(f *testing.F) {
	for _, name := range Scenarios() {
		b, err := shipped.ReadFile("scenarios/" + name + ".txt")
		if err != nil {
			f.Fatal(err)
		}
		f.Add(string(b))
	}
	f.Fuzz(func(t *testing.T, text string) {
		if _, err := ParseScenario("fuzz", text); err != nil && !errors.Is(err, ErrScenario) {
			t.Fatalf("%q: %v", text, err)
		}
	})
}

func FuzzChecker(f *testing.F) {
	_, text := trace(f, open(f, "shop-5"), 1, 1)
	f.Add(text[:min(len(text), 6000)])
	f.Fuzz(func(t *testing.T, text string) {
		if got, err := Check(strings.NewReader(text)); err == nil && len(got) > maxViolations {
			t.Fatalf("%d violations", len(got))
		}
	})
}

// Both drivers handle every action: a forgotten one would be a request that never ends.
func TestEveryActionIsHandled(t *testing.T) {
	files, err := filepath.Glob("../swarm/*.go")
	if err != nil {
		t.Fatal(err)
	}
	var actions []string
	for _, path := range files {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range file.Decls {
			if fn, ok := d.(*ast.FuncDecl); ok && fn.Name.Name == "isAction" {
				actions = append(actions, fn.Recv.List[0].Type.(*ast.Ident).Name)
			}
		}
	}
	n := 0
	for _, driver := range [][]string{{"do.go", "say.go"}, {"../node/do.go", "../node/loop.go", "../node/trail.go"}} {
		text := ""
		for _, path := range driver {
			b, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			text += string(b)
		}
		for _, name := range actions {
			n++
			if !strings.Contains(text, "case swarm."+name+":") && !strings.Contains(text, ".(swarm."+name+")") {
				t.Errorf("%v does not handle %s", driver, name)
			}
		}
	}
	if n < 40 {
		t.Errorf("only %d actions were looked at", n)
	}
}

func TestPipesKeepTheirRateAndOrder(t *testing.T) {
	p := pipe{rate: 1000}
	if a, b := p.put(0, 500), p.put(0, 500); a != int64(524*time.Millisecond) || b != int64(1048*time.Millisecond) { // 4.8 % are headers
		t.Errorf("two halves of a second leave after %v and %v", time.Duration(a), time.Duration(b))
	}
	fast, slow := pipe{}, pipe{rate: 100}
	if at := between(&fast, &slow, 0, 1000); at != int64(10480*time.Millisecond) || fast.free != 0 {
		t.Errorf("the slower side needs ten seconds and the headers, took %v; the faster one is free after %v", time.Duration(at), time.Duration(fast.free))
	}
	// Two slow senders fill a receiver that is twice as fast, at the same time.
	a, b, into := pipe{rate: 100}, pipe{rate: 100}, pipe{rate: 200}
	one, two := between(&a, &into, 0, 1000), between(&b, &into, 0, 1000)
	if one != int64(10480*time.Millisecond) || two != one {
		t.Errorf("two senders at once take %v and %v", time.Duration(one), time.Duration(two))
	}
}

func TestClockNeverGoesBackAndNeverStands(t *testing.T) {
	k := clock{shown: epoch0}
	last := epoch0
	for i := range int64(2000) {
		now := i * int64(time.Second)
		if i == 500 {
			k.off -= time.Hour
		}
		if i == 1500 {
			k.off += 2 * time.Hour
		}
		at := k.now(now)
		if i > 0 && !at.After(last) {
			t.Fatalf("second %d: %v after %v", i, at, last)
		}
		last = at
	}
}

// Holders of a lease that are too many are a fault where they last, and none where they take it back as soon as they
// hear of each other.
func TestCheckerSeesLeasesThatPileUp(t *testing.T) {
	for _, c := range []struct {
		machines int
		lasts    time.Duration
		released bool
		faults   int
	}{{7, time.Millisecond, true, 0}, {7, 2 * time.Second, true, 1}, {7, 2 * time.Second, false, 1}, {6, time.Hour, true, 0}} {
		text := "patchmesh-trace 1 scenario=x seed=1\n0 site name=s wan=1 lan=1 machines=7\n"
		at := func(d time.Duration, kind string) {
			for i := range c.machines {
				text += fmt.Sprintf("%d %s m=s-%d u=u1\n", d, kind, i)
			}
		}
		for i := range c.machines {
			text += fmt.Sprintf("0 machine m=s-%d site=s egress=1 seed=0 groups=- lies=-\n", i)
		}
		at(time.Second, "claim")
		if c.released {
			at(time.Second+c.lasts, "release")
		}
		got, err := Check(strings.NewReader(text + fmt.Sprintf("%d end why=done\n", time.Second+c.lasts)))
		got = slices.DeleteFunc(got, func(v Violation) bool { return v.Rule != "lease" })
		if err != nil || len(got) != c.faults {
			t.Errorf("%d machines for %v: %v, %v", c.machines, c.lasts, got, err)
		}
	}
}

// Whoever gave a wrong chunk is not asked for another: one that comes long after the first was asked for
// after it, and four at once were on their way. A day later the peer has another chance.
func TestCheckerSeesALiarThatIsAskedAgain(t *testing.T) {
	const head = "patchmesh-trace 1 scenario=x seed=1\n0 site name=s wan=1 lan=1 machines=2\n" +
		"0 machine m=s-0 site=s egress=1 seed=0 groups=- lies=-\n0 machine m=s-1 site=s egress=1 seed=0 groups=- lies=chunks\n"
	for _, c := range []struct {
		at     []time.Duration
		faults int
	}{
		{[]time.Duration{time.Second, time.Second, time.Second, 9 * time.Second}, 0},
		{[]time.Duration{time.Second, time.Second, time.Second, 9 * time.Second, 9 * time.Second}, 1},
		{[]time.Duration{time.Second, 2 * time.Minute}, 1},
		{[]time.Duration{time.Second, 23 * time.Hour, 23 * time.Hour}, 1},
		{[]time.Duration{time.Second, 25 * time.Hour}, 0},
	} {
		text := head
		for _, at := range c.at {
			text += fmt.Sprintf("%d refused m=s-0 from=s-1 reason=trust-bad-chunk\n", at)
		}
		got, err := Check(strings.NewReader(text + fmt.Sprintf("%d end why=done\n", c.at[len(c.at)-1])))
		got = slices.DeleteFunc(got, func(v Violation) bool { return v.Rule != "shun" })
		if err != nil || len(got) != c.faults {
			t.Errorf("wrong chunks after %v: %v, %v, want %d", c.at, got, err, c.faults)
		}
	}
}

// Machines that claim everything and answer nothing cost their site seconds, whichever they are: the uplink, the
// holder of the lease, or all others.
func TestSilentMachinesDoNotHoldUpTheirSite(t *testing.T) { runs(t, "silent", 1, soak(20, 1000)) }

// Who comes in the morning finds what is there before it looks at the WAN, also if the first neighbour that it meets
// has just come too.
func TestMachinesThatComeOneByOneCrossTheWANOnce(t *testing.T) {
	sc := open(t, "patch-tuesday")
	for seed := uint64(3); seed < 3+uint64(soak(2, 100)); seed++ {
		r, err := Run(sc, Options{Seed: seed, Check: true})
		if err != nil || len(r.Violations) > 0 {
			t.Errorf("%v, %v\nrepeat it with: patchmesh sim patch-tuesday --seed %d", err, r.Violations, seed)
		}
	}
}
