//go:build linux

package main_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/bench"
)

// stickBytes is how much real packages are carried at least.
const stickBytes = 100e6

// sticks: headquarters and two sites without any route between the three. Enrolment, approvals, packages,
// status and renewals travel in a folder that the test carries.
func sticks(t *testing.T, bin string) {
	if _, err := exec.LookPath("dpkg-deb"); err != nil {
		t.Skip("dpkg is not installed here")
	}
	north, south := newStickSites(t, bin)
	f := north.fleet
	work := t.TempDir()
	packages := realPackages(t, work)
	base := plainRoot(t, filepath.Join(work, "base"))
	for _, p := range packages {
		old := p.older(t)
		tool(t, "dpkg", "--root="+base, "--force-depends", "-i", old.path)
		if err := os.Remove(old.path); err != nil {
			t.Fatal(err)
		}
	}
	for _, s := range []*stickSite{north, south} {
		s.enrol(base)
	}
	for i, p := range packages {
		id := fmt.Sprintf("deb%d", i)
		f.mustRun("import", p.path, "--id", id, "--data", f.seed.data)
		f.mustRun("approve", id, "--group", group, "--data", f.seed.data)
	}
	for _, s := range []*stickSite{north, south} {
		s.carry(len(packages))
		for _, p := range packages {
			s.expectVersion(p)
		}
	}
	for _, s := range []*stickSite{north, south} {
		s.carryBack()
	}
}

// stickSite is a site and the folder that is carried between it and headquarters.
type stickSite struct {
	*fleet
	name, dir string
}

// newStickSites builds two networks that do not touch; the seed is in one of its own, of which the way out
// is cut.
func newStickSites(t *testing.T, bin string) (north, south *stickSite) {
	t.Helper()
	make := func(name string, machines int) *stickSite {
		lab, err := bench.NewLab(bench.LabConfig{Machines: machines, NoRoute: machines})
		if errors.Is(err, bench.ErrNoLab) {
			t.Skip(err)
		}
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := lab.Close(); err != nil {
				t.Error(err)
			}
		})
		if err := lab.CutWAN(); err != nil {
			t.Fatal(err)
		}
		dir, err := os.MkdirTemp("", "pm-e2e-")
		if err != nil {
			t.Fatal(err)
		}
		s := &stickSite{fleet: &fleet{t: t, bin: bin, dir: dir, lab: lab}, name: name, dir: filepath.Join(dir, "stick")}
		if err := os.Mkdir(s.dir, 0o755); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(s.cleanUp)
		return s
	}
	north, south = make("north", 5), make("south", 3)
	north.seed = north.newMachine(north.lab.Origin)
	north.mustRun("init", "--org", "E2E", "--insecure-no-passphrase", "--data", north.seed.data)
	north.seed.start()
	south.seed = north.seed
	return north, south
}

// enrol brings the machines into the mesh by the stick, and starts them.
func (s *stickSite) enrol(base string) {
	s.t.Helper()
	token := strings.TrimSpace(s.mustRun("invite", "--site", s.name, "--group", group, "--uses", fmt.Sprint(len(s.lab.Machines)), "--data", s.seed.data))
	token = strings.Fields(token)[0]
	join := func(m *machine) {
		s.mustRun("join", token, "--via", s.dir, "--name", s.name+"-"+m.name, "--data", m.data)
	}
	for _, h := range s.lab.Machines {
		m := s.newMachine(h)
		m.rootFrom(base)
		s.machines = append(s.machines, m)
		join(m)
	}
	s.mustRun("bundle", "import", s.dir, "--data", s.seed.data)
	for _, m := range s.machines {
		join(m)
		m.peers = []string{s.machines[0].host.Addr.String() + ":" + meshPort}
		m.start()
	}
}

