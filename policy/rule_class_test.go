package policy

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// R-C11: a machine takes the kinds of updates that its groups say; its own file, and a second group, may only take away.
func TestRC11AMachineTakesTheKindsThatItsGroupsSay(t *testing.T) {
	b := newBench(t)
	b.m.Groups = []Group{{Name: "desks"}, {Name: "tills"}}
	kind := func(id UpdateID, class, product string) *Descriptor {
		return b.update(id, 1, func(d *Descriptor) { d.Classification, d.Product = class, product })
	}
	for _, d := range []*Descriptor{kind("sec", "security", "Firefox ESR"), kind("drv", "driver", ""), kind("rec", "recommended", "office")} {
		b.approve(d, "all", ActionInstall, nil)
	}
	b.approve(kind("gone", "driver", ""), "all", ActionRemove, nil)
	taken := func(mach Machine) string {
		mach.Detected = present("gone")
		var out []string
		for _, u := range []UpdateID{"sec", "drv", "rec", "gone"} {
			switch v := b.plan(mach, t0)[u]; {
			case v.Verb == VerbInstall || v.Verb == VerbRemove:
				out = append(out, string(u))
			case v.Verb != VerbNone || v.Reason != ReasonPolicyClass || !strings.Contains(v.Detail, "take-") || v.Compliance == NotApplicable:
				t.Errorf("%s: %+v", u, v)
			}
		}
		return strings.Join(out, " ")
	}
	local := func(class string) Machine { return Machine{Local: map[string]string{SetTakeClasses: class}} }
	in := func(groups string) Machine { return Machine{Groups: list(groups)} }
	for _, c := range []struct {
		name     string
		settings []Setting
		mach     Machine
		want     string
	}{
		{"nobody says anything", nil, Machine{}, "sec drv rec gone"},
		{"security alone", []Setting{{SetTakeClasses, "all", "security,critical"}}, Machine{}, "sec gone"},
		{"stars and case", []Setting{{SetTakeClasses, "all", "Sec*,DRIVER"}}, Machine{}, "sec drv gone"},
		{"nothing", []Setting{{SetTakeClasses, "all", "none"}}, Machine{}, "gone"},
		{"a deeper group takes more", []Setting{{SetTakeClasses, "all", "security"}, {SetTakeClasses, "desks", "any"}}, in("desks"), "sec drv rec gone"},
		{"two groups take what both do", []Setting{{SetTakeClasses, "desks", "security,driver"}, {SetTakeClasses, "tills", "recommended,driver"}}, in("desks,tills"), "drv gone"},
		{"products", []Setting{{SetTakeProducts, "all", "firefox*,office"}}, Machine{}, "sec rec gone"},
		{"its own file takes less", nil, local("security"), "sec gone"},
		{"its own file takes no more", []Setting{{SetTakeClasses, "all", "security"}}, local("any"), "sec gone"},
		{"its own file asks for other kinds", []Setting{{SetTakeClasses, "all", "security,driver"}}, local("driver,recommended"), "drv gone"},
	} {
		b.m.Settings = c.settings
		if got := taken(c.mach); got != c.want {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	e := grouped(t, Manifest{Settings: []Setting{{SetTakeClasses, "all", "security,driver"}}}).Effectives(local("driver,recommended"))
	for _, x := range e {
		if x.Name == SetTakeClasses && (x.Value != "driver" || x.Source != "local" || x.Signed != "security,driver") {
			t.Errorf("%+v", x)
		}
	}
	for _, bad := range []string{"", ",", "a,,b", "*", "a*b", " a", "a ,b", "Any", "security,none", "a**"} {
		if err := (Setting{SetTakeClasses, "all", bad}).Validate(); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

// What two lists let through together is never more than either of them.
func TestRC11NarrowingNeverWidens(t *testing.T) {
	r := rand.New(rand.NewPCG(11, 1))
	names := []string{"a", "ab", "abc", "b", "bc", "c"}
	lets := func(l, name string) bool {
		for _, x := range takes(l) {
			if entryCovers(x, name) {
				return true
			}
		}
		return false
	}
	draw := func() string {
		switch r.IntN(8) {
		case 0:
			return takeAny
		case 1:
			return takeNone
		}
		var out []string
		for range 1 + r.IntN(3) {
			out = append(out, pick(r, names...)+pick(r, "", "*"))
		}
		return strings.Join(out, ",")
	}
	both := 0
	for range 3000 {
		x, y := draw(), draw()
		n := narrow(x, y)
		if err := checkTake(n); err != nil {
			t.Fatalf("%s and %s: %q: %v", x, y, n, err)
		}
		for _, name := range names {
			if lets(n, name) != (lets(x, name) && lets(y, name)) {
				t.Fatalf("%q and %q make %q, which disagrees about %s", x, y, n, name)
			}
			if lets(n, name) {
				both++
			}
		}
		if byNarrower(n, x) > 0 || byNarrower(n, y) > 0 {
			t.Fatalf("%q is not narrower than %q and %q", n, x, y)
		}
	}
	if both < 1000 {
		t.Errorf("the lists hardly meet: %d", both)
	}
}
