package node

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/wire"
)

// manyTasks is what a machine knows of that many updates; every hundredth has failed.
func manyTasks(many int, at time.Time) []swarm.TaskView {
	var out []swarm.TaskView
	for i := range many {
		k := swarm.TaskView{
			Verdict: policy.Verdict{Update: policy.UpdateID(fmt.Sprintf("package-%05d-1.%d", i, i%7)), Revision: 1, Compliance: policy.Compliance("present")},
			State:   policy.StateInstalled, Since: at.Add(-time.Duration(i) * 1777 * time.Microsecond),
		}
		if i%100 == 99 {
			k.State, k.Reason, k.Detail = policy.StateFailedInstall, policy.ReasonInstallerExit, fmt.Sprintf("the installer ended with code %d", i%13)
		}
		out = append(out, k)
	}
	return out
}

// sayMany has a machine report that many updates, as its loop would. The numbers of those reports are beyond what its
// loop gives its own meanwhile.
func (r *running) sayMany(t *testing.T, many int) {
	t.Helper()
	v := *r.view.Load()
	v.At = time.Now()
	v.Tasks = manyTasks(many, v.At)
	seq := laterSeq()
	if err := r.queueReport(seq, v); err != nil {
		t.Fatal(err)
	}
	r.events.send(swarm.ReportQueued{Machine: swarm.PeerID(r.id), Seq: seq})
}

func laterSeq() uint64 { return uint64(time.Now().Add(time.Hour).UnixMicro()) }

func (m *mesh) fleetRow(name string) api.Machine {
	m.t.Helper()
	f, err := m.seed.Status(context.Background(), api.StatusQuery{Machine: name})
	if err != nil {
		m.t.Fatal(err)
	}
	return f.Machines[0]
}

// A machine with thousands of updates is seen at the seed like any other, also where its report goes through another machine.
func TestMachineWithThousandsOfUpdatesReports(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	until(t, "both to report", func() bool { return !m.fleetRow("a").LastReport.IsZero() && !m.fleetRow("b").LastReport.IsZero() })
	for _, r := range []*running{a, b} {
		r.sayMany(t, 5000)
		until(t, "all updates to show at the seed", func() bool { return len(m.fleetRow(r.member.Name).Updates) == 5000 })
		row := m.fleetRow(r.member.Name)
		if u := row.Updates[4999]; row.LeftOut != 0 || u.State != "failed-install" || u.Reason != "installer-exit" || !strings.Contains(u.Detail, "code") {
			t.Errorf("%+v of a row with %d left out", u, row.LeftOut)
		}
	}
}

// What has no room even so is told in order of weight, said to be so everywhere, and what the seed knew before stays.
func TestReportLeavesOutWhatHasNotChanged(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	said := &tale{}
	a := m.machine("a", "", Config{Egress: EgressYes, Log: slog.New(slog.NewTextHandler(said, nil))})
	until(t, "it to report", func() bool { return !m.fleetRow("a").LastReport.IsZero() })
	a.sayMany(t, 40000)
	until(t, "the report", func() bool { return m.fleetRow("a").LeftOut > 0 })
	row, failed := m.fleetRow("a"), 0
	for _, u := range row.Updates {
		if u.State == "failed-install" {
			failed++
		}
	}
	if failed != 400 || len(row.Updates)+row.LeftOut != 40000 || len(row.Updates) < 4000 {
		t.Errorf("%d failed of 400, %d updates, %d left out", failed, len(row.Updates), row.LeftOut)
	}
	if u := row.Updates[0]; u.Update != "package-00000-1.0" {
		t.Errorf("what changed last is missing, %s comes first", u.Update)
	}
	said.mu.Lock()
	if !regexp.MustCompile("level=WARN.*no room for all updates").Match(said.text) {
		t.Errorf("the machine's log does not say so: %s", said.text)
	}
	said.mu.Unlock()
	if families, err := a.metrics.reg.Gather(); err != nil {
		t.Error(err)
	} else {
		for _, f := range families {
			if f.GetName() == "patchmesh_report_left_out_updates" && int(f.GetMetric()[0].GetGauge().GetValue()) != row.LeftOut {
				t.Errorf("the metric says %v, the report %d", f.GetMetric(), row.LeftOut)
			}
		}
	}
	a.sayMany(t, 10)
	until(t, "a report with room for all", func() bool { return m.fleetRow("a").LeftOut == 0 })
	if got := len(m.fleetRow("a").Updates); got != 10 {
		t.Errorf("%d updates of 10 after one that tells all", got)
	}
}

