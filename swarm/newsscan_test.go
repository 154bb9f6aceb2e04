package swarm

import (
	"fmt"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

func epoch(n uint64, approvals ...policy.Approval) *policy.Manifest {
	return &policy.Manifest{Org: "o", Epoch: n, Approvals: approvals}
}

// R-C2: news have 200 machines look over the whole of the signed time, each at a moment of its own that is another one
// for other news; the first approvals, the same ones signed anew, and a setting of none have nobody look.
func TestRC2NewsHaveMachinesLookAtMomentsOfTheirOwn(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	const within = 5 * time.Minute
	due := func(peer string, version int64, was, is *policy.Manifest, within time.Duration, seed bool) time.Time {
		c := &Core{cfg: DefaultConfig(), self: Self{Peer: PeerID(peer), Seed: seed}, now: now}
		c.news.manifest, c.news.version, c.tasks.plan.ScanAfterNews = is, version, within
		c.scanForNews(was)
		return c.tasks.newsScanAt
	}
	tenths, moved := map[int]int{}, 0
	for i := range 200 {
		peer := fmt.Sprintf("peer-%d", i)
		at, again := due(peer, 2, epoch(1), epoch(2), within, false), due(peer, 3, epoch(2), epoch(3), within, false)
		if at.Before(now) || !at.Before(now.Add(within)) || !at.Equal(due(peer, 2, epoch(1), epoch(2), within, false)) {
			t.Fatalf("%s looks at %s", peer, at)
		}
		tenths[int(10*at.Sub(now)/within)]++
		if d := at.Sub(again); d > within/10 || d < -within/10 {
			moved++
		}
	}
	for i := range 10 {
		if n := tenths[i]; n == 0 || n > 50 {
			t.Errorf("%d of 200 machines look in tenth %d", n, i)
		}
	}
	if moved < 100 {
		t.Errorf("only %d of 200 machines have another moment for other news", moved)
	}
	for name, at := range map[string]time.Time{
		"the first approvals": due("p", 1, nil, epoch(1), within, false), "the same ones": due("p", 2, epoch(1), epoch(1), within, false),
		"none": due("p", 2, epoch(1), epoch(2), 0, false), "a seed": due("p", 2, epoch(1), epoch(2), within, true),
	} {
		if !at.IsZero() {
			t.Errorf("%s: looks at %s", name, at)
		}
	}
	role := policy.Approval{Update: "u", Group: "all", Action: policy.ActionInstall}
	if due("p", 2, epoch(1), epoch(1, role), within, false).IsZero() {
		t.Error("what a role has approved is no news")
	}
}

// R-C2: the look that news ask for waits until nothing is installed or on its way, and leaves alone what was looked at
// just now.
func TestRC2TheLookForNewsDelaysNothing(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	cfg := DefaultConfig()
	old := &task{verdict: policy.Verdict{Update: "a"}, detectedAt: now.Add(-cfg.ScanFresh)}
	fresh := &task{verdict: policy.Verdict{Update: "b"}, detectedAt: now.Add(-cfg.ScanFresh + time.Second)}
	c := &Core{cfg: cfg, now: now}
	c.tasks.tasks, c.tasks.newsScanAt = []*task{old, fresh}, now
	l := &payload{selfWant: true, inFlight: 1}
	for name, set := range map[string]func(bool){
		"an install": func(on bool) {
			if c.tasks.busy = nil; on {
				c.tasks.busy = fresh
			}
		},
		"bytes on their way": func(on bool) {
			if c.payloads = nil; on {
				c.payloads = []*payload{l}
			}
		},
		"another look": func(on bool) { fresh.detecting = on },
	} {
		set(true)
		c.sweepNewsScan()
		if old.lookDue || c.tasks.newsScanAt.IsZero() {
			t.Errorf("it does not wait for %s", name)
		}
		if c.wake.After(now.Add(leisurePause)) || c.wake.IsZero() {
			t.Errorf("beside %s nothing wakes it", name)
		}
		set(false)
	}
	c.sweepNewsScan()
	if !old.lookDue || fresh.lookDue || !c.tasks.newsScanAt.IsZero() {
		t.Errorf("old %v, fresh %v, due %s", old.lookDue, fresh.lookDue, c.tasks.newsScanAt)
	}
}

// R-B1: what is only listed is looked for one after the other, and behind everything that somebody has approved: its
// look, its bytes and its install. What was found of it is forgotten with the list.
func TestRB1ListedUpdatesAreLookedForAtLeisure(t *testing.T) {
	now := time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)
	d := &policy.Descriptor{}
	listed := &task{verdict: policy.Verdict{Update: "a", Listed: true}}
	other := &task{verdict: policy.Verdict{Update: "b", Listed: true}}
	approved := &task{verdict: policy.Verdict{Update: "c", Verb: policy.VerbInstall, Descriptor: content.Sum([]byte("c"))}}
	c := &Core{cfg: DefaultConfig(), now: now}
	c.news.descs = map[content.ID]*policy.Descriptor{approved.verdict.Descriptor: d}
	c.tasks.tasks = []*task{listed, other, approved}
	if !c.putOff(listed) || c.putOff(approved) {
		t.Error("it is looked for before what is approved")
	}
	approved.detectedAt = now
	if c.putOff(listed) {
		t.Error("it is put off for nothing")
	}
	listed.detecting = true
	if !c.putOff(other) {
		t.Error("two are looked for at a time")
	}
	listed.detecting = false
	c.self.Machine.Detected = map[policy.UpdateID]policy.Detection{"a": {Present: true}, "b": {Present: true}, "c": {Present: true}}
	c.tasks.tasks = []*task{other, approved}
	c.forgetListed([]*task{listed, other, approved})
	if _, kept := c.self.Machine.Detected["a"]; kept || len(c.self.Machine.Detected) != 2 {
		t.Errorf("known: %v", c.self.Machine.Detected)
	}
}

// R-B1, R-C12: to hear of an update is no offer: the time that a user is granted runs from its approval.
func TestRB1ToBeListedIsNoOffer(t *testing.T) {
	k := &task{verdict: policy.Verdict{Update: "a", Listed: true}}
	c := &Core{cfg: DefaultConfig(), now: time.Date(2026, 3, 2, 9, 0, 0, 0, time.UTC)}
	c.tasks.tasks, c.tasks.plan.Habits.CountsMet = []*task{k}, true
	c.noteWaits()
	if !k.metAt.IsZero() {
		t.Errorf("met at %s while it was listed", k.metAt)
	}
	k.verdict.Listed = false
	c.noteWaits()
	if !k.metAt.Equal(c.now) {
		t.Errorf("met at %s when it was approved", k.metAt)
	}
}
