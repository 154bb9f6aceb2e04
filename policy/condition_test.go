package policy

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"patchmesh/content"
)

// told are facts that a test states; what it does not state cannot be found out.
type told struct {
	system   System
	files    map[string]FileFact
	packages map[string][]string
	exits    map[string]int
	registry map[string]string
	asked    int
}

var errUntold = errors.New("nobody knows")

func (f *told) System() System { return f.system }

func (f *told) File(path string, _, _ bool) (FileFact, error) {
	f.asked++
	got, ok := f.files[path]
	if !ok {
		return got, errUntold
	}
	return got, nil
}

func (f *told) Registry(key, name string) (string, bool, error) {
	if f.registry == nil {
		return "", false, &FactError{Reason: ReasonCompatOS, Err: errUntold}
	}
	v, ok := f.registry[key+`\`+name]
	return v, ok, nil
}

func (f *told) Packages(system, name string) ([]string, error) {
	v, ok := f.packages[system+" "+name]
	if !ok {
		return nil, errUntold
	}
	return v, nil
}

func (f *told) Command(t CommandTest) (int, error) {
	f.asked++
	code, ok := f.exits[strings.Join(t.Args, " ")]
	if !ok {
		return 0, errUntold
	}
	return code, nil
}

func condition(t testing.TB, text string) *Condition {
	t.Helper()
	var c Condition
	if err := decodeStrict([]byte(text), MaxDescriptorBytes, &c); err != nil {
		t.Fatal(err)
	}
	if err := c.Check(); err != nil {
		t.Fatalf("%s: %v", text, err)
	}
	return &c
}

func TestRG2ConditionsAnswerYesNoOrUncertain(t *testing.T) {
	const yes, no, dark = `{"arch":["amd64"]}`, `{"arch":["arm64"]}`, `{"file":{"path":"/dark"}}`
	sum := strings.Repeat("ab", 32)
	f := &told{
		system: System{OS: "linux", Arch: "amd64", Distribution: "debian", Version: "12.5"},
		files: map[string]FileFact{
			"/app":  {Exists: true, SHA256: sum, Head: []byte("app\nversion: 2.10.1-rc3 of today\n")},
			"/gone": {},
		},
		packages: map[string][]string{"deb openssl": {"3.0.11-1~deb12u2"}, "rpm bash": {"5.1.8-6.el9"}, "deb none": {}},
		exits:    map[string]int{"/bin/check -q": 3},
		registry: map[string]string{`HKLM\Software\App\Version`: "10.0.200"},
	}
	for text, want := range map[string]Truth{
		yes: Yes, no: No, dark: Uncertain,
		`{"all":[` + yes + `,` + yes + `]}`:                                                        Yes,
		`{"all":[` + yes + `,` + no + `]}`:                                                         No,
		`{"all":[` + dark + `,` + no + `]}`:                                                        No,
		`{"all":[` + yes + `,` + dark + `]}`:                                                       Uncertain,
		`{"any":[` + no + `,` + yes + `]}`:                                                         Yes,
		`{"any":[` + dark + `,` + yes + `]}`:                                                       Yes,
		`{"any":[` + no + `,` + dark + `]}`:                                                        Uncertain,
		`{"any":[` + no + `,` + no + `]}`:                                                          No,
		`{"not":` + yes + `}`:                                                                      No,
		`{"not":` + no + `}`:                                                                       Yes,
		`{"not":` + dark + `}`:                                                                     Uncertain,
		`{"os":{"name":"linux","distribution":"debian"}}`:                                          Yes,
		`{"os":{"name":"windows"}}`:                                                                No,
		`{"os":{"version":{"at_least":"12.10"}}}`:                                                  No,
		`{"os":{"version":{"at_least":"12","below":"13"}}}`:                                        Yes,
		`{"file":{"path":"/app"}}`:                                                                 Yes,
		`{"file":{"path":"/gone"}}`:                                                                No,
		`{"file":{"path":"/app","sha256":"` + sum + `"}}`:                                          Yes,
		`{"file":{"path":"/app","sha256":"` + strings.Repeat("00", 32) + `"}}`:                     No,
		`{"file":{"path":"/app","version":{"after":"version: ","at_least":"2.9"}}}`:                Yes,
		`{"file":{"path":"/app","version":{"after":"version: ","below":"2.9"}}}`:                   No,
		`{"file":{"path":"/app","version":{"after":"release: ","below":"2.9"}}}`:                   No,
		`{"package":{"system":"deb","name":"openssl","version":{"at_least":"3.0.11-1"}}}`:          No, // "~" is before the end
		`{"package":{"system":"deb","name":"openssl","version":{"below":"3.0.11-1"}}}`:             Yes,
		`{"package":{"system":"deb","name":"none"}}`:                                               No,
		`{"package":{"system":"rpm","name":"bash","version":{"at_least":"5.1.8-4.el9"}}}`:          Yes,
		`{"package":{"system":"rpm","name":"other"}}`:                                              Uncertain,
		`{"command":{"args":["/bin/check","-q"],"timeout_seconds":5,"exit":[0,3]}}`:                Yes,
		`{"command":{"args":["/bin/check","-q"],"timeout_seconds":5,"exit":[0]}}`:                  No,
		`{"command":{"args":["/bin/lost"],"timeout_seconds":5,"exit":[0]}}`:                        Uncertain,
		`{"registry":{"key":"HKLM\\Software\\App","name":"Version","version":{"at_least":"9.9"}}}`: Yes,
		`{"registry":{"key":"HKLM\\Software\\App","name":"Other"}}`:                                No,
	} {
		if got := condition(t, text).Evaluate(f); got.Truth != want || got.Detail == "" || got.Truth == No && got.Reason == "" {
			t.Errorf("%s: %+v, want truth %d with a finding", text, got, want)
		}
	}
	f.registry = nil
	got := condition(t, `{"registry":{"key":"HKLM\\Software\\App","name":"Version"}}`).Evaluate(f)
	if got.Truth != Uncertain || got.Reason != ReasonCompatOS {
		t.Errorf("a registry where there is none: %+v", got)
	}
}

func TestRG2DecidedConditionsAskNoFurther(t *testing.T) {
	f := &told{system: System{Arch: "amd64"}}
	condition(t, `{"all":[{"arch":["arm64"]},{"file":{"path":"/x"}},{"command":{"args":["/x"],"timeout_seconds":1,"exit":[0]}}]}`).Evaluate(f)
	if f.asked != 0 {
		t.Errorf("%d facts were looked for although the first had decided", f.asked)
	}
}

func TestRG2DescriptorsRefuseConditionsBeyondTheLimits(t *testing.T) {
	leaf := `{"arch":["amd64"]}`
	deep := strings.Repeat(`{"not":`, MaxConditionDepth) + leaf + strings.Repeat(`}`, MaxConditionDepth)
	wide := `{"all":[` + strings.TrimSuffix(strings.Repeat(leaf+",", MaxConditionNodes), ",") + `]}`
	long := strings.Repeat("x", 2000)
	for name, text := range map[string]string{
		"too deep":                 deep,
		"too wide":                 wide,
		"nothing":                  `{}`,
		"two kinds in one node":    `{"arch":["amd64"],"os":{"name":"linux"}}`,
		"an unknown kind":          `{"script":"rm -rf /"}`,
		"a relative path":          `{"file":{"path":"etc/passwd"}}`,
		"a path with ..":           `{"file":{"path":"/etc/../etc/passwd"}}`,
		"a path with a line end":   `{"file":{"path":"/etc/a\nb"}}`,
		"a network path":           `{"file":{"path":"\\\\host\\share\\x"}}`,
		"a long path":              `{"file":{"path":"/` + long + `"}}`,
		"a hash in capitals":       `{"file":{"path":"/x","sha256":"` + strings.Repeat("AB", 32) + `"}}`,
		"a version behind nothing": `{"file":{"path":"/x","version":{"after":"","at_least":"1"}}}`,
		"a user's registry":        `{"registry":{"key":"HKCU\\Software","name":"x"}}`,
		"a range without bounds":   `{"package":{"system":"deb","name":"a","version":{}}}`,
		"a name like an option":    `{"package":{"system":"deb","name":"--root=/"}}`,
		"a name like a pattern":    `{"package":{"system":"deb","name":"lib*"}}`,
		"an unknown system":        `{"package":{"system":"snap","name":"a"}}`,
		"a command by its name":    `{"command":{"args":["sh","-c","id"],"timeout_seconds":1,"exit":[0]}}`,
		"a command without end":    `{"command":{"args":["/bin/true"],"timeout_seconds":0,"exit":[0]}}`,
		"a command for an hour":    `{"command":{"args":["/bin/true"],"timeout_seconds":3600,"exit":[0]}}`,
		"a command without yes":    `{"command":{"args":["/bin/true"],"timeout_seconds":1,"exit":[]}}`,
	} {
		base := fileDescriptor()
		b, err := base.Encode()
		if err != nil {
			t.Fatal(err)
		}
		for _, field := range []string{"applicable", "installed", "probe"} {
			doc := strings.TrimSuffix(string(b), "}") + fmt.Sprintf(`,%q:%s}`, field, text)
			if _, err := DecodeDescriptor([]byte(doc)); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
				t.Errorf("%s as %s: %v", name, field, err)
			}
		}
	}
	d := fileDescriptor()
	d.ProbeSeconds = 5
	if _, err := d.Encode(); !errors.Is(err, ErrFormat) {
		t.Errorf("seconds for no probe: %v", err)
	}
}

func TestRG2VersionOrders(t *testing.T) {
	for _, c := range []struct {
		system, a, b string
		want         int
	}{
		{"deb", "1.0", "1.0-0", 0}, {"deb", "1.0~rc1", "1.0", -1}, {"deb", "1.0~~", "1.0~", -1}, {"deb", "1:0.1", "9", 1},
		{"deb", "1.10", "1.9", 1}, {"deb", "1.0a", "1.0+", -1}, {"deb", "01.0", "1.00", 0}, {"deb", "1.0-1", "1.0-1+b1", -1},
		{"deb", "99999999999999999999999", "99999999999999999999998", 1}, {"deb", "0:1", "1", 0}, {"deb", "1-2-3", "1-2-4", -1},
		{"rpm", "1.0", "1_0", 0}, {"rpm", "1.0~rc1", "1.0", -1}, {"rpm", "1.0^git1", "1.0", 1}, {"rpm", "1.0^git1", "1.0.1", -1},
		{"rpm", "1.0a", "1.0.1", -1}, {"rpm", "5.1.8-6.el9", "5.1.8-4.el9_1", 1}, {"rpm", "1.8", "1.8-3", 0}, {"rpm", "2:1-1", "1:9-9", 1},
		{"rpm", "1.0010", "1.9", 1}, {"rpm", "1.05", "1.5", 0}, {"rpm", "1.0", "1.0a", -1}, {"rpm", "fc4", "fc.4", 0},
		{"rpm", "1.0^20160101~git1", "1.0^20160101", -1}, {"rpm", "1.0~rc1^git1", "1.0~rc1", 1}, {"rpm", "20101121", "20101122", -1},
	} {
		for _, turned := range []bool{false, true} {
			a, b, want := c.a, c.b, c.want
			if turned {
				a, b, want = b, a, -want
			}
			if got, err := CompareVersions(c.system, a, b); err != nil || got != want {
				t.Errorf("%s: %s against %s: %d, %v, want %d", c.system, a, b, got, err, want)
			}
		}
	}
	for _, v := range []string{"", strings.Repeat("1", MaxVersionBytes+1)} {
		if _, err := CompareVersions("deb", "1", v); !errors.Is(err, ErrFormat) {
			t.Errorf("version of %d characters: %v", len(v), err)
		}
	}
	if _, err := CompareVersions("snap", "1", "1"); !errors.Is(err, ErrFormat) {
		t.Errorf("unknown system: %v", err)
	}
}

func TestRG2WhatIsNotForThisMachineIsNeitherFetchedNorInstalled(t *testing.T) {
	for name, c := range map[string]struct {
		seen       Detection
		action     Action
		verb       Verb
		compliance Compliance
		reason     Reason
	}{
		"not for it":            {Detection{Foreign: ReasonCompatOS, Detail: "runs debian"}, ActionInstall, VerbNone, NotApplicable, ReasonCompatOS},
		"not for it, to stage":  {Detection{Foreign: ReasonCompatOS}, ActionStageOnly, VerbNone, NotApplicable, ReasonCompatOS},
		"not for it, but there": {Detection{Foreign: ReasonCompatOS, Present: true}, ActionInstall, VerbNone, Installed, ""},
		"there, and to remove":  {Detection{Foreign: ReasonCompatOS, Present: true}, ActionRemove, VerbRemove, Installed, ""},
		"nobody knows":          {Detection{Err: ReasonVerifyNotDetected, Detail: "the disk is deaf"}, ActionInstall, VerbHold, ComplianceError, ReasonVerifyNotDetected},
		"for it":                {Detection{}, ActionInstall, VerbInstall, Required, ""},
	} {
		d := fileDescriptor()
		m := &Manifest{Approvals: []Approval{{Update: d.Update, Revision: d.Revision, Descriptor: d.ID(), Group: GroupAll, Action: c.action}}}
		mach := Machine{Arch: "amd64", Installers: []string{"file"}, Detected: map[UpdateID]Detection{d.Update: c.seen}}
		v := MakePlan(m, func(content.ID) *Descriptor { return d }, mach, false, t0).Verdicts[0]
		if v.Verb != c.verb || v.Compliance != c.compliance || v.Reason != c.reason || !strings.Contains(v.Detail, c.seen.Detail) {
			t.Errorf("%s: %+v", name, v)
		}
	}
}

func FuzzCondition(f *testing.F) {
	f.Add([]byte(`{"all":[{"arch":["amd64"]},{"not":{"file":{"path":"/etc/x","version":{"after":"v=","at_least":"1.0~rc1"}}}}]}`))
	f.Add([]byte(`{"any":[{"package":{"system":"rpm","name":"a","version":{"equal":"1:2^3~4-5"}}},{"command":{"args":["/bin/true"],"timeout_seconds":1,"exit":[0]}}]}`))
	f.Add([]byte(`{"registry":{"key":"HKLM\\a","name":"b","version":{"below":"10.0"}}}`))
	facts := &told{
		system: System{OS: "linux", Arch: "amd64", Version: "12"}, registry: map[string]string{},
		files: map[string]FileFact{"/etc/x": {Exists: true, Head: []byte("v=1.0\xff")}}, packages: map[string][]string{"rpm a": {"1:2^3~4-5"}},
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var c Condition
		if decodeStrict(b, MaxDescriptorBytes, &c) != nil || c.Check() != nil {
			return
		}
		is := c.Evaluate(facts)
		opposite := (&Condition{Not: &c}).Evaluate(facts)
		if int(is.Truth)+int(opposite.Truth) != 0 && int(is.Truth)+int(opposite.Truth) != int(Yes)+int(No) {
			t.Fatalf("%s is %d, its opposite %d", b, is.Truth, opposite.Truth)
		}
		again, err := json.Marshal(&c)
		if err != nil {
			t.Fatal(err)
		}
		var d Condition
		if err := decodeStrict(again, MaxDescriptorBytes, &d); err != nil || d.Check() != nil || d.Evaluate(facts) != is {
			t.Fatalf("%s means something else after it was written as %s", b, again)
		}
	})
}

func FuzzVersionOrder(f *testing.F) {
	for _, s := range [][3]string{{"1.0~rc1", "1.0", "1:0"}, {"1.0^a", "1.0-1", "1_0"}, {"", "9a", "009"}, {"~", "^", "-"}} {
		f.Add(s[0], s[1], s[2])
	}
	f.Fuzz(func(t *testing.T, a, b, c string) {
		for _, order := range []func(a, b string) int{compareDeb, rpmPart} {
			ab, ba, bc, ac := order(a, b), order(b, a), order(b, c), order(a, c)
			if ab != -ba || order(a, a) != 0 {
				t.Fatalf("%q and %q: %d one way, %d the other", a, b, ab, ba)
			}
			if ab <= 0 && bc <= 0 && ac > 0 {
				t.Fatalf("%q ≤ %q ≤ %q, but the first is greater than the last", a, b, c)
			}
		}
	})
}
