package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

func testRevocation(peer string) Revocation {
	return Revocation{Peer: peer, Serial: 7, At: t0, Until: t0.Add(24 * time.Hour), Reason: "stolen"}
}

func TestRevokedMachineIsFoundAndLetInAgain(t *testing.T) {
	r := &Roster{Org: "acme"}
	var err error
	for _, p := range []string{"m3", "m1", "m2", "m1"} {
		if r, err = r.Revoke(testRevocation(p)); err != nil {
			t.Fatal(err)
		}
	}
	if len(r.Revoked) != 3 {
		t.Fatalf("%d entries for three machines", len(r.Revoked))
	}
	for _, p := range []string{"m1", "m2", "m3"} {
		if v, ok := r.Revocation(p); !ok || v.Reason != "stolen" {
			t.Errorf("%s: %+v, %v", p, v, ok)
		}
	}
	if r.IsRevoked("m") || r.IsRevoked("m4") || r.IsRevoked("") {
		t.Error("a machine that nobody has revoked is locked out")
	}
	next, ok := r.Unrevoke("m2")
	if !ok || next.IsRevoked("m2") || !next.IsRevoked("m1") || !next.IsRevoked("m3") {
		t.Errorf("after letting m2 in again: %+v", next.Revoked)
	}
	if !r.IsRevoked("m2") {
		t.Error("the roster that others read has changed")
	}
	if _, ok := next.Unrevoke("m2"); ok {
		t.Error("undone twice")
	}
}

// A seed renews the roster for years: what has served its time must go by itself, and nothing else.
func TestRosterSheds(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	r := *m.trust.Roster()
	long := testRevocation("m-long")
	long.Until = t0.Add(300 * 24 * time.Hour)
	r.Revoked = []Revocation{long, testRevocation("m-short")}
	r.Gossip = []GossipEpoch{{ID: 1, UseAt: t0, EndAt: t0.Add(time.Hour)}, {ID: 2, UseAt: t0}}
	f, err := m.trust.Publish(nil, &r, m.keys.Online, t0)
	if err != nil {
		t.Fatal(err)
	}
	m.trust = m.open(f)
	if got := m.trust.Roster(); len(got.Revoked) != 2 || len(got.Gossip) != 2 {
		t.Fatalf("shed too early: %+v %+v", got.Revoked, got.Gossip)
	}
	later := t0.Add(25 * time.Hour)
	if f, err = m.trust.Publish(nil, m.trust.Roster(), m.keys.Online, later); err != nil {
		t.Fatal(err)
	}
	got, err := DecodeRoster(f.Roster)
	if err != nil || got.IsRevoked("m-short") || !got.IsRevoked("m-long") || len(got.Gossip) != 1 || got.Gossip[0].ID != 2 {
		t.Fatalf("%+v %+v, %v", got.Revoked, got.Gossip, err)
	}
	if len(m.trust.Roster().Revoked) != 2 {
		t.Error("the roster in force has changed under its readers")
	}
}

