package node

import (
	"crypto/ed25519"
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/swarm/wire"
)

// A member that signs reports of machines that it has made up is found out, and the seed's books stay as they were.
func TestReportOfAMachineThatNobodyEnrolledIsNotKept(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	until(t, "it to report", func() bool { return !m.fleetRow("a").LastReport.IsZero() })
	id, sign := reporterOf(t)
	body, err := json.Marshal(api.Machine{ID: id, Updates: []api.Update{{Update: "u1", State: "installed", Bytes: api.Bytes{Site: 7}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := a.host.Send(m.seed.id, wire.Report{Machine: id, Seq: laterSeq(), Body: sign(body)}); err != nil {
		t.Fatal(err)
	}
	until(t, "the refusal", func() bool {
		return slices.ContainsFunc(m.seed.refused(), func(r api.Refusal) bool {
			return r.Peer == a.id && strings.Contains(r.Detail, "no such machine is enrolled")
		})
	})
	if b, err := m.seed.db.ReportOf(id); err != nil || len(b) > 0 {
		t.Errorf("the seed keeps %d bytes of it, %v", len(b), err)
	}
	day := dayOf(time.Now())
	if rows, err := m.seed.db.Traffic(day, day); err != nil || slices.ContainsFunc(rows, func(r state.TrafficRow) bool { return r.Machine == id }) {
		t.Errorf("its bytes are booked: %v, %v", rows, err)
	}
}

// However few bytes a packed report has, it waits for its turn to be opened.
func TestSmallPackedReportMayBeLarge(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	body := []byte(`{"updates":[` + strings.Repeat("{},", 100000) + "{}]}")
	bomb, err := reportForm(signedReport{Body: body, Sig: ed25519.Sign(key, append([]byte(reportDomain), body...))})
	if err != nil {
		t.Fatal(err)
	}
	if len(bomb) > packAbove || !maybeLarge(bomb) {
		t.Errorf("%d bytes that become 300,000 count as few", len(bomb))
	}
	if _, err := readReportForm(bomb); err != nil {
		t.Error(err)
	}
	if maybeLarge(nil) || maybeLarge([]byte(`{"body":"e30=","sig":"AA=="}`)) {
		t.Error("a small plain one waits")
	}
}

// What a report leaves out stays as it was told before, also where a medium brings it.
func TestWhatAReportOnAStickLeavesOutStays(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.bothInstalled(t)
	a.stop()
	cut := m.fleetRow("a")
	cut.Updates, cut.LeftOut, cut.LastReport = cut.Updates[1:], 1, time.Now().Add(time.Minute)
	if newer, _, err := m.seed.seed.takeReport(signedAs(t, a.key, cut)); err != nil || !newer {
		t.Fatal(newer, err)
	}
	if row := m.fleetRow("a"); len(row.Updates) != 2 || row.LeftOut != 1 {
		t.Errorf("%+v", row.Updates)
	}
}
