package node

import (
	"crypto/ed25519"
	"encoding/json"
	"strings"
	"testing"

	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/swarm/wire"
)

// reporterOf is a machine that signs whatever it likes.
func reporterOf(t testing.TB) (id string, sign func(body []byte) []byte) {
	t.Helper()
	pub, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	if id, err = keys.PeerID(pub); err != nil {
		t.Fatal(err)
	}
	return id, func(body []byte) []byte {
		b, err := json.Marshal(signedReport{Body: body, Sig: ed25519.Sign(key, append([]byte(reportDomain), body...))})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
}

// unclean finds a text that would do something to a terminal, or look like another.
func unclean(t testing.TB, row *api.Machine) string {
	t.Helper()
	b, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	var all any
	if err := json.Unmarshal(b, &all); err != nil {
		t.Fatal(err)
	}
	var look func(any) string
	look = func(x any) string {
		switch x := x.(type) {
		case string:
			if api.Clean(x) != x {
				return x
			}
		case []any:
			for _, y := range x {
				if s := look(y); s != "" {
					return s
				}
			}
		case map[string]any:
			for k, y := range x {
				if s := look(k) + look(y); s != "" {
					return s
				}
			}
		}
		return ""
	}
	return look(all)
}

// A machine in bad hands reports for itself alone: no text of it writes into the rows of others, or gives orders
// to the terminal of whoever looks at them.
func TestReportsOfHostileMachinesAreFitToBeShown(t *testing.T) {
	id, sign := reporterOf(t)
	const evil = "x\n\x1b[1Atill-3  berlin  installed\x1b]52;c;cm0gLXJm\x07\u202e"
	row := api.Machine{
		ID: id, Name: evil, Site: evil, Groups: []string{evil}, Version: evil, Reason: evil, Detail: evil,
		Refused: []api.Refusal{{Peer: evil, Reason: evil, Detail: evil}},
		Updates: []api.Update{
			{Update: "u1", State: evil, Reason: evil, Compliance: evil, Title: evil, Hold: evil, Facts: map[string]int64{evil: 7}, Sources: []api.Source{{Peer: evil, Tier: evil}}},
			{Update: "u2\n" + evil, State: "installed"},
			{Update: "u1", State: "installed"}, // a second time
		},
		BaselineMissing: []string{evil},
	}
	body, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	got, err := openReport(wire.Report{Machine: id, Body: sign(body)})
	if err != nil {
		t.Fatal(err)
	}
	if s := unclean(t, &got.Machine); s != "" {
		t.Errorf("%q would be shown", s)
	}
	if len(got.Updates) != 1 || got.Updates[0].Update != "u1" {
		t.Errorf("updates %+v", got.Updates)
	}
	if !strings.Contains(got.Detail, "till-3") || len(got.Updates[0].Facts) != 1 {
		t.Errorf("what it said is lost: %+v", got)
	}
}

// What stands in a column of a table is a word: one of megabytes would make the rows of all machines as wide.
func TestWordsOfAReportAreNoTexts(t *testing.T) {
	id, sign := reporterOf(t)
	long := strings.Repeat("\u00e4", 1<<19)
	row := api.Machine{ID: id, Reason: long, Refused: []api.Refusal{{Reason: long}}, Updates: []api.Update{
		{Update: "u1", State: long, Reason: long, Compliance: long, Detail: "a sentence stays"}, {Update: "u2", State: "quarantined", Reason: "host-quantum"}}}
	body, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	got, err := openReport(wire.Report{Machine: id, Body: sign(body)})
	if err != nil {
		t.Fatal(err)
	}
	u := got.Updates[0]
	for _, w := range []string{got.Reason, got.Refused[0].Reason, u.State, u.Reason, u.Compliance} {
		if len(w) == 0 || len(w) > maxWord || !strings.HasPrefix(long, w) {
			t.Errorf("a word of %d bytes", len(w))
		}
	}
	if n := got.Updates[1]; u.Detail != "a sentence stays" || n.State != "quarantined" || n.Reason != "host-quantum" {
		t.Errorf("%q, %+v", u.Detail, n)
	}
}

func FuzzReport(f *testing.F) {
	id, sign := reporterOf(f)
	f.Add([]byte(`{"id":"` + id + `","updates":[{"update":"u1","state":"installed","facts":{"a":1},"sources":[{"tier":"seed"}]}],"refused":[{"detail":"\u001b[2J"}]}`))
	f.Add([]byte(`{"id":"` + id + `","traffic":{"limits":[{"class":"wan\n"}],"budget":{}}}`))
	f.Add([]byte(`{"id":"somebody"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		row, err := openReport(wire.Report{Machine: id, Body: sign(body)})
		if err != nil {
			return
		}
		if s := unclean(t, &row.Machine); s != "" || row.ID != id {
			t.Fatalf("%q would be shown of %q", s, body)
		}
		if _, err := openReport(wire.Report{Machine: id, Body: body}); err == nil {
			t.Fatalf("%q was taken without a signature", body)
		}
	})
}
