package node

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"patchmesh/node/api"
	"patchmesh/policy"
)

func TestSourcesAreReadOrRefusedWithAReason(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		cfg        Config
		want, fail string
	}{
		{cfg: Config{}, want: "wired,subnet,site,neighbour,seed,origin"},
		{cfg: Config{Origin: OriginFirst}, want: "wired,subnet,site,origin,neighbour,seed"},
		{cfg: Config{Origin: OriginNever}, want: "wired,subnet,site,neighbour,seed"},
		{cfg: Config{PeersOnly: true}, want: "wired,subnet,site"},
		{cfg: Config{PeersOnly: true, Origin: OriginFirst}, want: "wired,subnet,site"},
		{cfg: Config{Sources: "cache, subnet,origin,seed"}, want: "cache,subnet,origin,seed"},
		{cfg: Config{Sources: "cache,seed", PeersOnly: true}, want: "cache"},
		{cfg: Config{Sources: "seed,subnet"}, fail: "cannot come after seed"},
		{cfg: Config{Sources: "site,cache"}, fail: "cannot come after site"},
		{cfg: Config{Sources: "seed,seed"}, fail: "named twice"},
		{cfg: Config{Sources: "tracker\x1b[2J"}, fail: "not known"},
		{cfg: Config{Sources: "site,"}, fail: "not known"},
		{cfg: Config{Sources: "site,seed", Origin: OriginNever}, fail: "leave origin out"},
	} {
		got, err := x.cfg.sources()
		if x.fail == "" && (err != nil || got.String() != x.want) {
			t.Errorf("%+v: %s, %v", x.cfg, got, err)
		}
		if x.fail != "" && (err == nil || !strings.Contains(err.Error(), x.fail) || strings.Contains(err.Error(), "\x1b")) {
			t.Errorf("%+v: %s, %v", x.cfg, got, err)
		}
	}
	_, err := Open(Config{DataDir: t.TempDir(), Sources: "tracker"})
	if api.ClassOf(err) != api.ClassUsage || !strings.Contains(err.Error(), "tracker") {
		t.Errorf("a node with unknown sources: %v", err)
	}
}

// A machine that is to take bytes from its site alone sees a seed and a web host and asks neither, says so everywhere,
// and takes all from the first neighbour that has it.
func TestPeersOnlyTakesNothingFromBeyondTheSite(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	body := noise(21, 900<<10)
	url, asked := vendor(t, map[string][]byte{"u": body})
	a := m.machine("a", "", Config{Egress: EgressYes, PeersOnly: true})
	m.importFrom("u", body, url+"u")
	m.approve("u")
	until(t, "the reason", func() bool { return a.update(t, "u").Reason == string(policy.ReasonNetPeersOnly) })
	info, err := a.Node.Node(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	if g := info.Traffic.Gates; len(g) != 1 || g[0].What != "wan" || g[0].Detail != "its sources are wired,subnet,site" || fmt.Sprint(info.Traffic.Sources) != "[wired subnet site]" {
		t.Errorf("it shows %+v", info.Traffic)
	}
	until(t, "the seed to hear of it", func() bool {
		e, err := m.seed.Explain(context.Background(), "u", "a")
		return err == nil && strings.Contains(fmt.Sprint(e.Chain), "does not use the WAN: net-peers-only")
	})
	if u := a.update(t, "u"); u.HaveBytes != 0 || asked.Load() != 0 {
		t.Errorf("it took %+v, and asked the web host %d times", u, asked.Load())
	}
	b := m.machine("b", a.addr, Config{Egress: EgressYes})
	for _, r := range []*running{a, b} {
		until(t, "the update to be installed", func() bool { return r.update(t, "u").State == "installed" })
	}
	if u := a.update(t, "u"); u.Bytes.WAN() != 0 || u.Bytes.Subnet+u.Bytes.Site != int64(len(body)) {
		t.Errorf("it came from %+v", u.Bytes)
	}
}
