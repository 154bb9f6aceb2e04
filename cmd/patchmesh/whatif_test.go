package main

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/sim"
)

// plantFleet writes machines and their last reports into the stores of a seed that does not run.
func plantFleet(t *testing.T, seed string, machines []api.Machine) {
	t.Helper()
	db, err := state.Open(filepath.Join(seed, "state.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	now := time.Now()
	for i, m := range machines {
		row := state.MemberRow{ID: m.ID, Name: m.Name, Site: m.Site, Groups: m.Groups, Serial: uint64(i + 100), NotBefore: now.Add(-time.Hour), NotAfter: now.Add(24 * time.Hour), JoinedAt: now.Add(-time.Hour)}
		if err := db.PutMember(row); err != nil {
			t.Fatal(err)
		}
		for _, g := range m.Groups {
			if err := db.PutGroup(g, ""); err != nil {
				t.Fatal(err)
			}
		}
		at := m.LastReport
		body, err := json.Marshal(m)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := db.PutReport(m.ID, 1, at, body); err != nil {
			t.Fatal(err)
		}
	}
}

// plantedBranch is a site of machines in a group that reported just now; the first may use the line.
func plantedBranch(site, group string, n int, edit func(i int, m *api.Machine)) []api.Machine {
	var out []api.Machine
	for i := range n {
		m := api.Machine{
			ID: fmt.Sprintf("12D3KooW%s%d", site, i), Name: fmt.Sprintf("%s-%d", site, i), Site: site, Groups: []string{group}, Egress: i == 0,
			Updates: []api.Update{}, LastReport: time.Now().Add(time.Minute), // this machine may be slow
		}
		if edit != nil {
			edit(i, &m)
		}
		out = append(out, m)
	}
	return out
}

// treeSum hashes every file of a folder but the database's own, and what the database says of drafts.
func treeSum(t *testing.T, dir string) string {
	t.Helper()
	h := sha256.New()
	for _, sub := range []string{"keys", "trust", "payloads"} {
		err := filepath.WalkDir(filepath.Join(dir, sub), func(path string, d os.DirEntry, err error) error {
			if err != nil || d.IsDir() {
				return err
			}
			b, err := os.ReadFile(path)
			fmt.Fprintf(h, "%s %x\n", path, sha256.Sum256(b))
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return fmt.Sprintf("%x", h.Sum(nil))
}

// R-X13: before signing, the fleet as the seed knows it says who is changed, what each line carries and which
// site misses the deadline, and nothing is signed or changed by asking.
func TestWhatIfNamesTheSiteThatMissesTheDeadline(t *testing.T) {
	dir := t.TempDir()
	seed, file := filepath.Join(dir, "seed"), filepath.Join(dir, "u1.bin")
	ok := func(args ...string) string {
		t.Helper()
		code, out, errOut := call(append(args, "--data", seed)...)
		if code != 0 {
			t.Fatalf("%q: exit code %d: %s", args, code, errOut)
		}
		return out
	}
	ok("init", "--org", "acme", "--insecure-no-passphrase")
	body := make([]byte, 8<<20)
	for i, rng := 0, rand.New(rand.NewPCG(1, 2)); i < len(body); i++ { // nothing that zstd could make small
		body[i] = byte(rng.Uint32())
	}
	if err := os.WriteFile(file, body, 0o600); err != nil {
		t.Fatal(err)
	}
	ok("import", file, "--id", "u1", "--installer", "file", "--installer-arg", "dest=/srv/u1")
	begun := time.Now().Add(-time.Hour)
	plantFleet(t, seed, slices.Concat(
		plantedBranch("fat", "office", 4, func(i int, m *api.Machine) {
			if i == 0 { // what another update showed of the line: 50 MB in 10 s
				m.Updates = append(m.Updates, api.Update{Update: "u0", Revision: 1, Compliance: "installed", Sources: []api.Source{
					{Tier: api.TierSeed, Bytes: 50e6, Chunks: 200, FirstAt: begun, LastAt: begun.Add(10 * time.Second)},
				}})
			}
		}),
		plantedBranch("thin", "office", 5, nil),
		plantedBranch("shops", "kept", 3, nil),
		plantedBranch("ship", "office", 2, func(_ int, m *api.Machine) { m.LastReport = time.Now().Add(-72 * time.Hour) }),
		plantedBranch("full", "office", 2, func(i int, m *api.Machine) {
			if i == 1 {
				m.Updates = append(m.Updates, api.Update{Update: "u9", Revision: 1, Reason: "disk-short", Facts: map[string]int64{"needed_bytes": 9 << 30, "free_bytes": 4096}})
			}
		}),
	))
	ok("hold", "all", "--group", "kept", "--reason", "stocktaking")
	before := treeSum(t, seed)
	ask := []string{"approve", "u1", "--group", "all", "--deadline", "30s", "--what-if", "--line", "thin=2Mbit", "--line", "100Mbit"}
	text := ok(append(ask, "--json")...)
	var f sim.Forecast
	if err := json.Unmarshal([]byte(text), &f); err != nil {
		t.Fatal(err)
	}
	sites := map[string]sim.SiteForecast{}
	for _, s := range f.Sites {
		sites[s.Site] = s
	}
	if f.Machines != 16 || f.Affected != 13 || f.Held != 3 || f.Off != 2 || f.Done != 10 || len(sites) != 4 {
		t.Errorf("machines: %+v", f)
	}
	if _, counted := sites["shops"]; counted {
		t.Error("a group that is held is counted")
	}
	for _, name := range []string{"fat", "thin", "full"} {
		if got := sites[name].WANBytes; got != f.PayloadBytes || f.PayloadBytes == 0 {
			t.Errorf("%s fetches %d bytes over the WAN, the payload is %d", name, got, f.PayloadBytes)
		}
	}
	why := func(site string) (all string) {
		for _, m := range sites[site].Why {
			all += fmt.Sprintf("%d %s %s;", m.Machines, m.Reason, m.Text)
		}
		return all
	}
	for site, want := range map[string]string{"thin": "5 wan-thin the line of 2 Mbit/s needs 34s", "ship": "2 machines-off", "full": "1 disk-short", "fat": ""} {
		if got := why(site); !strings.HasPrefix(got, want) || want == "" && got != "" {
			t.Errorf("%s misses the deadline: %q, want %q", site, got, want)
		}
	}
	if rate := sites["fat"].WANRate; rate < 4.9e6 || rate > 5.0e6 {
		t.Errorf("the line of fat was measured: %f bytes/s", rate)
	}
	if all := strings.Join(f.Assumptions, "\n"); !strings.Contains(all, "as measured with u0") || !strings.Contains(all, "the seed's own line") {
		t.Errorf("taken for granted: %s", all)
	}
	if g := f.ZoneGuessed; g == nil || g.Machines != f.Affected || !slices.Equal(g.Sites, []string{"fat", "full", "ship", "thin"}) { // nobody has told a zone
		t.Errorf("whose time zone was guessed: %+v", g)
	}
	said := ok(ask...)
	for _, want := range []string{"13 of 16 are changed", "3 are held", "thin: 5 machines: wan-thin: the line of 2 Mbit/s needs 34s",
		"13 machine(s) have told no time zone (fat, full, ship, thin): their local times are read by the clock of the seed", "nothing was signed or changed"} {
		if !strings.Contains(said, want) {
			t.Errorf("%q is missing in:\n%s", want, said)
		}
	}
	if treeSum(t, seed) != before {
		t.Error("asking has changed the seed")
	}
	if code, _, errOut := call("sign", "--data", seed); code != 5 {
		t.Errorf("asking has left a draft: exit code %d %s", code, errOut)
	}
}

func TestWhatIfRefusesWhatCannotBe(t *testing.T) {
	seed := filepath.Join(t.TempDir(), "seed")
	if code, _, errOut := call("init", "--org", "acme", "--insecure-no-passphrase", "--data", seed); code != 0 {
		t.Fatal(errOut)
	}
	for name, c := range map[string]struct {
		code int
		args []string
	}{
		"unknown update":     {5, []string{"approve", "u1", "--group", "all", "--what-if"}},
		"a line for nothing": {2, []string{"approve", "u1", "--group", "all", "--line", "2Mbit"}},
		"no group":           {2, []string{"approve", "u1", "--what-if"}},
	} {
		if code, _, errOut := call(append(c.args, "--data", seed)...); code != c.code {
			t.Errorf("%s: exit code %d, want %d: %s", name, code, c.code, errOut)
		}
	}
}

// Rates are told as people name lines, whatever their size.
func TestLinesAreNamedInMbit(t *testing.T) {
	for bits, want := range map[float64]string{64e3: "0.064 Mbit/s", 2e6: "2 Mbit/s", 18.37e6: "18.4 Mbit/s", 1e9: "1000 Mbit/s", 40e9: "40000 Mbit/s"} {
		if got := mbit(bits / 8); got != want {
			t.Errorf("%g bits a second are told as %q, want %q", bits, got, want)
		}
	}
}
