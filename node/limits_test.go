package node

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/rate"
)

func TestParseLimit(t *testing.T) {
	for text, want := range map[string]rate.Rate{
		"wan.down=10Mbit": 1250e3, "lan.up=100Mbit/s": 12500e3, "site.down=512KiB": 512 << 10, "wan.down=off": 0, "wan.up=unlimited": rate.Unlimited,
		"wan.down=0": rate.Unlimited, "wan.down=off@Mon-Fri/08:00-18:00@Europe/Berlin": 0, "wan.down=2Mbit@08:00-18:00": 250e3,
	} {
		l, err := ParseLimit(text)
		if err != nil || l.Rate != want || (l.Window != nil) != strings.Contains(text, "@") {
			t.Errorf("%s: %+v, %v", text, l, err)
		}
	}
	for _, bad := range []string{
		"", "wan", "wan=1Mbit", "wan.down", "wan.sideways=1Mbit", "www.down=1Mbit", "wan.down=", "wan.down=fast", "wan.down=-1Mbit", "wan.down=1bit", "lan.down=off", "wan.up=off",
		"wan.down=50%", "lan.up=0%", "lan.up=101%", "lan.up=x%", "lan.up=5.5%", "wan.down=1Mbit@", "wan.down=1Mbit@Mon", "wan.down=1Mbit@08:00-18:00@Mars/Crater", "wan.down=9000Gbit",
	} {
		if l, err := ParseLimit(bad); err == nil {
			t.Errorf("%q is %+v", bad, l)
		}
	}
	if l, err := ParseLimit("lan.up=50%"); err == nil && l.Rate <= 0 {
		t.Errorf("half of the network is %d", l.Rate)
	}
}

func TestParseBudgetAndGates(t *testing.T) {
	b, err := ParseBudget([]string{"day=2GB", "month=20GB@Europe/Berlin"})
	if err != nil || b.DayBytes != 2e9 || b.MonthBytes != 20e9 || b.Zone.String() != "Europe/Berlin" {
		t.Errorf("%+v, %v", b, err)
	}
	for _, bad := range []string{"", "day", "day=", "day=0", "week=1GB", "day=-1", "day=1GB@Nowhere", "day=1GB@Local", "day=1GB@"} {
		if b, err := ParseBudget([]string{bad}); err == nil {
			t.Errorf("%q is %+v", bad, b)
		}
	}
	if _, err := ParseBudget([]string{"day=1GB@UTC", "month=2GB@Europe/Berlin"}); err == nil {
		t.Error("two zones")
	}
	g, err := ParseGates([]string{"battery=20", "cpu=80", "disk-queue=10", "free=1GiB", "link=metered", "other-traffic=1Mbit"}, "never", "full")
	if err != nil || *g != (Gates{20, 80, 10, 1 << 30, swarm.UseNothing, swarm.UseAll, true, LinkMetered, 125000, 1<<6 - 1}) {
		t.Errorf("%+v, %v", g, err)
	}
	for _, bad := range [][3]string{{"battery=101"}, {"cpu=-1"}, {"fan=1"}, {"cpu"}, {"free=lots"}, {"link=good"}, {"other-traffic=much"}, {"cpu=5", "sometimes"}, {"cpu=5", "", "maybe"}} {
		if g, err := ParseGates([]string{bad[0]}, bad[1], bad[2]); err == nil {
			t.Errorf("%q is %+v", bad, g)
		}
	}
}

func noise(seed byte, n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{seed}).Read(b)
	return b
}

// importFrom imports bytes as an update that is placed at /srv/<id>, and that lies at web hosts too.
func (m *mesh) importFrom(id string, body []byte, urls ...string) {
	m.t.Helper()
	_, err := m.seed.Import(context.Background(), api.ImportRequest{
		FileName: id, SizeBytes: int64(len(body)), ID: id, Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/" + id}, Origins: urls,
	}, bytes.NewReader(body))
	if err != nil {
		m.t.Fatal(err)
	}
}

