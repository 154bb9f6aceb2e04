package node

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"testing"

	"patchmesh/node/api"
	"patchmesh/policy"
)

func testReach() *reach {
	return &reach{
		prefixes: []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16"), netip.MustParsePrefix("fd12:3456::/64"), netip.MustParsePrefix("100.64.0.0/10")},
		ports:    []uint16{meshPort, 7800},
		fixed:    map[netip.AddrPort]bool{netip.MustParseAddrPort("203.0.113.9:443"): true},
	}
}

func TestOnlyAddressesOfTheSiteAreDialled(t *testing.T) {
	r := testReach()
	for _, a := range []string{"10.1.2.3:7700", "10.1.255.254:7800", "[fd12:3456::7]:7700", "203.0.113.9:443", "100.64.0.1:7700"} {
		if _, err := r.check(a); err != nil {
			t.Errorf("%s: %v", a, err)
		}
	}
	for _, a := range hostileAddrs {
		if ap, err := r.check(a); err == nil {
			t.Errorf("%q may be dialled, as %s", a, ap)
		}
	}
	// Of a neighbour site only those who look for its machines may dial, under the same rules.
	r.beside = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
	if _, err := r.check("10.9.1.1:7700"); err == nil {
		t.Error("a hint for this site leads into another one")
	}
	if ap, err := r.checkBeside("10.9.1.1:7700"); err != nil || r.may(ap) != nil {
		t.Errorf("a machine of a neighbour site: %v", err)
	}
	for _, a := range append([]string{"10.1.2.3:7700", "10.9.1.1:22", "10.9.255.255:7700"}, hostileAddrs...) {
		if ap, err := r.checkBeside(a); err == nil {
			t.Errorf("%q may be dialled as a machine of a neighbour site, as %s", a, ap)
		}
	}
	demo := &reach{loopback: true, ports: []uint16{meshPort}}
	for a, want := range map[string]bool{
		"127.0.0.1:40000": true, "127.9.9.9:7700": true, "[::1]:7700": true,
		"127.0.0.1:22": false, "127.0.0.1:0": false, "10.1.2.3:7700": false, "[::ffff:127.0.0.1]:7700": false,
	} {
		if _, err := demo.check(a); (err == nil) != want {
			t.Errorf("a machine on loopback and %s: %v", a, err)
		}
	}
}

// hostileAddrs are one of each kind.
var hostileAddrs = []string{
	"", ":7700", "10.1.2.3", "10.1.2.3:", "10.1.2.3:0", "10.1.2.3:22", "10.1.2.3:6379", "10.1.2.3:7701", "10.1.2.3:07700", "10.1.2.3:77000", "10.1.2.3:-1",
	"10.01.2.3:7700", "010.1.2.3:7700", "0x0a010203:7700", "167838211:7700", "10.1.515:7700", "10.1.2.3 :7700", "10.1.2.3:7700/x",
	"10.1.0.0:7700", "10.1.255.255:7700", "10.2.0.1:7700", "10.0.255.255:7700", "8.8.8.8:7700", "203.0.113.9:7700", "203.0.113.8:443",
	"127.0.0.1:7700", "127.1.1.1:7700", "[::1]:7700", "0.0.0.0:7700", "[::]:7700", "0.1.2.3:7700", "255.255.255.255:7700", "240.0.0.1:7700",
	"169.254.169.254:80", "169.254.169.254:7700", "169.254.1.1:7700", "[fe80::1]:7700", "[fe80::1%eth0]:7700", "[fd12:3456::7%eth0]:7700",
	"100.100.100.200:7700", "168.63.129.16:7700", "192.0.0.192:7700", "[fd00:ec2::254]:7700", "[fd20:ce::254]:7700",
	"224.0.0.251:7700", "239.1.1.1:7700", "[ff02::1]:7700", "[ff05::2]:7700",
	"[::ffff:10.1.2.3]:7700", "[::ffff:127.0.0.1]:7700", "[::10.1.2.3]:7700", "[64:ff9b::10.1.2.3]:7700", "[2002:a01:203::1]:7700", "[2001:0:a01:203::1]:7700",
	"[fd12:3456:0:1::7]:7700", "[fd12:3456::7]:22", "[FD12:3456::7]:7700", "[fd12:3456:0:0:0:0:0:7]:7700", "fd12:3456::7:7700",
	"localhost:7700", "metadata.google.internal:80", "seed.example.org:7700", "10.1.2.3.nip.io:7700", "[10.1.2.3]:7700", "10.1.2.3:https", "/ip4/10.1.2.3/tcp/7700", "http://10.1.2.3:7700",
	"10.1.2.3:7700\x00", "10.1.2.3:7700\n", "１０.1.2.3:7700",
}

// hostileSet is what one liar might name in one breath: known tricks, and random bytes dressed as
// addresses. None lies inside the site.
func hostileSet(rng *rand.Rand) []string {
	set := make([]string, 0, 16)
	for range 8 {
		set = append(set, hostileAddrs[rng.IntN(len(hostileAddrs))])
	}
	outside4 := []string{"127.", "169.254.", "0.", "224.", "10.2.", "172.16.", "192.168.", "8.", "255."}
	for range 4 {
		a := outside4[rng.IntN(len(outside4))]
		for n := 4 - countDots(a); n > 1; n-- {
			a += fmt.Sprint(rng.IntN(256), ".")
		}
		set = append(set, fmt.Sprintf("%s%d:%d", a, rng.IntN(256), rng.IntN(65536)))
	}
	for range 2 {
		set = append(set, fmt.Sprintf("10.1.%d.%d:%d", rng.IntN(256), rng.IntN(256), 1+rng.IntN(7699))) // a service inside
		set = append(set, fmt.Sprintf("[%x::%x]:7700", 0xfe00|rng.IntN(0x200), rng.IntN(65536)))        // local and multicast
	}
	return set
}

