package node

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// dpkgRoot gives a machine's root a package database.
func dpkgRoot(t *testing.T, root string, packages ...string) {
	t.Helper()
	var b strings.Builder
	for _, p := range packages {
		name, version, _ := strings.Cut(p, "=")
		fmt.Fprintf(&b, "Package: %s\nStatus: install ok installed\nArchitecture: amd64\nVersion: %s\nDescription: a package\n that is described\n\n", name, version)
	}
	for path, text := range map[string]string{"var/lib/dpkg/status": b.String(), "etc/os-release": "ID=debian\nVERSION_ID=\"12\"\n"} {
		path = filepath.Join(root, path)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func (m *mesh) inventory(name string) api.MachineInventory {
	m.t.Helper()
	v, err := m.seed.Inventory(context.Background(), api.InventoryQuery{Machine: name})
	if err != nil {
		m.t.Fatal(err)
	}
	return v.Machines[0]
}

func groupNames(all []policy.Membership) string {
	var out []string
	for _, g := range all {
		if g.Counts() {
			out = append(out, g.Group+":"+g.Source)
		}
	}
	return strings.Join(out, " ")
}

// R-G1, R-B2, R-B3: what is installed on a machine is known at the seed, changes travel as changes, and both agree about
// the machine's groups.
func TestRG1InventoryIsReportedAndBothSidesAgreeAboutGroups(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	dpkgRoot(t, filepath.Join(m.dir, "a-root"), "openssl=3.0.14-1", "bash=5.2-1")
	a := m.machine("a", "", Config{Egress: EgressYes})
	until(t, "the inventory to reach the seed", func() bool {
		v := m.inventory("a")
		return v.Inventory != nil && len(v.Inventory.Packages) == 2 && v.Inventory.Distribution == "debian"
	})
	q, err := ParseQuery([]byte(`{"package":{"system":"deb","name":"openssl","version":{"below":"3.0.15-1"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range []policy.Group{{Name: "old-openssl", Parent: "debian", Query: q}, {Name: "kiosks", SelfJoin: true}} {
		if g.Parent != "" {
			if _, err := m.seed.SetGroup(context.Background(), api.GroupRequest{Group: policy.Group{Name: g.Parent}}); err != nil {
				t.Fatal(err)
			}
		}
		if p, err := m.seed.SetGroup(context.Background(), api.GroupRequest{Group: g}); err != nil || !p.Published {
			t.Fatalf("%+v, %v", p, err)
		}
	}
	agree := func(what, want string) {
		t.Helper()
		until(t, what, func() bool {
			return groupNames(a.ownMemberships()) == want && groupNames(m.inventory("a").Groups) == want
		})
	}
	agree("both to see the old package", "all:all debian:nested old-openssl:query")
	for _, g := range []string{"kiosks", "debian"} {
		if _, err := a.Claim(context.Background(), api.ClaimRequest{Group: g}); err != nil {
			t.Fatal(err)
		}
	}
	agree("the claim to count", "all:all debian:nested kiosks:claimed old-openssl:query")
	until(t, "the other claim to be shown", func() bool {
		v, err := m.seed.Groups(context.Background(), api.GroupsQuery{})
		return err == nil && slices.ContainsFunc(v.Claims, func(c api.GroupClaim) bool {
			return c.Group == "debian" && c.Source == policy.MemberRefused
		})
	})
	base := a.stock.base.Name
	dpkgRoot(t, a.root, "openssl=3.0.15-1", "bash=5.2-1", "curl=8")
	if s, err := a.Scan(context.Background(), api.ScanRequest{}); err != nil || s.Packages != 3 {
		t.Fatalf("%+v, %v", s, err)
	}
	agree("both to see the new package", "all:all kiosks:claimed")
	if a.stock.base.Name != base {
		t.Error("three changes sent the whole list again")
	}
	if v := m.inventory("a"); len(v.Inventory.Packages) != 3 || v.Detail != "" {
		t.Errorf("%+v", v)
	}
	if _, err := m.seed.SetGroup(context.Background(), api.GroupRequest{Group: policy.Group{Name: "debian"}, Drop: true}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("a group with another in it was dropped: %v", err)
	}
}

// R-B2: an approval for a group by query reaches the machines that fit, and no other; the process that installs works the
// group out itself.
func TestRB2AnApprovalForAQueryReachesTheMachinesThatFit(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	dpkgRoot(t, filepath.Join(m.dir, "a-root"), "openssl=3.0.14-1")
	dpkgRoot(t, filepath.Join(m.dir, "b-root"), "openssl=3.0.15-1")
	a, b := m.machine("a", "", Config{Egress: EgressYes}), m.machine("b", "", Config{Egress: EgressYes})
	q, err := ParseQuery([]byte(`{"package":{"system":"deb","name":"openssl","version":{"below":"3.0.15-1"}}}`))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.seed.SetGroup(context.Background(), api.GroupRequest{Group: policy.Group{Name: "old", Query: q}}); err != nil {
		t.Fatal(err)
	}
	m.file("u1", payload(50_000))
	if p, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: "u1", Group: "old"}); err != nil || !p.Published {
		t.Fatalf("%+v, %v", p, err)
	}
	until(t, "the machine that fits to install", func() bool { return a.update(t, "u1").State == "installed" })
	epoch := a.believer.current().Epoch()
	until(t, "the other to hear of it", func() bool { return b.believer.current().Epoch() == epoch })
	if _, err := b.Scan(context.Background(), api.ScanRequest{}); err != nil {
		t.Fatal(err)
	}
	until(t, "the other to look for it, and no more", func() bool {
		u := b.update(t, "u1")
		return u.State == "offered" && u.Reason == string(policy.ReasonNotApproved) && u.Compliance == string(policy.Required)
	})
	if _, err := os.Stat(filepath.Join(b.root, "srv", "u1")); err == nil {
		t.Error("it was installed where the query does not fit")
	}
	if f, err := m.seed.Status(context.Background(), api.StatusQuery{Group: "old"}); err != nil || len(f.Machines) != 1 || f.Machines[0].Name != "a" {
		t.Errorf("machines of the group: %+v, %v", f, err)
	}
}

// R-G1, R-G7: nobody but the seed can read what travels, nobody else can speak for a machine, and what is damaged or
// beyond the limits is refused.
func TestRG1StockThatTravelsIsSealedSignedAndBounded(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	dpkgRoot(t, filepath.Join(m.dir, "a-root"), "secretpackage=1.0")
	a := m.machine("a", "", Config{Egress: EgressYes})
	until(t, "the inventory to reach the seed", func() bool { return m.inventory("a").Inventory != nil })
	report, err := a.ownReport()
	if err != nil {
		t.Fatal(err)
	}
	var signed signedReport
	if err := json.Unmarshal(report, &signed); err != nil || bytes.Contains(signed.Body, []byte("secretpackage")) {
		t.Errorf("the report can be read on the way: %v", err)
	}
	sealed, err := sealStock(a.member.Box, &stock{Facts: policy.Inventory{OS: "linux", At: time.Now(), Packages: []policy.Package{{System: "deb", Name: "forged", Version: "1"}}},
		Base: baseName([]policy.Package{{System: "deb", Name: "forged", Version: "1"}}), Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	letter, err := a.signLetter(sealed, 1)
	if err != nil {
		t.Fatal(err)
	}
	other := m.machine("b", "", Config{Egress: EgressYes})
	if _, err := openLetter(other.id+stockSuffix, letter); err == nil {
		t.Error("a letter of one machine was taken for another's")
	}
	if _, err := openReport(wire.Report{Machine: a.id, Body: letter}); err == nil {
		t.Error("a letter was taken for a report")
	}
	if _, err := openLetter(a.id+stockSuffix, report); err == nil {
		t.Error("a report was taken for a letter")
	}
	for name, s := range map[string]*stock{
		"a name that is no text":       {Facts: policy.Inventory{}, Base: strings.Repeat("0", 32), Added: []policy.Package{{System: "deb", Name: "\x1b[31m"}}},
		"another list than it names":   {Facts: policy.Inventory{Packages: []policy.Package{{System: "deb", Name: "x"}}}, Base: strings.Repeat("0", 32), Whole: true},
		"a claim that is no name":      {Base: strings.Repeat("0", 32), Claims: []string{"../x"}},
		"a hundred claims":             {Base: strings.Repeat("0", 32), Claims: slices.Repeat([]string{"g"}, 100)},
		"packages that are no changes": {Facts: policy.Inventory{Packages: []policy.Package{{System: "deb", Name: "x"}}}, Base: strings.Repeat("0", 32)},
		"no base":                      {},
	} {
		b, err := sealStock(a.member.Box, s)
		if err != nil {
			t.Fatal(err)
		}
		if err := m.seed.seed.keepLetter(&stockBody{ID: a.id, Sealed: b}); err == nil {
			t.Errorf("%s was kept", name)
		}
	}
	if err := m.seed.seed.keepLetter(&stockBody{ID: "12D3KooWStranger", Sealed: sealed}); err == nil {
		t.Error("the inventory of a stranger was kept")
	}
	if v := m.inventory("a"); len(v.Inventory.Packages) != 1 || v.Inventory.Packages[0].Name != "secretpackage" {
		t.Errorf("%+v", v.Inventory)
	}
}

// A letter that comes again when a newer one has come, after a power cut or by a stick, changes nothing: the newest report
// speaks of the newer list. A letter of a clock that was set back is newer all the same.
func TestAnOldInventoryThatComesAgainTakesNoPlace(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	until(t, "the inventory to reach the seed", func() bool { return m.inventory("a").Inventory != nil })
	a.stop()
	now := time.Now()
	letter := func(version string, at time.Time, seq uint64) []byte {
		t.Helper()
		p := []policy.Package{{System: "deb", Name: "openssl", Version: version}}
		sealed, err := sealStock(a.member.Box, &stock{Facts: policy.Inventory{OS: "linux", At: at, Packages: p}, Base: baseName(p), Whole: true})
		if err != nil {
			t.Fatal(err)
		}
		b, err := a.signLetter(sealed, seq)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	then, later := uint64(now.Add(time.Hour).UnixMilli()), uint64(now.Add(2*time.Hour).UnixMilli())
	for _, c := range []struct {
		what   string
		letter []byte
		want   string
	}{
		{"the first", letter("1", now.Add(time.Hour), then), "1"},
		{"a newer one", letter("2", now.Add(2*time.Hour), later), "2"},
		{"the first again", letter("1", now.Add(time.Hour), then), "2"},
		{"one of a program that numbers none", letter("1", now.Add(time.Hour), 0), "2"},
		{"the newer one again", letter("2", now.Add(2*time.Hour), later), "2"},
		{"a later one of such a program", letter("3", now.Add(3*time.Hour), 0), "3"},
	} {
		if err := m.seed.seed.takeInventory(c.letter); err != nil {
			t.Fatalf("%s: %v", c.what, err)
		}
		if v, _, detail := m.seed.seed.inventoryOf(a.id); detail != "" || len(v.Packages) != 1 || v.Packages[0].Version != c.want {
			t.Errorf("after %s: %+v, %s", c.what, v, detail)
		}
	}
	back := letter("4", now, later+uint64(2*time.Hour.Milliseconds()))
	if err := m.seed.seed.takeInventory(back); err != nil {
		t.Fatal(err)
	}
	var base stockBase
	if b, err := m.seed.seed.db.Value(stockBaseOf + a.id); err != nil || unpack(b, &base) != nil || base.Packages[0].Version != "4" {
		t.Errorf("a letter of a clock that was set back: %+v, %v", base, err)
	}
}

// R-G1: what is compressed never becomes larger than its limit.
func TestRG1APackedStockThatGrowsIsStopped(t *testing.T) {
	bomb, err := pack(strings.Repeat("a", 64<<20))
	if err != nil {
		t.Fatal(err)
	}
	var s string
	if err := unpack(bomb, &s); err == nil || len(s) > 0 {
		t.Errorf("%d bytes came out, %v", len(s), err)
	}
}

// R-G1: a list of packages is cut down until it can travel, and says so.
func TestRG1LongListsAreCutDownToWhatCanTravel(t *testing.T) {
	var all []policy.Package
	for i := range policy.MaxPackages {
		all = append(all, policy.Package{System: "deb", Name: fmt.Sprintf("%x-%d", baseName(all[max(0, len(all)-1):])[:20], i), Version: fmt.Sprintf("%d.%d", i*7919%1000, i)})
	}
	v := &policy.Inventory{}
	v.Keep(all)
	if err := fitting(v); err != nil || !v.Truncated || len(v.Packages) < 500 {
		t.Fatalf("%d packages, %v", len(v.Packages), err)
	}
	b, err := sealStock(bytes.Repeat([]byte{9}, 32), &stock{Facts: *v, Base: baseName(v.Packages), Whole: true})
	if err != nil || len(b) > sealedStockBytes+64 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestStockDifferencesMakeTheOtherList(t *testing.T) {
	p := func(names ...string) (out []policy.Package) {
		for _, n := range names {
			out = append(out, policy.Package{System: "deb", Name: n[:1], Version: n[1:]})
		}
		return out
	}
	for _, c := range [][2][]policy.Package{
		{nil, nil}, {nil, p("a1")}, {p("a1"), nil}, {p("a1", "b1"), p("a2", "b1")}, {p("a1", "c1"), p("b1")}, {p("a1", "b1", "c1"), p("a1", "b1", "c1")},
	} {
		added, removed := difference(c[0], c[1])
		got, err := (&stock{Base: baseName(c[0]), Added: added, Removed: removed}).on(c[0])
		if err != nil || !slices.Equal(got.Packages, c[1]) {
			t.Errorf("%v to %v: %+v, %v", c[0], c[1], got, err)
		}
	}
	if _, err := (&stock{Base: baseName(p("a1"))}).on(p("b1")); err == nil {
		t.Error("changes to one list were made to another")
	}
}

func FuzzStock(f *testing.F) {
	b, _ := pack(&stock{Facts: policy.Inventory{OS: "linux"}, Base: strings.Repeat("0", 32)})
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := readStock(b)
		if err != nil {
			return
		}
		if err := s.check(); err != nil {
			t.Fatal(err)
		}
		if v, err := s.on(nil); err == nil && v.Check() != nil {
			t.Fatal("an inventory out of bounds")
		}
	})
}

// R-G7: a machine without a way to the seed is on the admin's list with its true state: its reports and its inventory are
// signed, wait, and go through a neighbour, which can read neither.
func TestRG7ReportsAndInventoryGoThroughANeighbour(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	dpkgRoot(t, filepath.Join(m.dir, "b-root"), "openssl=3.0.14-1")
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	m.file("u1", payload(50_000))
	m.approve("u1")
	until(t, "the install", func() bool { return b.update(t, "u1").State == "installed" })
	until(t, "the seed to know it", func() bool {
		f, err := m.seed.Status(context.Background(), api.StatusQuery{Machine: "b"})
		return err == nil && len(f.Machines[0].Updates) == 1 && f.Machines[0].Updates[0].State == "installed" && f.Machines[0].LastScan.Year() > 2000
	})
	until(t, "the inventory to come through", func() bool {
		v := m.inventory("b")
		return v.Inventory != nil && v.Detail == "" && len(v.Inventory.Packages) == 1 && v.Inventory.Packages[0].Version == "3.0.14-1"
	})
	for _, p := range b.host.Peers() {
		if p.Seed {
			t.Error("it had a way of its own, so this test shows nothing")
		}
	}
}

// A report says of the inventory what the one before said, in the same words, until something has changed: packing,
// sealing and opening it again would cost more than all the rest of a report.
func TestAnInventoryIsSealedOncePerChange(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	dpkgRoot(t, filepath.Join(m.dir, "a-root"), "openssl=3.0.14-1")
	a := m.machine("a", "", Config{Egress: EgressYes})
	known := func() bool {
		now := content.Sum(a.reportedStock(false))
		return m.seed.seed.stocks.wasReported(a.id, now) && now == content.Sum(a.reportedStock(false))
	}
	until(t, "the seed to have what the machine says", known)
	before := a.reportedStock(false)
	if whole := a.reportedStock(true); bytes.Equal(whole, before) {
		t.Error("a report that travels alone has only the changes")
	}
	dpkgRoot(t, a.root, "openssl=3.0.15-1")
	if _, err := a.Scan(context.Background(), api.ScanRequest{}); err != nil {
		t.Fatal(err)
	}
	if bytes.Equal(a.reportedStock(false), before) {
		t.Error("a new package changed nothing of what is reported")
	}
	until(t, "the seed to have the change", func() bool {
		v := m.inventory("a").Inventory
		return known() && v != nil && len(v.Packages) == 1 && v.Packages[0].Version == "3.0.15-1"
	})
}