// R-B12: the site stops where its budget ends and says so. Expediting alone changes nothing about that; what the
// approvers let pass it goes all the same. Neighbours know what was taken, and it survives a restart.
func TestRB12SiteStopsAtItsWANBudgetUnlessTheApprovalSaysSo(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	cfg := Config{Egress: EgressYes, Budget: rate.Budget{DayBytes: 1 << 20, Zone: time.UTC}}
	a := m.machine("a", "", cfg)
	b := m.machine("b", a.addr, Config{Egress: EgressNo, Budget: cfg.Budget})
	m.importFrom("big", noise(1, 3<<20))
	m.importFrom("small", noise(2, 600<<10))
	m.approve("big")
	stopped := func(r *running) bool {
		u := r.update(t, "big")
		return u.Reason == string(policy.ReasonWanBudgetSpent) && u.State == "waiting-content"
	}
	until(t, "the budget to be spent", func() bool { return stopped(a) })
	if u := a.update(t, "big"); u.Bytes.WAN() > 1<<20 || u.Bytes.WAN() < 1<<19 || u.Facts["budget_bytes"] != 1<<20 {
		t.Errorf("%d bytes were taken, facts %v", u.Bytes.WAN(), u.Facts)
	}
	if u := b.update(t, "big"); u.HaveBytes > 1<<20 {
		t.Errorf("b has %d bytes", u.HaveBytes)
	}
	until(t, "the neighbour to know", func() bool {
		i, err := b.Node.Node(context.Background())
		return err == nil && i.Traffic.Budget != nil && i.Traffic.Budget.DayBytes >= 1<<19
	})
	if _, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: "small", Group: "office", Expedite: true}); err != nil {
		t.Fatal(err)
	}
	until(t, "the expedited update to meet the budget", func() bool {
		u := a.update(t, "small")
		return u.Reason == string(policy.ReasonWanBudgetSpent)
	})
	if _, err := m.seed.Approve(context.Background(), api.ApproveRequest{Update: "small", Group: "office", Expedite: true, IgnoreBudget: true}); err != nil {
		t.Fatal(err)
	}
	until(t, "the update that may pass the budget", func() bool {
		return a.update(t, "small").State == "installed" && b.update(t, "small").State == "installed"
	})
	e, err := a.Explain(context.Background(), "big", "a")
	if err != nil || e.Reason != string(policy.ReasonWanBudgetSpent) || e.Owner != "admin" {
		t.Errorf("explain: %+v, %v", e, err)
	}
	for _, n := range []*running{a, m.seed, b} { // by its name, and not by its id
		until(t, "who took most to be told by name", func() bool {
			e, err := n.Explain(context.Background(), "big", map[bool]string{true: "b", false: "a"}[n == b])
			return err == nil && strings.Contains(chainText(e), "most was taken by a") && !strings.Contains(chainText(e), a.id)
		})
	}
	a.stop()
	a = m.run("a", cfg)
	until(t, "the budget to hold after a restart", func() bool { return stopped(a) })
	if u := a.update(t, "big"); u.Bytes.WAN() > 1<<20 {
		t.Errorf("after the restart %d bytes were taken", u.Bytes.WAN())
	}
}

// vendor is a web host that serves files by their names.
func vendor(t *testing.T, files map[string][]byte) (string, *atomic.Int64) {
	t.Helper()
	var asked atomic.Int64
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		asked.Add(1)
		b, ok := files[strings.TrimPrefix(q.URL.Path, "/")]
		if !ok {
			http.NotFound(w, q)
			return
		}
		w.Header().Set("ETag", `"1"`)
		http.ServeContent(w, q, "", time.Time{}, bytes.NewReader(b))
	}))
	t.Cleanup(s.Close)
	return s.URL + "/", &asked
}