// carry exports, imports on the first machine, and waits until all of the site have installed everything.
func (s *stickSite) carry(updates int) {
	s.t.Helper()
	began := time.Now()
	var out struct {
		Complete bool  `json:"complete"`
		Written  int64 `json:"written_bytes"`
	}
	s.read(&out, "bundle", "export", s.dir, "--site", s.name, "--data", s.seed.data)
	exported := time.Since(began)
	if !out.Complete || out.Written < stickBytes {
		s.t.Fatalf("export for %s: %+v, want %g bytes or more", s.name, out, stickBytes)
	}
	began = time.Now()
	var in struct {
		Complete  bool   `json:"complete"`
		Approvals string `json:"approvals"`
	}
	s.read(&in, "bundle", "import", s.dir, "--data", s.machines[0].data)
	imported := time.Since(began)
	if !in.Complete || in.Approvals != "newer" {
		s.t.Fatalf("import at %s: %+v", s.name, in)
	}
	s.eventually(3*time.Minute, "all machines of "+s.name+" have installed all packages", func() (bool, string) {
		done, told := 0, []string{}
		for _, m := range s.machines {
			installed := 0
			for _, u := range s.own(m).Updates {
				if u.State == "installed" {
					installed++
				} else {
					told = append(told, m.name+" "+u.Update+" "+u.State+" "+u.Reason+" "+u.Detail)
				}
			}
			if installed == updates {
				done++
			}
		}
		return done == len(s.machines), strings.Join(told, ", ")
	})
	s.t.Logf("%s: %d bytes exported in %.1f s and imported in %.1f s; %d machines have installed %d packages %.1f s after the import",
		s.name, out.Written, exported.Seconds(), imported.Seconds(), len(s.machines), updates, (time.Since(began) - imported).Seconds())
	for _, m := range s.machines {
		for _, u := range s.own(m).Updates {
			if u.Bytes.wan() > 0 {
				s.t.Errorf("%s says that %d bytes of %s crossed the WAN", m.name, u.Bytes.wan(), u.Update)
			}
		}
	}
}

// own is a machine's row of itself.
func (s *stickSite) own(m *machine) machineRow {
	s.t.Helper()
	var st fleetStatus
	s.read(&st, "status", "--data", m.data)
	if len(st.Machines) != 1 {
		s.t.Fatalf("%s tells of %d machines", m.name, len(st.Machines))
	}
	return st.Machines[0]
}

// read runs a command that prints JSON.
func (s *stickSite) read(facts any, args ...string) {
	s.t.Helper()
	out := s.mustRun(append(args, "--json")...)
	if err := json.Unmarshal([]byte(out), facts); err != nil {
		s.t.Fatalf("patchmesh %s: %v in\n%s", strings.Join(args, " "), err, out)
	}
}

// carryBack brings the way back home: the seed must tell of the site what the site tells of itself, field by
// field.
func (s *stickSite) carryBack() {
	s.t.Helper()
	var back struct {
		Reports, Renewals, Receipts int
		Missing                     []any
	}
	var ledger map[string]any
	s.eventually(2*time.Minute, "what moved at "+s.name+" is signed for by both sides", func() (bool, string) {
		before := s.ledger(s.machines[0].data) // what the export finds may be news here, and on the stick by a moment
		s.read(&back, "bundle", "export", s.dir, "--data", s.machines[0].data)
		ledger = s.ledger(s.machines[0].data)
		total := ledger["total"].(map[string]any)
		return reflect.DeepEqual(before, ledger) && total["unsettled_bytes"] == 0.0 && total["proven_bytes"].(float64) > 0, fmt.Sprint(total)
	})
	if n := len(s.machines); back.Reports != n || back.Renewals != n || len(back.Missing) > 0 {
		s.t.Fatalf("the way back from %s: %+v", s.name, back)
	}
	s.expectProven(ledger)
	own := map[string]map[string]any{}
	for _, m := range s.machines {
		for id, row := range s.rowsOf(m.data, "") {
			own[id] = row
		}
	}
	s.mustRun("bundle", "import", s.dir, "--data", s.seed.data)
	home := s.rowsOf(s.seed.data, s.name)
	if len(home) != len(own) {
		s.t.Fatalf("the seed tells of %d machines of %s, the site of %d", len(home), s.name, len(own))
	}
	fields := 0
	for id, row := range own {
		n, differences := compareRows("", row, home[id])
		fields += n
		for _, d := range differences {
			s.t.Errorf("%s of %s: %s", row["name"], s.name, d)
		}
	}
	n, differences := compareRows(".ledger", ledger, s.ledger(s.seed.data))
	fields += n
	for _, d := range differences {
		s.t.Errorf("%s: %s", s.name, d)
	}
	s.t.Logf("%s: %d receipts came home, %.0f bytes are proven", s.name, back.Receipts, ledger["total"].(map[string]any)["proven_bytes"])
	s.t.Logf("%s: the seed tells what the site does in %d fields of %d machines", s.name, fields, len(own))
}

// ledger is what receipts prove about the site, as plain JSON.
func (s *stickSite) ledger(data string) (l map[string]any) {
	s.t.Helper()
	s.read(&l, "report", "ledger", "--site", s.name, "--data", data)
	return l
}

