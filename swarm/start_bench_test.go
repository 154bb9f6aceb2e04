package swarm

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// start is a machine that begins with many approvals. Everything that it asks of its driver is answered in order, each answer a
// little after the one before, as from a disk.
type start struct {
	core  *Core
	now   time.Time
	acts  []Action
	docs  map[content.ID]DescriptorArrived
	every time.Duration // how long each answer takes
}

// answerEvery is how long an answer from a disk takes.
const answerEvery = 100 * time.Microsecond

// newStart approves n updates, of which every fourth replaces the one before.
func newStart(tb testing.TB, self Self, n int) (*start, *policy.Manifest) {
	tb.Helper()
	s := &start{now: time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC), docs: map[content.ID]DescriptorArrived{}, every: answerEvery}
	core, err := New(DefaultConfig(), self, Snapshot{}, rand.New(rand.NewPCG(1, 2)), s.now)
	if err != nil {
		tb.Fatal(err)
	}
	s.core = core
	m := &policy.Manifest{Org: "o", Epoch: 1}
	for i := range n {
		var replaces []policy.UpdateID
		if i%4 == 3 {
			replaces = []policy.UpdateID{policy.UpdateID(fmt.Sprintf("u-%05d", i-1))}
		}
		m.Approvals = append(m.Approvals, s.describe(policy.UpdateID(fmt.Sprintf("u-%05d", i)), replaces...))
	}
	return s, m
}

// describe makes an update that can be asked for, and an approval of it for all machines.
func (s *start) describe(u policy.UpdateID, replaces ...policy.UpdateID) policy.Approval {
	d := &policy.Descriptor{Update: u, Revision: 1, Installer: "file", Requires: []string{"file"}, Payload: content.Sum([]byte("payload of " + u)), Supersedes: replaces}
	id := content.Sum([]byte("descriptor of " + u))
	s.docs[id] = DescriptorArrived{ID: id, Descriptor: d, Payload: PayloadInfo{ID: d.Payload, Chunks: 1, ChunkBytes: 256 << 10, StoredBytes: 1000}}
	return policy.Approval{Update: u, Revision: 1, Descriptor: id, DescriptorBytes: 1000, Group: policy.GroupAll, Action: policy.ActionInstall, At: s.now}
}

// asked takes the next question for a description.
func (s *start) asked(tb testing.TB) Req {
	tb.Helper()
	if len(s.acts) == 0 {
		tb.Fatal("nothing is asked for")
	}
	a, is := s.acts[0].(AskDescriptor)
	if !is {
		tb.Fatalf("%+v", s.acts[0])
	}
	s.acts = s.acts[1:]
	return a.Req
}

func (s *start) step(ev Event) {
	for _, a := range s.core.Step(s.now, ev) {
		switch a.(type) {
		case AskDescriptor, Detect:
			s.acts = append(s.acts, a)
		}
	}
}

// settle answers until nothing is asked any more. Every update is found on the machine.
func (s *start) settle() {
	for len(s.acts) > 0 || !s.core.Wake().IsZero() && s.core.Wake().Before(s.now.Add(time.Second)) {
		if len(s.acts) == 0 || !s.core.Wake().After(s.now) {
			if s.core.Wake().After(s.now) {
				s.now = s.core.Wake()
			}
			s.step(Tick{})
			continue
		}
		next := s.acts[0]
		s.acts = s.acts[1:]
		s.now = s.now.Add(s.every)
		switch a := next.(type) {
		case AskDescriptor:
			d := s.docs[a.ID]
			d.Req = a.Req
			s.step(d)
		case Detect:
			s.step(Detected{Req: a.Req, Present: true})
		}
	}
}

// BenchmarkStart is what it costs a machine, and a seed, to begin with many approvals whose descriptions are at home, until all
// of them are found to be there.
func BenchmarkStart(b *testing.B) {
	for _, who := range []struct {
		name string
		self Self
	}{
		{"machine", fileMachine},
		{"cache", Self{Peer: "self", Site: "s", Cache: true, Machine: fileMachine.Machine}},
		{"seed", Self{Peer: "self", Site: "s", Seed: true}},
	} {
		for _, n := range []int{100, 1000, 10000} {
			b.Run(fmt.Sprintf("%s-%d", who.name, n), func(b *testing.B) {
				for b.Loop() {
					s, m := newStart(b, who.self, n)
					s.step(ManifestArrived{Version: 1, ExpiresAt: s.now.Add(48 * time.Hour), Manifest: m})
					s.settle()
					if !who.self.Seed {
						for _, k := range s.core.tasks.tasks {
							if k.state != policy.StateInstalled && k.verdict.Reason != policy.ReasonDepOtherFirst {
								b.Fatalf("%+v %v %v %v %v", k.verdict, k.state, k.reason, k.detail, k.detectedAt)
							}
						}
					}
				}
			})
		}
	}
}