// bothInstalled makes a machine that has told of two updates that it has installed.
func (m *mesh) bothInstalled(t *testing.T) *running {
	t.Helper()
	a := m.machine("a", "", Config{Egress: EgressYes})
	for _, id := range []string{"u1", "u2"} {
		m.file(id, []byte(id))
		m.approve(id)
	}
	until(t, "both to be installed", func() bool {
		row := m.fleetRow("a")
		return len(row.Updates) == 2 && row.Updates[0].State == "installed" && row.Updates[1].State == "installed"
	})
	return a
}

// A seed shows what it knew before of what a report leaves out, while approvals name it.
func TestSeedKeepsWhatALaterReportLeavesOut(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.bothInstalled(t)
	told := m.fleetRow("a")
	cut := told
	cut.Updates, cut.LeftOut = told.Updates[1:], 1
	seq := laterSeq()
	if err := m.seed.seed.keepReport(wire.Report{Machine: a.id, Seq: seq}, &reportBody{Machine: cut}); err != nil {
		t.Fatal(err)
	}
	if row := m.fleetRow("a"); len(row.Updates) != 2 || row.LeftOut != 1 {
		t.Errorf("%+v", row.Updates)
	}
	cut.Updates = []api.Update{{Update: "u2", State: "installed"}}
	told.Updates = append(told.Updates, api.Update{Update: "nobody-approves-it", State: "installed"})
	for i, row := range []api.Machine{told, cut} {
		if err := m.seed.seed.keepReport(wire.Report{Machine: a.id, Seq: seq + uint64(i) + 1}, &reportBody{Machine: row}); err != nil {
			t.Fatal(err)
		}
	}
	if row := m.fleetRow("a"); len(row.Updates) != 2 {
		t.Errorf("%+v", row.Updates)
	}
}

// reportBomb is a packed report of a machine in bad hands: few bytes that would become many.
func reportBomb(key ed25519.PrivateKey, plain []byte, lie uint64) []byte {
	e, err := zstd.NewWriter(nil, zstd.WithWindowSize(1<<20))
	if err != nil {
		panic(err)
	}
	frame := e.EncodeAll(plain, nil)
	if lie > 0 { // the size that the frame tells, in the four bytes behind the magic, the descriptor and the window
		copy(frame[6:], []byte{byte(lie), byte(lie >> 8), byte(lie >> 16), byte(lie >> 24)})
	}
	return append(append([]byte{packedMark}, ed25519.Sign(key, append([]byte(reportDomain), plain...))...), frame...)
}

// A report that would unpack to too much is refused by whoever gets it first, and what was told before stays.
func TestReportThatUnpacksToTooMuchIsRefused(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	until(t, "it to report", func() bool { return !m.fleetRow("a").LastReport.IsZero() })
	a.sayMany(t, 1000)
	until(t, "its updates", func() bool { return len(m.fleetRow("a").Updates) == 1000 })
	head := `{"id":"` + a.id + `","updates":[`
	for name, body := range map[string][]byte{
		"more than a report": reportBomb(a.key, []byte(head+strings.Repeat(" ", 64<<20)+"]}"), 0),
		"a ratio":            reportBomb(a.key, []byte(head+strings.Repeat(" ", maxReportBody/2)+"]}"), 0),
		"a lie":              reportBomb(a.key, []byte(head+strings.Repeat(" ", 3<<20)+"]}"), 1<<17),
		"empty rows":         reportBomb(a.key, items(head, maxReportItems+1), 0),
		"depth":              reportBomb(a.key, []byte(head+strings.Repeat("[", 4<<10)+randomText(64<<10)), 0),
	} {
		count := func() (n int) {
			for _, r := range m.seed.refused() {
				n += r.Count
			}
			return n
		}
		was := count()
		if err := a.host.Send(m.seed.id, wire.Report{Machine: a.id, Seq: laterSeq(), Body: body}); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		until(t, name+" to be refused", func() bool { return count() > was })
		if len(m.fleetRow("a").Updates) != 1000 {
			t.Errorf("%s: the report before is lost", name)
		}
	}
	a.sayMany(t, 1001)
	until(t, "the next report", func() bool { return len(m.fleetRow("a").Updates) == 1001 })
}

