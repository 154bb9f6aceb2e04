package swarm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// An uplink that says each time that it has nothing may be fetching it over a slow line, so it has a minute; then the
// next in line goes to the seed itself, instead of waiting for the end of its turn.
func TestAnUplinkThatNeverHasTheDocumentIsPassedOver(t *testing.T) {
	c := &Core{self: Self{Site: "s"}, now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)}
	start := c.uplinkTurnEnds() // a whole turn lies ahead
	now := start
	for i := 0; ; i++ { // a machine that comes after the uplink
		var err error
		self := Self{Peer: PeerID(fmt.Sprintf("c%d", i)), Site: "s", Egress: true}
		if c, err = New(DefaultConfig(), self, Snapshot{}, rand.New(rand.NewPCG(1, 1)), now); err != nil {
			t.Fatal(err)
		}
		c.Step(now, PeerUp{Peer: "a", Site: "s", Egress: true})
		if c.uplink() == "a" {
			break
		}
	}
	var linkedAt time.Time
	asked := 0
	var take func([]Action)
	take = func(acts []Action) {
		var asks []AskDescriptor
		for _, act := range acts { // the slice is good until the next step
			switch a := act.(type) {
			case AskDescriptor:
				asks = append(asks, a)
			case Link:
				if a.Want && linkedAt.IsZero() {
					linkedAt = now
				}
			}
		}
		for _, a := range asks {
			if a.From != "" {
				asked++
				now = now.Add(time.Second)
			}
			take(c.Step(now, Failed{Req: a.Req, Class: Absent}))
		}
	}
	m := &policy.Manifest{Epoch: 1, Approvals: []policy.Approval{{Update: "u", Revision: 1, Descriptor: content.Sum([]byte("u")), Group: policy.GroupAll, Action: policy.ActionInstall}}}
	take(c.Step(now, ManifestArrived{Version: 1, Manifest: m, ExpiresAt: now.Add(time.Hour)}))
	for linkedAt.IsZero() && now.Sub(start) < 5*time.Minute {
		now = c.Wake()
		take(c.Step(now, Tick{}))
	}
	if took := linkedAt.Sub(start); linkedAt.IsZero() || took < 50*time.Second || took > 90*time.Second {
		t.Fatalf("it asked %d times and went to the seed after %v, want about a minute", asked, took)
	}
}

// A session that ends and begins again does not wash a peer clean, and what comes from it does.
func TestAWordlessPeerIsOneUntilSomethingComes(t *testing.T) {
	now := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	c, err := New(DefaultConfig(), Self{Peer: "c", Site: "s"}, Snapshot{}, rand.New(rand.NewPCG(1, 1)), now)
	if err != nil {
		t.Fatal(err)
	}
	up := PeerUp{Peer: "a", Site: "s", Egress: true}
	heard := Heard{From: "a", Version: 7}
	c.Step(now, up)
	var req Req
	for _, act := range c.Step(now, heard) {
		if a, ok := act.(AskManifest); ok {
			req = a.Req
		}
	}
	if req == 0 || c.wordlessNow("a") {
		t.Fatalf("a was not asked, or given up before it was")
	}
	now = now.Add(4 * time.Second)
	c.Step(now, Tick{})
	if !c.wordlessNow("a") {
		t.Fatal("four seconds of silence pass for an answer")
	}
	c.Step(now, PeerDown{Peer: "a"})
	c.Step(now, up)
	if !c.wordlessNow("a") {
		t.Error("a new session washed it clean")
	}
	for req = 0; req == 0; {
		now = now.Add(time.Second)
		for _, act := range c.Step(now, Tick{}) {
			if a, ok := act.(AskManifest); ok {
				req = a.Req
			}
		}
	}
	c.Step(now, ManifestArrived{Req: req, Version: 7, Manifest: &policy.Manifest{Epoch: 1}, ExpiresAt: now.Add(time.Hour)})
	if c.wordlessNow("a") {
		t.Error("a document came from it, and it still counts as one that gives none")
	}
	for i := range 10 * maxWordless {
		c.setWordless(PeerID(fmt.Sprint(i)))
	}
	if len(c.news.wordless) > maxWordless {
		t.Errorf("%d peers are remembered, at most %d", len(c.news.wordless), maxWordless)
	}
}
