package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
)

// must runs a command line that has to succeed, and reads its JSON into out unless that is nil.
func must(t *testing.T, out any, args ...string) string {
	t.Helper()
	code, text, errOut := call(args...)
	if code != 0 {
		t.Fatalf("%q: exit code %d: %s", args, code, errOut)
	}
	if out != nil {
		if err := json.Unmarshal([]byte(text), out); err != nil {
			t.Fatalf("%q: %v: %s", args, err, text)
		}
	}
	return text
}

// words reads a command line that the program prints, as a shell would.
func words(t *testing.T, line string) []string {
	t.Helper()
	var out []string
	for i, part := range strings.Split(line, "'") {
		if i%2 == 1 {
			out = append(out, part)
		} else {
			out = append(out, strings.Fields(part)...)
		}
	}
	if len(out) < 2 || out[0] != "patchmesh" {
		t.Fatalf("no command: %q", line)
	}
	return out[1:]
}

// templateSeed is a seed with a group pilot and the ring plan that thorough-test proposes.
func templateSeed(t *testing.T) (seed string, templates map[string]templateFacts) {
	t.Helper()
	seed = filepath.Join(t.TempDir(), "seed")
	must(t, nil, "init", "--org", "acme", "--insecure-no-passphrase", "--data", seed)
	must(t, nil, "group", "set", "pilot", "--query", `{"machine":{"names":["pilot-*"]}}`, "--data", seed)
	var v struct{ Templates []templateFacts }
	must(t, &v, "rules", "templates", "--json")
	templates = map[string]templateFacts{}
	for _, f := range v.Templates {
		templates[f.Name] = f
	}
	return seed, templates
}

func rulesOf(t *testing.T, seed string) (v api.Rules, byName map[string]api.ApprovalRule) {
	t.Helper()
	must(t, &v, "rules", "list", "--json", "--data", seed)
	byName = map[string]api.ApprovalRule{}
	for _, r := range v.Rules {
		r.At = time.Time{}
		byName[r.Name] = r
	}
	return v, byName
}

// A template leaves an ordinary rule, the same one that its flags written out make.
func TestRB6TemplatesBecomeTheRulesThatTheyShow(t *testing.T) {
	seed, templates := templateSeed(t)
	must(t, nil, append(words(t, templates["thorough-test"].Prepare), "--data", seed)...)
	for name, f := range templates {
		text := must(t, nil, "rules", "set", name, "--template", name, "--data", seed)
		if !strings.Contains(text, strings.Replace(f.Command, "NAME", name, 1)) {
			t.Errorf("%s is not shown in full: %q", name, text)
		}
		must(t, nil, append(words(t, strings.Replace(f.Command, "NAME", name+"-by-hand", 1)), "--data", seed)...)
	}
	_, rules := rulesOf(t, seed)
	for name := range templates {
		hand := rules[name+"-by-hand"]
		hand.Name = name
		if !reflect.DeepEqual(rules[name], hand) {
			t.Errorf("%s: template %+v, by hand %+v", name, rules[name], hand)
		}
	}
	fast, thorough := rules["fast-track"], rules["thorough-test"]
	if fast.RingPlan != "" || fast.DeadlineDays != 2 || fast.SoakDays != 0 || fast.Action != "install" || fast.Group != "all" {
		t.Errorf("fast-track: %+v", fast)
	}
	if thorough.RingPlan != "thorough-test" || thorough.SoakDays == 0 || thorough.DeadlineDays != 0 || thorough.Action != "install" {
		t.Errorf("thorough-test: %+v", thorough)
	}

	// Whatever is given counts, also what is given as nothing; the rest is the template's.
	text := must(t, nil, "rules", "set", "own", "--template", "fast-track", "--severity=", "--classification", "sec*", "--group", "pilot", "--deadline", "5", "--existing", "--data", seed)
	if !strings.Contains(text, "rules set own --classification 'sec*' --group pilot --deadline 5 --existing\n") {
		t.Errorf("own: %q", text)
	}
	must(t, nil, "rules", "set", "slow", "--template", "thorough-test", "--soak", "30", "--severity", "low", "--data", seed)
	_, rules = rulesOf(t, seed)
	if r := rules["own"]; len(r.Severities) != 0 || !reflect.DeepEqual(r.Classifications, []string{"sec*"}) || r.Group != "pilot" || r.DeadlineDays != 5 || !r.Existing {
		t.Errorf("own: %+v", r)
	}
	if r := rules["slow"]; !reflect.DeepEqual(r.Severities, []string{"low"}) || r.SoakDays != 30 || r.RingPlan != "thorough-test" || r.Group != "all" {
		t.Errorf("slow: %+v", r)
	}
}

