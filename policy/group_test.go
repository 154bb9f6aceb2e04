package policy

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"patchmesh/content"
)

// bookworm is a machine as it may report itself.
func bookworm() *Inventory {
	v := &Inventory{OS: "linux", Arch: "amd64", Distribution: "debian", Version: "12", MemoryBytes: 8 << 30, DiskBytes: 64 << 30, Agent: "1.4.0", At: t0,
		Systems: []PackageSystem{{Name: SystemDeb}}}
	v.Keep([]Package{
		{SystemDeb, "openssl", "3.0.14-1", "amd64"}, {SystemDeb, "libc6", "2.36-9", "amd64"}, {SystemDeb, "libc6", "2.36-9", "i386"},
	})
	return v
}

func query(t *testing.T, text string) *Condition {
	t.Helper()
	c, err := ParseCondition([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// grouped sends a manifest through its encoding, as machines get it.
func grouped(t *testing.T, m Manifest) *Manifest {
	t.Helper()
	m.Org, m.IssuedAt, m.Epoch = "acme", t0, 1
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d, err := DecodeManifest(b)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// in tells the groups of a machine, with their sources.
func in(m *Manifest, mach Machine) string {
	var out []string
	for _, s := range m.Memberships(mach) {
		out = append(out, s.Group+":"+s.Source)
	}
	return strings.Join(out, " ")
}

// R-B2: groups by query nest, add up, and make a machine assigned.
func TestRB2GroupsByQueryNestAndAddUp(t *testing.T) {
	m := grouped(t, Manifest{Groups: []Group{
		{Name: "debian", Query: query(t, `{"os":{"distribution":"debian"}}`)},
		{Name: "old-openssl", Parent: "debian", Query: query(t, `{"package":{"system":"deb","name":"openssl","version":{"below":"3.0.15-1"}}}`)},
		{Name: "big", Query: query(t, `{"machine":{"memory_mib":{"at_least":16384}}}`)},
		{Name: "tills", Parent: "shops", Query: query(t, `{"all":[{"machine":{"names":["till-*"],"sites":["branch"],"agent":{"at_least":"1.3"}}},{"arch":["amd64"]}]}`)},
		{Name: "shops"},
		{Name: "office"},
	}})
	for _, c := range []struct {
		name string
		mach Machine
		want string
	}{
		{"by inventory", Machine{Name: "pc", Inventory: bookworm()}, "all:all debian:query old-openssl:query"},
		{"enrolled too", Machine{Name: "pc", Groups: []string{"office"}, Inventory: bookworm()}, "all:all debian:query office:enrolled old-openssl:query"},
		{"by name and site", Machine{Name: "till-3", Site: "branch", Inventory: bookworm()}, "all:all debian:query old-openssl:query shops:nested tills:query"},
		{"another site", Machine{Name: "till-3", Site: "hq", Inventory: bookworm()}, "all:all debian:query old-openssl:query"},
		{"another system", Machine{Name: "w", Inventory: &Inventory{OS: "windows", Arch: "amd64", Version: "10", MemoryBytes: 4 << 30, DiskBytes: 1 << 30, Agent: "1"}}, "all:all unassigned:unassigned"},
		{"nothing known", Machine{Name: "till-3", Site: "branch"}, "all:all big:unknown debian:unknown old-openssl:unknown shops:unknown tills:unknown unassigned:unknown"},
		{"nothing known but the name", Machine{Name: "pc", Site: "branch", Groups: []string{"office"}}, "all:all big:unknown debian:unknown office:enrolled old-openssl:unknown"},
	} {
		if got := in(m, c.mach); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.name, got, c.want)
		}
	}
	if d := m.belongs(Machine{Name: "till-3", Site: "branch", Inventory: bookworm()}).in; d["tills"] != 2 || d["shops"] != 1 || d["all"] != 0 {
		t.Errorf("depths %v", d)
	}
}

// R-B3: what a machine says of itself counts only where the signed group says so.
func TestRB3ClaimsCountOnlyWhereTheGroupLetsMachinesJoin(t *testing.T) {
	m := grouped(t, Manifest{Groups: []Group{{Name: "kiosks", Parent: "public", SelfJoin: true}, {Name: "public"}, {Name: "servers"}}})
	got := in(m, Machine{Claims: []string{"kiosks", "nonsense", "servers", "all", "unassigned"}})
	want := "all:all all:no-such-group kiosks:claimed nonsense:no-such-group public:nested servers:refused unassigned:no-such-group"
	if got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	if g := m.GroupsOf(Machine{Claims: []string{"kiosks", "servers"}}); !slices.Equal(g, []string{"kiosks"}) {
		t.Errorf("it is in %v", g)
	}
}

// R-B3: a machine that lies, in its claims, in its inventory or in both, never gets an install for which there is no
// approval of a group that lets it in. Every lie is tried against every group.
func TestRB3NoMachineGainsAnInstallByWhatItSays(t *testing.T) {
	d := &Descriptor{Update: "u", Revision: 1, Severity: "critical", Installer: "file", FileName: "f", SHA256: sumOf("u"), Payload: content.Sum([]byte("u")), MapBytes: 1, PlainBytes: 1, StoredBytes: 1}
	groups := []Group{
		{Name: "servers"}, {Name: "inner", Parent: "servers"}, {Name: "listed", Query: query(t, `{"machine":{"ids":["other"]}}`)},
		{Name: "sited", Query: query(t, `{"machine":{"sites":["vault"]}}`)}, {Name: "named", Query: query(t, `{"machine":{"names":["db-*"]}}`)},
	}
	lies := []*Inventory{nil, bookworm(), {OS: "linux", Arch: "amd64", Distribution: "servers", Version: "inner", Agent: "db-1", Kernel: "vault", Serial: "other"}}
	for _, g := range groups {
		m := grouped(t, Manifest{Groups: slices.Clone(groups), Approvals: []Approval{
			{Update: "u", Revision: 1, Descriptor: d.ID(), DescriptorBytes: 1000, Group: g.Name, Action: ActionInstall, At: t0},
		}})
		for i, lie := range lies {
			mach := Machine{ID: "me", Name: "pc", Site: "branch", Groups: []string{"office"}, Installers: []string{"file"}, Inventory: lie,
				Claims: []string{"servers", "inner", "listed", "sited", "named", "all"}}
			for _, v := range MakePlan(m, func(content.ID) *Descriptor { return d }, mach, false, t0).Verdicts {
				if v.Verb == VerbInstall || v.Verb == VerbStage || v.Verb == VerbRemove {
					t.Errorf("group %s, lie %d: %+v", g.Name, i, v)
				}
			}
		}
	}
}

// R-B2: while it is not known whether a machine is in a group, what the group forbids counts and what it allows does not.
func TestRB2UnknownMembershipNeverAllowsAndAlwaysForbids(t *testing.T) {
	d := &Descriptor{Update: "u", Revision: 1, Severity: "critical", Installer: "file", FileName: "f", SHA256: sumOf("u"), Payload: content.Sum([]byte("u")), MapBytes: 1, PlainBytes: 1, StoredBytes: 1}
	approve := func(group string, a Action) Approval {
		return Approval{Update: "u", Revision: 1, Descriptor: d.ID(), DescriptorBytes: 1000, Group: group, Action: a, At: t0}
	}
	q := query(t, `{"package":{"system":"deb","name":"openssl"}}`)
	damaged := bookworm()
	damaged.Systems[0].Error = "input/output error"
	for _, c := range []struct {
		name string
		m    Manifest
		inv  *Inventory
		verb Verb
	}{
		{"an approval of the group", Manifest{Approvals: []Approval{approve("q", ActionInstall)}}, nil, ""},
		{"one of all, one of the group against it", Manifest{Approvals: []Approval{approve("all", ActionInstall), approve("q", ActionDecline)}}, nil, VerbHold},
		{"a window of the group", Manifest{Approvals: []Approval{approve("all", ActionInstall)}, Windows: []Window{{ID: "w", Group: "q", Rule: "FREQ=DAILY", From: "2026-01-01", At: "01:00", Zone: "UTC", Minutes: 60}}}, nil, VerbHold},
		{"a setting of the group", Manifest{Approvals: []Approval{approve("all", ActionInstall)}, Settings: []Setting{{SetAutomation, "q", "detect"}}}, nil, VerbHold},
		{"a hold of the group", Manifest{Approvals: []Approval{approve("all", ActionInstall)}, Holds: []Hold{{ID: "h", Update: "u", Group: "q", Kind: "pause", Reason: "r", At: t0}}}, nil, VerbHold},
		{"a setting of a group around it", Manifest{Approvals: []Approval{approve("all", ActionInstall)}, Settings: []Setting{{SetAutomation, "around", "detect"}}}, nil, VerbHold},
		{"nothing of the group", Manifest{Approvals: []Approval{approve("all", ActionInstall)}}, nil, VerbInstall},
		{"unassigned, or perhaps not", Manifest{Approvals: []Approval{approve("unassigned", ActionInstall)}}, nil, ""},
		{"packages that cannot be read", Manifest{Approvals: []Approval{approve("all", ActionInstall), approve("q", ActionDecline)}}, damaged, VerbHold},
		{"known to be in it", Manifest{Approvals: []Approval{approve("q", ActionInstall)}}, bookworm(), VerbInstall},
		{"known to be in it, and declined", Manifest{Approvals: []Approval{approve("all", ActionInstall), approve("q", ActionDecline)}}, bookworm(), VerbNone},
	} {
		c.m.Groups = []Group{{Name: "around"}, {Name: "q", Parent: "around", Query: q}}
		p := MakePlan(grouped(t, c.m), func(content.ID) *Descriptor { return d }, Machine{ID: "me", Installers: []string{"file"}, Inventory: c.inv}, false, t0)
		var verb Verb
		if len(p.Verdicts) > 0 {
			verb = p.Verdicts[0].Verb
		}
		if verb != c.verb {
			t.Errorf("%s: %q, want %q; %+v", c.name, verb, c.verb, p.Verdicts)
		}
	}
}

func sumOf(s string) string { x := content.Sum([]byte(s)).SHA256(); return fmt.Sprintf("%x", x[:]) }

// R-B2: queries ask only what a report tells, so that a machine and its seed cannot disagree.
func TestRB2QueriesBeyondTheInventoryAreRefused(t *testing.T) {
	for _, text := range []string{
		`{"file":{"path":"/etc/x"}}`, `{"not":{"registry":{"key":"HKLM\\a","name":"b"}}}`, `{"any":[{"arch":["amd64"]},{"command":{"args":["/bin/true"],"timeout_seconds":1,"exit":[0]}}]}`,
	} {
		m := Manifest{Org: "acme", Epoch: 1, IssuedAt: t0, Groups: []Group{{Name: "g", Query: query(t, text)}}}
		if _, err := m.Encode(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", text, err)
		}
	}
	for _, text := range []string{
		`{"machine":{}}`, `{"machine":{"names":["["]}}`, `{"machine":{"ids":[""]}}`, `{"machine":{"memory_mib":{}}}`, `{"machine":{"memory_mib":{"at_least":-1}}}`,
		`{"machine":{"names":["a"],"path":"/"}}`, `{"package":{"system":"brew","name":"x"}}`, `{"package":{"system":"windows","name":""}}`,
	} {
		if _, err := ParseCondition([]byte(text)); err == nil {
			t.Errorf("%s was taken", text)
		}
	}
	d := Descriptor{Update: "u", Revision: 1, Severity: "low", Installer: "file", FileName: "f", SHA256: sumOf("u"), Payload: content.Sum([]byte("u")), MapBytes: 1, PlainBytes: 1, StoredBytes: 1}
	for _, text := range []string{`{"machine":{"names":["a"]}}`, `{"package":{"system":"windows","name":"x; y"}}`} {
		d.Applicable = query(t, text)
		if _, err := d.Encode(); !errors.Is(err, ErrFormat) {
			t.Errorf("an update that asks %s: %v", text, err)
		}
	}
}

// R-G1: inventories come from machines: out of bounds, out of order or with terminal commands in them they are refused.
func TestRG1HostileInventoriesAreRefused(t *testing.T) {
	if err := bookworm().Check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Inventory){
		"an escape in a name":    func(v *Inventory) { v.Packages[0].Name = "a\x1b[31m" },
		"no name":                func(v *Inventory) { v.Packages[0].Name = "" },
		"a long version":         func(v *Inventory) { v.Packages[0].Version = strings.Repeat("1", 300) },
		"bytes that are no text": func(v *Inventory) { v.Kernel = "\xff" },
		"out of order":           func(v *Inventory) { slices.Reverse(v.Packages) },
		"double":                 func(v *Inventory) { v.Packages = append(v.Packages, v.Packages[len(v.Packages)-1]) },
		"negative memory":        func(v *Inventory) { v.MemoryBytes = -1 },
		"a disk beyond all":      func(v *Inventory) { v.DiskBytes = 1 << 62 },
		"too many packages":      func(v *Inventory) { v.Packages = make([]Package, MaxPackages+1) },
		"too many systems":       func(v *Inventory) { v.Systems = make([]PackageSystem, 9) },
		"a line break":           func(v *Inventory) { v.Serial = "a\nb" },
	} {
		v := bookworm()
		spoil(v)
		if v.Check() == nil {
			t.Errorf("%s was taken", name)
		}
	}
	v := &Inventory{Systems: []PackageSystem{{Name: SystemDeb}}}
	v.Keep([]Package{{SystemDeb, "b", "1", ""}, {SystemDeb, "a\x00", "1", ""}, {SystemDeb, "a", "2", ""}, {SystemDeb, "a", "2", ""}})
	if len(v.Packages) != 2 || !v.Truncated || v.Check() != nil {
		t.Errorf("kept %+v", v)
	}
	if _, err := v.Installed(SystemDeb, "zz"); err == nil {
		t.Error("a list that is not whole says that a package is missing")
	}
	if got, err := v.Installed(SystemDeb, "a"); err != nil || !slices.Equal(got, []string{"2"}) {
		t.Errorf("%v, %v", got, err)
	}
	if got, err := bookworm().Installed(SystemRPM, "bash"); err != nil || len(got) != 0 {
		t.Errorf("a machine without rpm: %v, %v", got, err)
	}
	if got, err := bookworm().Installed(SystemDeb, "libc6"); err != nil || len(got) != 2 {
		t.Errorf("two architectures: %v, %v", got, err)
	}
}

// R-B2: groups without a query mean what they always meant, whatever the inventory says.
func TestRB2EnrolledGroupsDoNotDependOnTheInventory(t *testing.T) {
	m := grouped(t, Manifest{Groups: []Group{{Name: "a"}, {Name: "b", Parent: "a"}}})
	for _, names := range [][]string{nil, {"a"}, {"b"}, {"a", "b"}, {"nonsense"}} {
		want := m.depths(names)
		for _, inv := range []*Inventory{nil, bookworm()} {
			b := m.belongs(Machine{Groups: names, Inventory: inv})
			if !maps.Equal(b.in, want) || len(b.doubt) != 0 {
				t.Errorf("%v: %v, %v", names, b.in, b.doubt)
			}
		}
	}
}

func FuzzGroupQuery(f *testing.F) {
	f.Add([]byte(`{"machine":{"names":["till-*"],"memory_mib":{"at_least":1}}}`), "till-3", int64(1<<30))
	f.Add([]byte(`{"not":{"package":{"system":"windows","name":"A B","version":{"below":"2"}}}}`), "", int64(0))
	f.Fuzz(func(t *testing.T, text []byte, name string, memory int64) {
		c, err := ParseCondition(text)
		if err != nil || c.CheckQuery() != nil {
			return
		}
		inv := bookworm()
		inv.MemoryBytes = memory
		m := &Manifest{Groups: []Group{{Name: "g", Query: c}}}
		a, b := m.Memberships(Machine{Name: name, Inventory: inv}), m.Memberships(Machine{Name: name, Inventory: inv})
		if !slices.Equal(a, b) {
			t.Fatalf("%v, then %v", a, b)
		}
		if nothing := m.belongs(Machine{Name: name}); len(nothing.in) > 2+1 {
			t.Fatal("more groups than there are")
		}
	})
}

// R-B16, R-B2: an approver is shown what a group will mean before signing, and the log makes it again to the byte.
func TestRB16ChangesOfGroupsAreShownAndReplayed(t *testing.T) {
	was := grouped(t, Manifest{Groups: []Group{{Name: "a"}, {Name: "b", Parent: "a"}, {Name: "gone"}}})
	is := grouped(t, Manifest{Groups: []Group{{Name: "a", SelfJoin: true}, {Name: "b", Parent: "a", Query: query(t, `{"machine":{"names":["db-*"]}}`)}, {Name: "new", Query: query(t, `{"arch":["arm64"]}`)}}})
	changes := was.decisions(nil).diff(is.decisions(nil))
	var shown []string
	for _, c := range changes {
		shown = append(shown, c.Text())
	}
	all := strings.Join(shown, "\n")
	for _, part := range []string{"~ group     a", "may join it by themselves", `{"machine":{"names":["db-*"]}}`, "+ group     new", `{"arch":["arm64"]}`, "- group     gone"} {
		if !strings.Contains(all, part) {
			t.Errorf("%q is not shown in\n%s", part, all)
		}
	}
	after, err := was.decisions(nil).apply(changes)
	if err != nil {
		t.Fatal(err)
	}
	m := after.manifest()
	m.Org, m.IssuedAt, m.Epoch = is.Org, is.IssuedAt, is.Epoch
	got, err := m.Encode()
	want, werr := is.Encode()
	if err != nil || werr != nil || string(normal(t, got)) != string(normal(t, want)) {
		t.Errorf("%s\nwant %s\n%v %v", got, want, err, werr)
	}
}

// normal reads a manifest and writes it anew, so that lists that are empty and lists that are not there look alike.
func normal(t *testing.T, b []byte) []byte {
	t.Helper()
	m, err := DecodeManifest(b)
	if err != nil {
		t.Fatal(err)
	}
	m.Approvals, m.Holds = append([]Approval{}, m.Approvals...), append([]Hold{}, m.Holds...)
	out, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Every machine works out every query at every look: their number is bounded.
func TestGroupsByQueryAreBounded(t *testing.T) {
	many := func(n int) error {
		m := Manifest{Org: "acme", IssuedAt: t0, Epoch: 1}
		for i := range n {
			m.Groups = append(m.Groups, Group{Name: fmt.Sprintf("g%05d", i), Query: query(t, `{"os":{"distribution":"debian"}}`)})
		}
		_, err := m.Encode()
		return err
	}
	if err := many(maxQueries); err != nil {
		t.Errorf("%d groups: %v", maxQueries, err)
	}
	if err := many(maxQueries + 1); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d groups: %v", maxQueries+1, err)
	}
}
