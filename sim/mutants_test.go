package sim

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// mutant is one mistake that the core could have: old becomes new in a file. The checker must see each of
// them in some run: a checker that passes everything says nothing about the core.
type mutant struct{ name, file, old, new string }

// Every old text must stand exactly once in its file: a row that no longer applies fails, so that the
// table grows old with the code.
var mutants = []mutant{
	{"installs what is held", "policy/rule.go", `	{"hold", ruleHold},` + "\n", ``},
	{"installs before the time", "policy/rule.go", `	{"available", ruleAvailable},` + "\n", ``},
	{"an approval for a group counts for all", "policy/plan.go", `if _, addressed := in[a.Group]; !addressed ||`, `if _, addressed := in[a.Group]; false && !addressed ||`},
	{"installs before the payload is whole", "swarm/task.go", `	case l.ready:
		c.startChange(k)`, `	case l.ready || l.haveBytes > 0:
		c.startChange(k)`},
	{"several installations at once", "swarm/task.go", `	if c.tasks.busy != nil {`, `	if false {`},
	{"damage is never repaired", "swarm/payload.go", `	l.ready, l.opened = false, false
	c.tellHave(l)`, `	c.tellHave(l)`},
	{"what a silent peer says that it holds counts on", "swarm/have.go", `return !p.closed && !p.mute`, `return !p.closed`},
	{"a machine that answers no question holds up its site", "swarm/wordless.go", `	c.setWordless(r.peer)
	return true`, `	return false`},
	{"liars are not shunned", "swarm/transfer.go", `		c.shun(p, e.Reason, e.Detail)`, `		c.noteRefused(p.id, e.Reason, e.Detail)`},
	{"a shun is forgotten with the next chunk", "swarm/standing.go", `	return found && c.now.Before(c.tasks.shuns[i].Until)`, `	return found && c.now.Before(c.tasks.shuns[i].Until.Add(-24*time.Hour+time.Second))`},
	{"an absent chunk is asked for again and again", "swarm/transfer.go", `		r.bits.Clear(i)
		if now`, `		if now`},
	{"one uplink for ever", "swarm/link.go", `const uplinkTurn = 10 * time.Minute`, `const uplinkTurn = 10000 * time.Hour`},
	{"a failed open is never tried again", "swarm/payload.go", `	pause := c.cfg.SpaceRetry`, `	pause := 10000 * time.Hour`},
	{"chunks of a peer that left stay asked for", "swarm/member.go", `	c.dropPendingOf(p)
`, ``},
	{"descriptors are not asked for twice", "swarm/news.go", `		c.askEnded(w)
		if r.peer != "" {`, `		if r.peer != "" {`},
	{"removal is forgotten", "swarm/task.go", `	case policy.VerbRemove:
		c.startChange(k)`, `	case policy.VerbRemove:
		c.settleNone(k)`},
	{"a claim before the documents is forgotten", "swarm/lease.go", `		p.claimEarly(e.Payload, e.Held)
`, ``},
	{"the seed serves one at a time and never ends", "swarm/slots.go", `			s.busy = slices.Delete(s.busy, i, i+1)`, `			_ = i`},
}

func (m mutant) apply() (string, error) {
	b, err := os.ReadFile("../" + m.file)
	if err != nil {
		return "", err
	}
	if n := strings.Count(string(b), m.old); n != 1 {
		return "", fmt.Errorf("%s: the text stands in %s %d times, want once: %s", m.name, m.file, n, m.old)
	}
	return strings.Replace(string(b), m.old, m.new, 1), nil
}

func TestMutantsStillApply(t *testing.T) {
	if len(mutants) < 15 {
		t.Fatalf("%d mutants, at least 15 are promised", len(mutants))
	}
	for _, m := range mutants {
		if _, err := m.apply(); err != nil {
			t.Error(err)
		}
	}
}

// mutantSeeds is within how many runs the checker sees each mistake.
const mutantSeeds = 100

// TestMutantsAreCaught builds this package's tests with each mistake in place of the file, and lets
// TestHunt look for a run that shows it.
func TestMutantsAreCaught(t *testing.T) {
	goTool, err := exec.LookPath("go")
	if err != nil {
		t.Skip("the go tool is not here: mutants cannot be built")
	}
	step := soak(len(mutants), 1) // in a short run the first alone: each is a build of its own
	for i := 0; i < len(mutants); i += step {
		m := mutants[i]
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			t.Parallel()
			out := m.run(t, goTool)
			_, found, ok := strings.Cut(out, "CAUGHT ")
			if !ok {
				t.Errorf("not caught within %d seeds: %s (%s)\n%s", mutantSeeds, m.name, m.file, out)
				return
			}
			found, _, _ = strings.Cut(found, "\n")
			t.Log(found)
		})
	}
	t.Logf("%d of %d mutants are run", (len(mutants)+step-1)/step, len(mutants))
}

func (m mutant) run(t *testing.T, goTool string) string {
	t.Helper()
	text, err := m.apply()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	mutated, overlay := filepath.Join(dir, "mutant.go"), filepath.Join(dir, "overlay.json")
	original, err := filepath.Abs("../" + m.file)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(map[string]map[string]string{"Replace": {original: mutated}})
	if err != nil {
		t.Fatal(err)
	}
	for name, body := range map[string][]byte{mutated: []byte(text), overlay: b} {
		if err := os.WriteFile(name, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	c := exec.Command(goTool, "test", "-count=1", "-vet=off", "-ldflags=-s -w", "-overlay", overlay, "-run", "^TestHunt$", "-v", ".")
	c.Env = append(os.Environ(), "SIM_HUNT=1")
	out, _ := c.CombinedOutput() // a mutant that panics is caught too: the text says so
	if strings.Contains(string(out), "build failed") {
		t.Errorf("%s: does not build:\n%s", m.name, out)
	}
	return string(out)
}

// TestHunt looks for a run that breaks a promise, and says CAUGHT with what it found. It is the body of
// TestMutantsAreCaught and rests otherwise.
func TestHunt(t *testing.T) {
	if os.Getenv("SIM_HUNT") == "" {
		t.Skip("runs within TestMutantsAreCaught")
	}
	for seed := range uint64(mutantSeeds) {
		for _, name := range []string{"shop-5", "churn-30", "silent", "late-documents", "mixed-small"} {
			if name != "mixed-small" && seed > 2 {
				continue
			}
			if what := hunt(open(t, name), seed); what != "" {
				fmt.Printf("CAUGHT at seed %d of %s: %s\n", seed, name, what)
				return
			}
		}
	}
}

func hunt(sc *Scenario, seed uint64) (what string) {
	defer func() {
		if p := recover(); p != nil {
			what = fmt.Sprint("panic: ", p)
		}
	}()
	r, err := Run(sc, Options{Seed: seed, Check: true})
	switch {
	case err != nil:
		return err.Error()
	case len(r.Violations) > 0:
		return r.Violations[0].String()
	}
	return ""
}