// expectProven wants a ledger that balances and agrees with what the machines count themselves.
func (s *stickSite) expectProven(ledger map[string]any) {
	s.t.Helper()
	var near, media int64
	for _, m := range s.machines {
		for _, u := range s.own(m).Updates {
			near, media = near+u.Bytes.Subnet+u.Bytes.Site, media+u.Bytes.Media
		}
	}
	total := ledger["total"].(map[string]any)
	if ledger["balanced"] != true || total["given_bytes"] != total["got_bytes"] || total["saved_bytes"] != float64(near) || total["media_bytes"] != float64(media) || total["wan_bytes"] != 0.0 {
		s.t.Errorf("%s counts %d bytes from machines and %d from the stick; receipts say %v, mismatches %v", s.name, near, media, total, ledger["mismatches"])
	}
}

// rowsOf are the machines of a site in a status, as plain JSON; an empty site is all.
func (s *stickSite) rowsOf(data, site string) map[string]map[string]any {
	s.t.Helper()
	var st struct{ Machines []map[string]any }
	s.read(&st, "status", "--data", data)
	rows := map[string]map[string]any{}
	for _, m := range st.Machines {
		if site == "" || m["site"] == site {
			rows[fmt.Sprint(m["id"])] = m
		}
	}
	return rows
}

// whoLooks are the fields that say who is looking, and when: a seed has no session with a site like this, and
// only it knows as of when.
var whoLooks = []string{"online", "last_contact", "last_report"}

// compareRows counts the fields, and names those that differ.
func compareRows(path string, a, b any) (fields int, differences []string) {
	switch a := a.(type) {
	case map[string]any:
		other, _ := b.(map[string]any)
		keys := map[string]bool{}
		for k := range a {
			keys[k] = true
		}
		for k := range other {
			keys[k] = true
		}
		for k := range keys {
			if path == "" && slices.Contains(whoLooks, k) {
				continue
			}
			n, d := compareRows(path+"."+k, a[k], other[k])
			fields, differences = fields+n, append(differences, d...)
		}
		return fields, differences
	case []any:
		other, _ := b.([]any)
		if len(a) != len(other) {
			return 1, []string{fmt.Sprintf("%s: %d entries at the site, %d at home", path, len(a), len(other))}
		}
		for i := range a {
			n, d := compareRows(fmt.Sprintf("%s[%d]", path, i), a[i], other[i])
			fields, differences = fields+n, append(differences, d...)
		}
		return fields, differences
	}
	if !reflect.DeepEqual(a, b) {
		return 1, []string{fmt.Sprintf("%s: %v at the site, %v at home", path, a, b)}
	}
	return 1, nil
}

// realPackages are some of which the files together have stickBytes or more; what cannot be downloaded is
// made up for by one of random data.
func realPackages(t *testing.T, dir string) (all []deb) {
	t.Helper()
	var size int64
	for i, name := range goodPackages {
		into := filepath.Join(dir, fmt.Sprint(i))
		if err := os.MkdirAll(into, 0o755); err != nil {
			t.Fatal(err)
		}
		path, err := download(into, name)
		if err != nil {
			t.Logf("apt-get download %s: %v", name, err)
			continue
		}
		d := readDeb(t, path)
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		d.real = true
		size, all = size+info.Size(), append(all, d)
		t.Logf("real package %s %s, %d bytes", d.name, d.version, info.Size())
		if size >= stickBytes {
			return all
		}
	}
	t.Log("too few packages can be downloaded here: building one of random data besides")
	tree := filepath.Join(dir, "tree")
	if err := os.MkdirAll(filepath.Join(tree, "usr/share/e2e-data"), 0o755); err != nil {
		t.Fatal(err)
	}
	randomFile(t, filepath.Join(tree, "usr/share/e2e-data"), "data.bin", stickBytes-size+1<<20)
	writeControl(t, tree, "Package: e2e-data\nVersion: 2.0\nArchitecture: all\nMaintainer: Nobody <nobody@example.org>\nDescription: random data\n")
	return append(all, buildDeb(t, tree, filepath.Join(dir, "e2e-data_2.0_all.deb")))
}

// plainRoot is dpkg's own folders: enough for packages without scripts.
func plainRoot(t *testing.T, base string) string {
	t.Helper()
	for _, d := range []string{"info", "updates"} {
		if err := os.MkdirAll(filepath.Join(base, "var/lib/dpkg", d), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(base, "var/lib/dpkg/status"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	return base
}
