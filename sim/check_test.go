package sim

import (
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// What a driver says in sum is not believed: the checker counts chunks by itself, and each of these is seen.
func TestCheckerCountsByItself(t *testing.T) {
	_, text := trace(t, open(t, "shop-5"), 1, 1)
	line := func(pattern string) string {
		return regexp.MustCompile(`(?m)^\d+ ` + pattern + `.*\n`).FindString(text)
	}
	install, chunk := line(`install m=shop-3`), line(`stored m=shop-3 u=u1 i=7 `)
	wan, release := line(`wan`), line(`release`)
	end := line(`end`)
	later := strings.Replace(end, strings.Fields(end)[0], "900000000000", 1)
	atEnd := func(l string) string { return strings.Fields(end)[0] + l[strings.Index(l, " "):] }
	for name, c := range map[string]struct{ rule, text string }{
		"a payload called whole that lacks a chunk": {"wrong-byte", strings.Replace(text, chunk, "", 1)},
		"a line that counts too little":             {"wan", strings.ReplaceAll(text, " bytes=262144\n", " bytes=1024\n")},
		"bytes across the WAN for nobody":           {"lease", strings.Replace(text, end, "900000000000"+wan[strings.Index(wan, " "):]+later, 1)},
		"the same chunk across the WAN twice":       {"wan", strings.Replace(text, wan, strings.Repeat(wan, 1)+wan, 1)},
		"a removal while something is installed": {"one-at-a-time", strings.Replace(text, install,
			install+strings.Fields(install)[0]+" remove m=shop-3 u=u1 clock=1\n", 1)},
		"a removal by a machine that is off": {"trace", strings.Replace(text, end,
			atEnd("0 down m=shop-3 why=off\n")+atEnd("0 remove m=shop-3 u=u1 clock=1\n")+end, 1)},
	} {
		if c.text == text || release == "" {
			t.Errorf("%s: nothing was planted", name)
		}
		got, err := Check(strings.NewReader(c.text))
		seen := false
		for _, v := range got {
			seen = seen || v.Rule == c.rule
		}
		if err != nil || !seen {
			t.Errorf("%s: %v, %v, want one of %q", name, got, err, c.rule)
		}
	}
}

// A hold that is known in time and obeyed by nobody is as bad as one that comes late. Of a hundred machines one may be late.
func TestCheckerSeesInstallationsThatAHoldDidNotStop(t *testing.T) {
	run := func(machines, late int, update string) []Violation {
		var b strings.Builder
		at := func(d time.Duration, format string, a ...any) {
			fmt.Fprintf(&b, "%d "+format+"\n", append([]any{d.Nanoseconds()}, a...)...)
		}
		b.WriteString("patchmesh-trace 1 scenario=x seed=1\n")
		at(0, "machine m=seed site=hq egress=0 seed=1 groups=- lies=-")
		at(0, "update u=u1 chunks=1 chunk_bytes=9 bytes=9")
		at(0, "update u=u2 chunks=1 chunk_bytes=9 bytes=9")
		at(0, "expect what=held limit=10s")
		at(0, "publish epoch=1 head=1 root=1 expires=900000000000")
		for _, u := range []string{"u1", "u2"} {
			at(0, "approval head=1 u=%s rev=1 group=all action=install not_before=0 deadline=0", u)
		}
		for i := range machines {
			at(0, "machine m=a%d site=hq egress=1 seed=0 groups=- lies=-", i)
			at(0, "boot m=a%d epoch=1 head=1", i)
			for _, u := range []string{"u1", "u2"} {
				at(0, "stored m=a%d u=%s i=0 from=seed tier=lan bytes=9 fresh=1 good=1", i, u)
			}
		}
		at(time.Second, "publish epoch=2 head=2 root=1 expires=900000000000")
		at(time.Second, "approval head=2 u=u2 rev=1 group=all action=install not_before=0 deadline=0")
		at(time.Second, "hold head=2 id=h u=u1 group=- expires=0")
		for i := range machines - late {
			at(2*time.Second, "adopt m=a%d epoch=2 head=2 root=1", i)
		}
		for i := range late { // in time, but for what they do before
			at(12*time.Second, "install m=a%d u=%s rev=1 whole=1 bad=0 clock=12000000000", machines-1-i, update)
		}
		for i := range late {
			at(13*time.Second, "installed m=a%d u=%s rev=1", machines-1-i, update)
		}
		for i := range late {
			at(14*time.Second, "adopt m=a%d epoch=2 head=2 root=1", machines-1-i)
		}
		at(15*time.Second, "end why=done")
		got, err := Check(strings.NewReader(b.String()))
		if err != nil {
			t.Fatal(err)
		}
		var held []Violation
		for _, v := range got {
			if v.Rule == "held" && strings.Contains(v.Text, "begin to install") {
				held = append(held, v)
			}
		}
		return held
	}
	for _, c := range []struct {
		machines, late int
		update         string
		faults         int
	}{{100, 1, "u1", 0}, {100, 2, "u1", 1}, {100, 2, "u2", 0}, {5, 1, "u1", 1}} {
		if got := run(c.machines, c.late, c.update); len(got) != c.faults {
			t.Errorf("%d of %d machines install %s late: %v", c.late, c.machines, c.update, got)
		}
	}
}

// What machines have in hand is judged while they have it, not when all is done.
func TestLoadIsSaidWhileItLasts(t *testing.T) {
	w, err := newWorld(open(t, "shop-5"), Options{Seed: 1})
	if err != nil {
		t.Fatal(err)
	}
	c, lines := NewChecker(), 0
	w.trace.sinks = append(w.trace.sinks, func(b []byte) {
		c.Line(string(b))
		if strings.Contains(string(b), " load m=shop-1 ") {
			lines++
		}
	})
	w.own.on = true
	for _, s := range w.sites {
		s.say.on = true
	}
	w.describe()
	m := w.machines[2]
	w.at(int64(12*time.Second), func() { // a core that asks without end, and ends it before anybody looks
		for i := range maxLoadAsks + 2*loudStep {
			m.asks = append(m.asks, ask{peer: w.hq, u: w.updates[0], index: i})
			m.weigh()
		}
		m.asks = nil
	})
	w.run(nil, nil)
	seen := 0
	for _, v := range c.Finish() {
		if v.Rule == "memory" && v.Machine == "shop-1" {
			seen++
		}
	}
	if seen == 0 || lines < 3 || lines > 10 {
		t.Errorf("%d violations, %d lines of what it has in hand", seen, lines)
	}
}

// A trace may say anything at all: it is judged, and nothing else happens.
func TestCheckerTakesWordsThatNobodyIntroduced(t *testing.T) {
	for _, l := range []string{"wan site=s u=other bytes=9", "wan site=other u=u1 bytes=9", "stored m=a u=u1 i=-5 from=b tier=wan bytes=9 fresh=1 good=1",
		"stored m=a u=u1 i=9223372036854775807 from=b tier=wan bytes=9 fresh=1 good=1", "install m=a u=other rev=1 whole=1 bad=0 clock=1"} {
		text := "patchmesh-trace 1 scenario=x seed=1\n0 site name=s wan=1 lan=1 machines=1\n0 update u=u1 chunks=9223372036854775807 chunk_bytes=9 bytes=9\n" +
			"0 machine m=a site=s egress=1 seed=0 groups=- lies=-\n1 " + l + "\n2 end why=done\n"
		if got, err := Check(strings.NewReader(text)); err != nil || len(got) == 0 {
			t.Errorf("%s: %v, %v", l, got, err)
		}
	}
}