func TestRosterRefusesWhatCannotBeMeant(t *testing.T) {
	sum := content.Sum([]byte("key"))
	many := make([]Revocation, MaxRevocations+1)
	for i := range many {
		many[i] = testRevocation(fmt.Sprintf("m%06d", i))
	}
	for name, change := range map[string]func(*Roster){
		"no peer":              func(r *Roster) { r.Revoked = []Revocation{testRevocation("")} },
		"twice":                func(r *Roster) { r.Revoked = []Revocation{testRevocation("a"), testRevocation("a")} },
		"not in order":         func(r *Roster) { r.Revoked = []Revocation{testRevocation("b"), testRevocation("a")} },
		"too many":             func(r *Roster) { r.Revoked = many },
		"ends before it began": func(r *Roster) { v := testRevocation("a"); v.Until = v.At; r.Revoked = []Revocation{v} },
		"control characters":   func(r *Roster) { v := testRevocation("a"); v.Reason = "x\x1b[2J"; r.Revoked = []Revocation{v} },
		"long reason": func(r *Roster) {
			v := testRevocation("a")
			v.Reason = strings.Repeat("x", 101)
			r.Revoked = []Revocation{v}
		},
		"epoch zero":        func(r *Roster) { r.Gossip = []GossipEpoch{{UseAt: t0}} },
		"epochs backwards":  func(r *Roster) { r.Gossip = []GossipEpoch{{ID: 2, UseAt: t0, EndAt: t0}, {ID: 1, UseAt: t0}} },
		"two newest epochs": func(r *Roster) { r.Gossip = []GossipEpoch{{ID: 1, UseAt: t0}, {ID: 2, UseAt: t0}} },
		"newest epoch ends": func(r *Roster) { r.Gossip = []GossipEpoch{{ID: 1, UseAt: t0, EndAt: t0.Add(1)}} },
		"five epochs": func(r *Roster) {
			for i := range uint64(5) {
				r.Gossip = append(r.Gossip, GossipEpoch{ID: i + 1, UseAt: t0, EndAt: t0})
			}
			r.Gossip[4].EndAt = time.Time{}
		},
		"key without a sum": func(r *Roster) { r.Gossip = []GossipEpoch{{ID: 1, UseAt: t0, Keys: []GossipKeySum{{Site: "a"}}}} },
		"site named twice": func(r *Roster) {
			r.Gossip = []GossipEpoch{{ID: 1, UseAt: t0, Keys: []GossipKeySum{{"a", sum}, {"a", sum}}}}
		},
		"site without prefixes": func(r *Roster) { r.Sites = []SiteEntry{{Site: "a"}} },
		"sites not in order": func(r *Roster) {
			r.Sites = []SiteEntry{{Site: "b", Prefixes: []string{"10.0.0.0/8"}}, {Site: "a", Prefixes: []string{"10.0.0.0/8"}}}
		},
		"budget of nothing":              func(r *Roster) { r.Sites = []SiteEntry{{Site: "a", WAN: &SiteBudget{}}} },
		"negative budget":                func(r *Roster) { r.Sites = []SiteEntry{{Site: "a", WAN: &SiteBudget{DayBytes: -1, MonthBytes: 5}}} },
		"zone of two lines":              func(r *Roster) { r.Sites = []SiteEntry{{Site: "a", WAN: &SiteBudget{DayBytes: 1, Zone: "a\nb"}}} },
		"too long a budget of staleness": func(r *Roster) { r.Sites = []SiteEntry{{Site: "a", StaleDays: MaxStaleDays + 1}} },
		"less than no staleness":         func(r *Roster) { r.Sites = []SiteEntry{{Site: "a", StaleDays: -1}} },
		"long prefix":                    func(r *Roster) { r.Sites = []SiteEntry{{Site: "a", Prefixes: []string{strings.Repeat("1", 65)}}} },
	} {
		r := &Roster{Org: "acme"}
		change(r)
		if _, err := r.Encode(); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
	full := &Roster{Org: "acme", Revoked: many[:MaxRevocations]}
	if _, err := full.Revoke(testRevocation("z")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("one more than fits: %v", err)
	}
	if _, err := full.Encode(); err != nil {
		t.Errorf("a full list of usual entries does not fit a roster: %v", err)
	}
}

func TestSumOfAGossipKeyIsOfThatPlaceAlone(t *testing.T) {
	seen := map[content.ID]string{}
	for _, c := range []struct {
		org, site string
		epoch     uint64
		key       string
	}{{"acme", "main", 1, "k"}, {"acme", "main", 2, "k"}, {"acme", "mai", 1, "nk"}, {"acm", "emain", 1, "k"}, {"acme", "main", 1, "l"}} {
		s := SumGossipKey(c.org, c.site, c.epoch, []byte(c.key))
		if was, ok := seen[s]; ok {
			t.Errorf("%+v and %s share a sum", c, was)
		}
		seen[s] = fmt.Sprint(c)
	}
}

// FuzzRoster: whatever is taken encodes to the same bytes.
func FuzzRoster(f *testing.F) {
	good, err := (&Roster{
		Org: "acme", IssuedAt: t0, Revoked: []Revocation{testRevocation("m1")}, Sites: []SiteEntry{{Site: "main", Prefixes: []string{"10.0.0.0/8"}}},
		Gossip: []GossipEpoch{{ID: 1, UseAt: t0, Keys: []GossipKeySum{{"main", content.Sum([]byte("k"))}}}},
	}).Encode()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := DecodeRoster(b)
		if err != nil {
			return
		}
		again, err := r.Encode()
		if err != nil || string(again) != string(b) {
			t.Fatalf("%q encodes to %q, %v", b, again, err)
		}
	})
}