// A machine takes the bytes from the vendor where it is told to, and from the seed where the vendor's host
// lies; the neighbour gets them from it, once over the WAN for the site.
func TestBytesComeFromTheVendor(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	good, bad := noise(3, 1200<<10), noise(4, 700<<10)
	lie := bytes.Clone(bad)
	lie[100] ^= 1
	url, _ := vendor(t, map[string][]byte{"good": good, "bad": lie})
	a := m.machine("a", "", Config{Egress: EgressYes, Origin: OriginFirst})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	m.importFrom("good", good, url+"missing", url+"good")
	m.importFrom("bad", bad, url+"bad")
	m.approve("good")
	m.approve("bad")
	for _, r := range []*running{a, b} {
		for id, body := range map[string][]byte{"good": good, "bad": bad} {
			until(t, id+" to be installed", func() bool { return r.update(t, id).State == "installed" })
			if got, err := os.ReadFile(filepath.Join(r.root, "srv", id)); err != nil || !bytes.Equal(got, body) {
				t.Errorf("%s: %d bytes, %v", id, len(got), err)
			}
		}
	}
	if u := a.update(t, "good"); u.Bytes.Origin != int64(len(good)) || u.Bytes.Seed != 0 {
		t.Errorf("good came from %+v", u.Bytes)
	}
	if u := a.update(t, "bad"); u.Bytes.Seed < int64(len(bad))-256<<10*2 || u.Bytes.Wasted == 0 {
		t.Errorf("bad came from %+v", u.Bytes)
	}
	if !a.refusedFor(t, policy.ReasonTrustBadChunk) {
		t.Error("nobody hears of the lying host")
	}
	if u := b.update(t, "good"); u.Bytes.WAN() != 0 {
		t.Errorf("the neighbour took %+v", u.Bytes)
	}
	info, err := a.Node.Node(context.Background())
	if err != nil || len(info.Traffic.Origin) != 1 || info.Traffic.Origin[0].Bytes < int64(len(good)) {
		t.Errorf("%+v, %v", info.Traffic, err)
	}
}

// The seed is gone, the approvals are there: the site gets its bytes from the vendor. Where web hosts are
// not to be asked, none is.
func TestVendorHelpsWhenTheSeedIsGone(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	body := noise(5, 900<<10)
	url, asked := vendor(t, map[string][]byte{"u": body})
	a := m.machine("a", "", Config{Egress: EgressYes, Budget: rate.Budget{DayBytes: 1, Zone: time.UTC}, BudgetStrict: true})
	m.importFrom("u", body, url+"u")
	m.approve("u")
	until(t, "the approval to be known", func() bool { return a.update(t, "u").Reason == string(policy.ReasonWanBudgetSpent) })
	a.stop()
	m.seed.stop()
	a = m.run("a", Config{Egress: EgressYes, Origin: OriginNever})
	until(t, "the machine to miss its seed", func() bool { return a.update(t, "u").State == "waiting-content" })
	if n := asked.Load(); n != 0 {
		t.Errorf("the web host was asked %d times by a machine that must not", n)
	}
	a.stop()
	a = m.run("a", Config{Egress: EgressYes})
	until(t, "the update to be installed", func() bool { return a.update(t, "u").State == "installed" })
	if u := a.update(t, "u"); u.Bytes.Origin != int64(len(body)) {
		t.Errorf("it came from %+v", u.Bytes)
	}
}

// A limit holds from end to end: 1 MiB at 2 Mbit/s takes more than three seconds, and it arrives.
func TestLimitSlowsTheWAN(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	l, err := ParseLimit("wan.down=2Mbit")
	if err != nil {
		t.Fatal(err)
	}
	a := m.machine("a", "", Config{Egress: EgressYes, Limits: rate.Limits{l}})
	m.importFrom("u", noise(6, 1<<20))
	began := time.Now()
	m.approve("u")
	until(t, "the update to be installed", func() bool { return a.update(t, "u").State == "installed" })
	if d := time.Since(began); d < 3*time.Second {
		t.Errorf("1 MiB in %v", d)
	}
	f, err := a.Status(context.Background(), api.StatusQuery{})
	if err != nil || f.Machines[0].Traffic == nil {
		t.Fatalf("status: %+v, %v", f, err)
	}
	if l := limitOf(f.Machines[0].Traffic.Limits, "wan", "down"); l == nil || l.BytesPerSec != 250000 || l.From != api.LimitFlag || l.NowBytesPerSec == 0 {
		t.Errorf("the seed is told of the limit and of what it does: %+v", f.Machines[0].Traffic)
	}
}

