package node

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// BenchmarkApproveMany approves a catalogue at once, which the draft has listed before: what it costs for each
// update stays the same however many there are.
func BenchmarkApproveMany(b *testing.B) {
	for _, updates := range []int{1000, 5000, 20000} {
		b.Run(fmt.Sprint(updates), func(b *testing.B) {
			for b.Loop() {
				b.StopTimer()
				n, r := catalogued(b, updates)
				b.StartTimer()
				p, err := n.seed.approve(r)
				if err != nil || !p.Published {
					b.Fatalf("%+v, %v", p, err)
				}
			}
			b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(b.N*updates), "us/update")
		})
	}
}

// catalogued is a seed with that many updates in its catalogue, all of them listed, and a request to approve them all.
func catalogued(b *testing.B, updates int) (*Node, api.ApproveRequest) {
	b.Helper()
	dir := filepath.Join(b.TempDir(), "seed")
	if _, err := Found(FoundRequest{DataDir: dir, Org: "acme", Name: "seed"}, time.Now); err != nil {
		b.Fatal(err)
	}
	n, err := Open(Config{DataDir: dir, Listen: freeAddr(b), Log: slog.New(slog.DiscardHandler), Version: "test"})
	if err != nil {
		b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- n.Run(ctx) }()
	b.Cleanup(func() {
		cancel()
		<-ended
	})
	<-n.ready
	r := api.ApproveRequest{Group: policy.GroupAll}
	for i := range updates {
		u := fmt.Sprintf("u%05d", i)
		sum := content.Sum([]byte(u)).SHA256()
		d := policy.Descriptor{Update: policy.UpdateID(u), Revision: 1, Title: u, Severity: "unspecified", Classification: "other", Installer: "file",
			InstallerArgs: map[string]string{"dest": "/srv/" + u}, FileName: u, Payload: content.Sum([]byte(u)), MapBytes: 100, PlainBytes: 9, StoredBytes: 9,
			SHA256: hex.EncodeToString(sum[:])}
		body, err := d.Encode()
		if err != nil {
			b.Fatal(err)
		}
		if err := n.db.PutUpdate(state.CatalogueRow{Update: u, Revision: 1, Descriptor: content.Sum(body), Body: body, At: time.Now()}); err != nil {
			b.Fatal(err)
		}
		if r.Also = append(r.Also, api.Revised{Update: u}); i == 0 {
			r.Update, r.Also = u, nil
		}
	}
	if _, err := n.seed.approve(api.ApproveRequest{Update: r.Update, Group: policy.GroupAll}); err != nil { // and lists the rest
		b.Fatal(err)
	}
	return n, r
}
