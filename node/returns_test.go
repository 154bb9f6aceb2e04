package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/keys"
)

// signedAs is a report of a machine as somebody with its key would make it.
func signedAs(t *testing.T, key ed25519.PrivateKey, row api.Machine) []byte {
	t.Helper()
	body, err := json.Marshal(row)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(signedReport{Body: body, Sig: ed25519.Sign(key, append([]byte(reportDomain), body...))})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestOnlyReportsThatHoldComeBackAndNoneGoesBackInTime(t *testing.T) {
	s := newSite(t)
	at := time.Now().Add(-time.Hour).UTC().Truncate(time.Millisecond)
	row := api.Machine{ID: s.id, Name: "a", Epoch: 7, LastReport: at, Updates: []api.Update{}}
	pub, stranger, err := ed25519.GenerateKey(nil)
	nobody, perr := keys.PeerID(pub)
	if err = errors.Join(err, perr); err != nil {
		t.Fatal(err)
	}
	take := func(b []byte) *api.TakenReturn {
		t.Helper()
		r, err := s.seed.TakeReturn(context.Background(), api.Return{Machine: s.id, Reports: [][]byte{b}})
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	good := signedAs(t, s.key, row)
	for name, b := range map[string][]byte{
		"another key":      signedAs(t, stranger, row),
		"another machine":  signedAs(t, s.key, api.Machine{ID: s.seed.id, LastReport: at}),
		"not one of ours":  signedAs(t, stranger, api.Machine{ID: nobody, LastReport: at}),
		"changed":          append([]byte(`{"x":1,`), good[1:len(good)-10]...),
		"nothing":          nil,
		"not even a list":  []byte("7"),
		"a have-list":      mustHave(t, s),
		"without a number": []byte(`{"body":"e30=","sig":""}`),
	} {
		if r := take(b); r.Refused != 1 || r.Newer != 0 || r.Detail == "" {
			t.Errorf("%s: %+v", name, r)
		}
	}
	if r := take(good); r.Newer != 1 || !r.AsOf.Equal(at) {
		t.Fatalf("a good report: %+v", r)
	}
	got := s.seed.row(t, s.id)
	if got.Epoch != 7 || !got.LastReport.Equal(at) {
		t.Errorf("the seed shows epoch %d as of %s, want 7 as of %s", got.Epoch, got.LastReport, at)
	}
	if r := take(good); r.Older != 1 || r.Newer != 0 {
		t.Errorf("the same again: %+v", r)
	}
	row.LastReport, row.Epoch = at.Add(-time.Minute), 3
	if r := take(signedAs(t, s.key, row)); r.Older != 1 || s.seed.row(t, s.id).Epoch != 7 {
		t.Errorf("an older report: %+v", r)
	}
	row.LastReport, row.Epoch = at.Add(time.Minute), 8
	if r := take(signedAs(t, s.key, row)); r.Newer != 1 || s.seed.row(t, s.id).Epoch != 8 {
		t.Errorf("a newer report: %+v", r)
	}
}

func mustHave(t *testing.T, s *site) []byte {
	t.Helper()
	b, err := s.carrier().signedHave()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// A machine that is fed while it does not run installs when it starts, and says where the bytes came from.
func TestAStoppedMachineIsFedAndCountsItWhenItStarts(t *testing.T) {
	s := newSite(t)
	body := static(2 << 20)
	s.update("u1", body)
	s.export(ExportRequest{Dir: s.stick, Site: "north"})
	if i, err := s.take(s.stick); err != nil || !i.Complete {
		t.Fatalf("%+v, %v", i, err)
	}
	s.folder.close()
	a := s.run("a", Config{Egress: EgressNo})
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	until(t, "its bytes to be counted", func() bool { return a.update(t, "u1").Bytes.Media == int64(len(body)) })
	s.noSeed(a)
}

// A machine with a way to the seed tells no neighbour what it lacks.
func TestReportsAreNotGivenToNeighboursWhereThereIsASeed(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	until(t, "a session with the seed", a.hasSeedSession)
	until(t, "b to see its uplink", func() bool { return b.view.Load().Uplink != "" })
	for _, r := range []*running{a, b} {
		if _, given := r.reportAsked(); given {
			t.Errorf("%s gives its report away", r.member.Name)
		}
	}
}