func TestImportRefusesURLsThatNobodyWouldFetchFrom(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	for _, u := range []string{"vendor.example/x", "ftp://vendor.example/x", "https://user:pw@vendor.example/x", "file:///etc/passwd", "https://vendor.example/x#y"} {
		_, err := m.seed.Import(context.Background(), api.ImportRequest{
			FileName: "x", SizeBytes: 1, ID: "x", Installer: "file", InstallerArgs: map[string]string{"dest": "/x"}, Origins: []string{u},
		}, strings.NewReader("x"))
		if api.ClassOf(err) != api.ClassUsage || strings.Contains(err.Error(), "pw") {
			t.Errorf("%s: %v", u, err)
		}
	}
}

// A machine on a metered link takes nothing over the WAN and says why. Where it may not use the link at all
// it serves nobody, and whoever could ask it knows the reason.
func TestGatesAreSeenByOthers(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	gates := func(use swarm.LinkUse) *Gates {
		g := DefaultGates()
		g.Link, g.Metered = LinkMetered, use
		return &g
	}
	b := m.machine("b", "", Config{Egress: EgressYes})
	m.importFrom("u", noise(7, 700<<10))
	m.approve("u")
	until(t, "the first machine to have it", func() bool { return b.update(t, "u").State == "installed" })
	b.stop()
	b = m.run("b", Config{Egress: EgressYes, Gates: gates(swarm.UseNothing)})
	a := m.machine("a", b.addr, Config{Egress: EgressYes, Gates: gates(swarm.UsePeersOnly)})
	until(t, "the reason", func() bool { return a.update(t, "u").Reason != "" })
	until(t, "b's gate to be seen at a", func() bool {
		i, err := a.Node.Node(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range i.Peers {
			if p.ID == b.id && p.Gated == string(policy.ReasonNetMetered) {
				return len(i.Traffic.Gates) == 1 && i.Traffic.Gates[0].What == "wan" && i.Traffic.Gates[0].Reason == string(policy.ReasonNetMetered)
			}
		}
		return false
	})
	if u := a.update(t, "u"); u.State == "installed" || u.Bytes.WAN() != 0 || u.HaveBytes != 0 {
		t.Errorf("the machine on the metered link has %+v", u)
	}
	until(t, "the seed to know a's gate", func() bool {
		f, err := m.seed.Status(context.Background(), api.StatusQuery{Machine: "a"})
		if err != nil {
			t.Fatal(err)
		}
		tr := f.Machines[0].Traffic
		return tr != nil && len(tr.Gates) == 1
	})
	e, err := m.seed.Explain(context.Background(), "u", "a")
	if err != nil || !strings.Contains(fmt.Sprint(e.Chain), "does not use the WAN: net-metered") {
		t.Errorf("explain: %+v, %v", e, err)
	}
}

// The budget of a site is stated once, at the seed, and signed; all its machines hear of it. To take it
// away is heard too.
func TestSiteBudgetIsStatedAtTheSeed(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	ctx := context.Background()
	if _, err := m.seed.Site(ctx, api.SiteRequest{Site: "main", WANBudget: []string{"fortnight=1MB"}}); api.ClassOf(err) != api.ClassUsage {
		t.Errorf("a budget of a fortnight: %v", err)
	}
	s, err := m.seed.Site(ctx, api.SiteRequest{Site: "main", WANBudget: []string{"day=300KiB@Europe/Berlin"}})
	if err != nil || len(s.WANBudget) != 1 || s.WANBudget[0] != "day=307200@Europe/Berlin" {
		t.Fatalf("%+v, %v", s, err)
	}
	if _, err := m.seed.Site(ctx, api.SiteRequest{Site: "main", Prefixes: []string{"127.0.0.0/8"}}); err != nil { // does not touch it
		t.Fatal(err)
	}
	limit := func() int64 { return a.view.Load().Budget.DayLimit }
	until(t, "the machine to hear of it", func() bool { return limit() == 300<<10 })
	m.importFrom("u", noise(8, 1<<20))
	m.approve("u")
	until(t, "the budget to be spent", func() bool { return a.update(t, "u").Reason == string(policy.ReasonWanBudgetSpent) })
	if _, err := m.seed.Site(ctx, api.SiteRequest{Site: "main", Clear: true}); err != nil {
		t.Fatal(err)
	}
	until(t, "the update without a budget", func() bool { return limit() == 0 && a.update(t, "u").State == "installed" })
}