// items is a body of many small rows that do not pack too well.
func items(head string, many int) []byte {
	var b bytes.Buffer
	b.WriteString(head)
	for i := range many {
		fmt.Fprintf(&b, `{"revision":%d},`, i*7919%100003)
	}
	b.WriteString("{}]}")
	return b.Bytes()
}

func randomText(n int) string {
	var b strings.Builder
	for i := 0; b.Len() < n; i++ {
		fmt.Fprintf(&b, "%x", i*2654435761)
	}
	return b.String()
}

// Both forms carry the same signature: a machine passes on what whoever is next can read.
func TestReportIsReadInBothForms(t *testing.T) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, size := range []int{100, packAbove + 1, 100 << 10, 300 << 10} {
		body := []byte(`{"detail":"` + randomText(size) + `"}`)
		s := signedReport{Body: body, Sig: ed25519.Sign(key, append([]byte(reportDomain), body...))}
		b, err := reportForm(s)
		if err != nil {
			t.Fatal(err)
		}
		if packed := b[0] == packedMark; packed != (size > packAbove) {
			t.Errorf("%d bytes: packed %v", size, packed)
		}
		old, readable := formFor(wire.VersionLinks, b)
		if want := size < 190<<10; readable != want {
			t.Errorf("%d bytes: an older version can read it: %v", size, readable)
		}
		for _, form := range [][]byte{b, old} {
			got, err := readReportForm(form)
			if err != nil || !bytes.Equal(got.Body, body) || !bytes.Equal(got.Sig, s.Sig) {
				t.Errorf("%d bytes: %v", size, err)
			}
		}
		if newer, ok := formFor(wire.VersionPacked, b); !ok || !bytes.Equal(newer, b) {
			t.Errorf("%d bytes: changed for a version that reads it", size)
		}
	}
}

// A large report of a version that does not pack counts as ever.
func TestOlderFormOfALargeReportIsRead(t *testing.T) {
	id, sign := reporterOf(t)
	row := api.Machine{ID: id}
	for i := range 400 {
		row.Updates = append(row.Updates, api.Update{Update: fmt.Sprintf("u%d", i), State: "installed"})
	}
	body, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	got, err := openReport(wire.Report{Machine: id, Body: sign(body)})
	if err != nil || len(got.Updates) != 400 {
		t.Fatal(err)
	}
}

func FuzzReportForm(f *testing.F) {
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Add([]byte(`{"body":"e30=","sig":"AA=="}`))
	f.Add(reportBomb(key, []byte(strings.Repeat(" ", 1<<20)), 0))
	f.Add(reportBomb(key, []byte(randomText(64<<10)), 1<<16))
	f.Add([]byte{packedMark})
	f.Fuzz(func(t *testing.T, b []byte) {
		s, err := readReportForm(b)
		if err != nil {
			return
		}
		if len(s.Body) > maxReportBody || len(s.Body) > content.MaxFrameRatio*len(b) {
			t.Fatalf("%d bytes became %d", len(b), len(s.Body))
		}
		if plain := plainForm(b, 1<<30); len(plain) > 0 && plain[0] != packedMark {
			if again, err := readReportForm(plain); err != nil || !bytes.Equal(again.Body, s.Body) || !bytes.Equal(again.Sig, s.Sig) {
				t.Fatalf("the plain form differs: %v", err)
			}
		}
		if err := checkItems(s.Body); err != nil && !errors.Is(err, policy.ErrFormat) && !errors.Is(err, policy.ErrTooLarge) {
			t.Fatal(err)
		}
	})
}
