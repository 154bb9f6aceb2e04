package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"patchmesh/node/api"
	"patchmesh/swarm/wire"
)

// C-72: what a machine of a newer version reports in words that its seed does not know yet is taken, kept and shown as it is, and
// said to be so. Nothing of it vanishes or is taken for something else.
func TestC72StatesOfANewerVersionAreShown(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.file("u1", payload(1000))
	m.approve("u1")
	installed(t, "u1", a)
	until(t, "its own report", func() bool {
		row := m.fleetRow("a")
		return row.ReportVersion == api.ReportVersion && len(row.Updates) == 1
	})
	body := fmt.Sprintf(`{"id":%q,"name":"a","site":"main","groups":["office"],"online":true,"egress":true,"epoch":9,"report_version":%d,
		"from_the_future":{"list":[1,2]},"updates":[{"update":"u1","revision":1,"compliance":"half-there","state":"quarantined","reason":"host-quantum",
		"detail":"told by a later version","size_bytes":1000,"have_bytes":1000,"bytes":{"subnet":1000,"warp":7},"since":"2026-01-01T00:00:00Z","mood":"good"}]}`, a.id, api.ReportVersion+1)
	s := signedReport{Body: []byte(body), Sig: ed25519.Sign(a.key, append([]byte(reportDomain), body...))}
	form, err := json.Marshal(s)
	if err != nil {
		t.Fatal(err)
	}
	m.seed.reportArrived(a.id, wire.Report{Machine: a.id, Seq: laterSeq(), Body: form})
	row := m.fleetRow("a")
	if row.ReportVersion != api.ReportVersion+1 || len(row.Updates) != 1 {
		t.Fatalf("%+v", row)
	}
	if u := row.Updates[0]; u.State != "quarantined" || u.Reason != "host-quantum" || u.Compliance != "half-there" || u.Detail != "told by a later version" || u.Bytes.Subnet != 1000 {
		t.Errorf("%+v", u)
	}
	e, err := m.seed.Explain(ctx, "u1", "a")
	if err != nil || e.State != "quarantined" || e.Reason != "host-quantum" || !strings.Contains(e.NextStep, "update patchmesh here") || !strings.Contains(chainText(e), "told by a later version") {
		t.Errorf("%+v, %v", e, err)
	}
	for _, u := range []string{"", "policy-hold"} { // the words of a known state are explained as ever
		known := explanation{}
		known.State, known.Reason = "held", u
		if conclude(&known, true); strings.Contains(known.NextStep, "newer") {
			t.Errorf("%q: %s", u, known.NextStep)
		}
	}
}