func countDots(s string) (n int) {
	for _, c := range s {
		if c == '.' {
			n++
		}
	}
	return n
}

// S-ADDR: 300 hostile sets, by every way an address comes in. What the connector keeps is what is
// dialled; what the transport and gossip are told goes through mayDial.
func TestThreeHundredHostileAddressSetsAreNotDialled(t *testing.T) {
	n := &Node{id: "me", log: slog.New(slog.DiscardHandler), believer: &believer{trust: &policy.Trust{}}, ctx: context.Background()}
	n.reach.Store(testReach())
	n.connector = newConnector(n)
	sets, addrs := 300, 0
	for seed := range sets {
		rng := rand.New(rand.NewPCG(uint64(seed), 13))
		for _, a := range hostileSet(rng) {
			addrs++
			n.connector.add(fmt.Sprintf("peer-%d", rng.IntN(5)), a, false)
			if ap, err := netip.ParseAddrPort(a); err == nil && n.mayDial(ap) == nil && ap.String() == a {
				t.Errorf("set %d: %q would be dialled", seed, a)
			}
		}
	}
	if len(n.connector.cands) != 0 {
		t.Fatalf("%d of %d hostile addresses wait to be dialled, the first is %+v", len(n.connector.cands), addrs, *n.connector.cands[0])
	}
	n.connector.add("peer-1", "10.1.2.3:7700", false)
	if len(n.connector.cands) != 1 {
		t.Fatal("an address of the site is not dialled either")
	}
	t.Logf("%d sets, %d addresses, 0 kept", sets, addrs)
}

func TestSitePrefixesAreNarrow(t *testing.T) {
	for s, want := range map[string]bool{
		"10.1.0.0/16": true, "10.0.0.0/8": true, "fd12::/48": true, "192.168.7.9/32": true,
		"0.0.0.0/0": false, "::/0": false, "10.0.0.0/7": false, "10.1.2.3/16": false, "10.1.0.0": false, "site": false, "::ffff:10.0.0.0/104": false, "2000::/3": false,
	} {
		if _, err := parseSitePrefix(s); (err == nil) != want {
			t.Errorf("%s: %v", s, err)
		}
	}
}

// What a seed states of a site reaches its machines, and widens where they look, not which ports.
func TestStatedPrefixesReachTheSite(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	site := func(r api.SiteRequest) (*api.Site, error) { return m.seed.Site(context.Background(), r) }
	if _, err := a.reach.Load().check("10.77.0.9:7700"); err == nil {
		t.Fatal("allowed before it was stated")
	}
	if v, err := site(api.SiteRequest{Site: "main", Prefixes: []string{"10.77.0.0/16"}}); err != nil || len(v.Prefixes) != 1 {
		t.Fatal(v, err)
	}
	until(t, "the prefix to arrive", func() bool { _, err := a.reach.Load().check("10.77.0.9:7700"); return err == nil })
	for _, addr := range []string{"10.77.0.9:22", "10.78.0.9:7700", "169.254.169.254:7700"} {
		if _, err := a.reach.Load().check(addr); err == nil {
			t.Errorf("%s is allowed", addr)
		}
	}
	if v, err := site(api.SiteRequest{Site: "main"}); err != nil || len(v.Prefixes) != 1 {
		t.Error(v, err)
	}
	for _, r := range []api.SiteRequest{{Site: "main", Prefixes: []string{"0.0.0.0/0"}}, {Site: "a b", Prefixes: []string{"10.0.0.0/8"}}, {Site: "main", Prefixes: make([]string, 33)}} {
		if _, err := site(r); api.ClassOf(err) != api.ClassUsage {
			t.Errorf("%+v: %v", r, err)
		}
	}
	if v, err := site(api.SiteRequest{Site: "main", Clear: true}); err != nil || len(v.Prefixes) != 0 {
		t.Error(v, err)
	}
	until(t, "the prefix to go", func() bool { _, err := a.reach.Load().check("10.77.0.9:7700"); return err != nil })
}

// FuzzReach: whatever passes is inside the site, on a mesh port and in its one form.
func FuzzReach(f *testing.F) {
	for _, a := range hostileAddrs {
		f.Add(a)
	}
	f.Add("10.1.2.3:7700")
	r := testReach()
	f.Fuzz(func(t *testing.T, s string) {
		ap, err := r.check(s)
		if err != nil || r.fixed[ap] {
			return
		}
		ip := ap.Addr()
		inside := false
		for _, p := range r.prefixes {
			inside = inside || p.Contains(ip)
		}
		if !inside || ap.Port() != meshPort && ap.Port() != 7800 || ip.IsLoopback() || ip.IsMulticast() || ip.IsLinkLocalUnicast() || ap.String() != s {
			t.Fatalf("%q passes", s)
		}
	})
}
