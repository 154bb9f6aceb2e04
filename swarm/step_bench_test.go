package swarm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// download is a machine in the middle of a large site that fetches one payload from all neighbours.
type download struct {
	b     *testing.B
	core  *Core
	now   time.Time
	desc  *policy.Descriptor
	info  PayloadInfo
	asked []FetchChunk
}

const (
	benchPeers  = 50
	benchChunks = 1024
)

func newDownload(b *testing.B) *download {
	b.Helper()
	d := &download{b: b, now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	d.desc = &policy.Descriptor{Update: "u", Revision: 1, Installer: "file", Requires: []string{"file"}, Payload: content.Sum([]byte("payload"))}
	d.info = PayloadInfo{ID: d.desc.Payload, Chunks: benchChunks, ChunkBytes: 256 << 10, StoredBytes: benchChunks * 256 << 10}
	core, err := New(DefaultConfig(), Self{
		Peer: "self", Site: "s", Machine: policy.Machine{ID: "self", Site: "s", Installers: []string{"file"}},
	}, Snapshot{}, rand.New(rand.NewPCG(1, 2)), d.now)
	if err != nil {
		b.Fatal(err)
	}
	d.core = core
	d.step(ManifestArrived{Version: 1, ExpiresAt: d.now.Add(48 * time.Hour), Manifest: &policy.Manifest{Org: "o", Epoch: 1, Approvals: []policy.Approval{{
		Update: "u", Revision: 1, Descriptor: content.Sum([]byte("descriptor")), Group: policy.GroupAll, Action: policy.ActionInstall,
	}}}})
	for i := range benchPeers {
		p := PeerID(fmt.Sprintf("p%02d", i))
		d.step(PeerUp{Peer: p, Site: "s", SameSubnet: true, HeadVersion: 1})
		d.step(HaveArrived{From: p, Payload: d.info.ID, Bits: content.FullBits(benchChunks)})
		d.step(PeerSynced{Peer: p})
	}
	for end := d.now.Add(time.Minute); len(d.asked) == 0 && d.now.Before(end); {
		d.now = d.now.Add(100 * time.Millisecond)
		d.step(Tick{})
	}
	if len(d.asked) == 0 {
		b.Fatal("nothing is fetched")
	}
	return d
}

// step tells the core something and answers what is no chunk at once.
func (d *download) step(ev Event) {
	var answers []Event
	for _, act := range d.core.Step(d.now, ev) {
		switch a := act.(type) {
		case FetchChunk:
			d.asked = append(d.asked, a)
		case AskDescriptor:
			answers = append(answers, DescriptorArrived{Req: a.Req, ID: a.ID, Descriptor: d.desc, Payload: d.info})
		case OpenPayload:
			answers = append(answers, PayloadOpened{Req: a.Req, Payload: a.Payload, Have: content.NewBits(benchChunks)})
		case Detect:
			answers = append(answers, Detected{Req: a.Req})
		}
	}
	for _, a := range answers {
		d.step(a)
	}
}

// BenchmarkStepChunkStored is a decision: a chunk has come, what is fetched next, and from whom, of 50
// neighbours that have everything.
func BenchmarkStepChunkStored(b *testing.B) {
	d := newDownload(b)
	b.ReportAllocs()
	for b.Loop() {
		if len(d.asked) == 0 { // all is there
			b.StopTimer()
			d = newDownload(b)
			b.StartTimer()
		}
		next := d.asked[0]
		d.asked = d.asked[1:]
		d.now = d.now.Add(time.Millisecond)
		d.step(ChunkStored{Req: next.Req, Bytes: 256 << 10, Fresh: true})
	}
}