// The two templates share out all that comes, and approve none of it.
func TestRB6TemplatesShareOutAllUpdatesAndApproveNone(t *testing.T) {
	seed, templates := templateSeed(t)
	must(t, nil, append(words(t, templates["thorough-test"].Prepare), "--data", seed)...)
	body := filepath.Join(t.TempDir(), "motd")
	if err := os.WriteFile(body, []byte("hello\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"critical": "fast", "important": "rest", "moderate": "rest", "low": "rest", "unspecified": "rest"}
	for severity := range want {
		must(t, nil, "import", body, "--id", severity, "--severity", severity, "--installer", "file", "--installer-arg", "dest=/srv/"+severity, "--data", seed)
	}
	must(t, nil, "rules", "set", "fast", "--template", "fast-track", "--existing", "--data", seed)
	must(t, nil, "rules", "set", "rest", "--template", "thorough-test", "--existing", "--data", seed)
	v, _ := rulesOf(t, seed)
	got := map[string]string{}
	for _, m := range v.Matches {
		got[m.Update] += m.Rule
		if m.Proposed != (m.Rule == "fast") || m.Rule == "rest" && !strings.Contains(m.Why, "soaks") {
			t.Errorf("%+v", m)
		}
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("%v", got)
	}
	var p api.Published
	must(t, &p, "rules", "propose", "--json", "--data", seed)
	if p.Published || p.Signatures != 0 {
		t.Errorf("a rule has approved: %+v", p)
	}
}

// thorough-test is not to be had with a plan that tests nothing, and mistakes say what would be right.
func TestRB6TemplatesRefuseWhatTheyDoNotMean(t *testing.T) {
	seed, templates := templateSeed(t)
	pilot, broad := "pilot:groups=pilot,count=1,soak=24h", "broad:groups=all,evidence=restart"
	plan := func(name string, rings ...string) {
		args := []string{"rings", "set", name, "--data", seed}
		for _, r := range rings {
			args = append(args, "--ring", r)
		}
		must(t, nil, args...)
	}
	plan("good", pilot, broad)
	plan("unasked", pilot, "broad:groups=all", "more:groups=pilot,evidence=restart")
	plan("hasty", "pilot:groups=pilot,count=1", broad)
	plan("single", broad)
	for name, c := range map[string]struct {
		code int
		says string
		args []string
	}{
		"unknown":       {2, "fast-track and thorough-test", []string{"--template", "quick"}},
		"empty":         {2, "fast-track and thorough-test", []string{"--template", ""}},
		"not there":     {5, templates["thorough-test"].Prepare, []string{"--template", "thorough-test"}},
		"no plan":       {2, "ring plan", []string{"--template", "thorough-test", "--rings", ""}},
		"no evidence":   {2, "broad asks for no evidence", []string{"--template", "thorough-test", "--rings", "unasked"}},
		"no soak":       {2, "no ring before broad soaks", []string{"--template", "thorough-test", "--rings", "hasty"}},
		"no pilot":      {2, "no ring comes before", []string{"--template", "thorough-test", "--rings", "single"}},
		"no condition":  {2, "condition", []string{"--template", "fast-track", "--severity="}},
		"unknown group": {5, "no group", []string{"--template", "fast-track", "--group", "nobody"}},
	} {
		for _, verb := range []string{"set", "try"} {
			code, out, errOut := call(append([]string{"rules", verb, "r", "--data", seed}, c.args...)...)
			if code != c.code || !strings.Contains(errOut, c.says) || out != "" {
				t.Errorf("%s, %s: exit code %d, %q, %q", name, verb, code, out, errOut)
			}
		}
	}
	if v, _ := rulesOf(t, seed); len(v.Rules) != 0 {
		t.Errorf("a refused rule is there: %+v", v.Rules)
	}
	must(t, nil, "rules", "set", "r", "--template", "thorough-test", "--rings", "good", "--data", seed)
}
