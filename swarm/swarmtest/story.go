package swarmtest

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// script is one file: what it shows, and the story that is being told.
type script struct {
	show   map[string]bool
	manual []string
	story  *story
}

// story is one machine in a world of names.
type story struct {
	script *script
	cfg    swarm.Config
	self   swarm.Self
	core   *swarm.Core
	out    *strings.Builder

	now, said time.Time // said is the time of the last printed line

	updates  []*update
	manifest *policy.Manifest
	version  int64
	root     int64 // version of the root behind it
	expires  time.Time

	open    []request
	refs    []ask
	seqs    map[swarm.PeerID]uint64 // last report seen of a machine
	saved   swarm.Snapshot
	waitFor string // the action that "until" waits for
}

// update is one update and what this machine has of it on disk.
type update struct {
	name       string
	descriptor *policy.Descriptor
	id         content.ID // of the descriptor
	info       swarm.PayloadInfo
	away       bool // its documents are at peers only
	onDisk     *content.Bits
	published  bool
	present    bool // installed on the machine
}

// request is one that the core has made and nobody has answered.
type request struct {
	req   swarm.Req
	kind  string
	from  swarm.PeerID
	of    *update
	index int
}

// ask is one chunk that a peer wants from this machine.
type ask struct {
	from  swarm.PeerID
	of    *update
	index int
	ended bool
}

var begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

const chunkBytes = 256 << 10

func (f *script) play(l line, out *strings.Builder) error {
	switch l.verb {
	case "story":
		f.story = &story{script: f, cfg: swarm.DefaultConfig(), now: begin, said: begin, seqs: map[swarm.PeerID]uint64{}}
		return nil // its words are the title
	case "show":
		for _, w := range l.words {
			f.show[w] = true
		}
		return nil
	case "manual":
		f.manual = l.words
		return nil
	}
	if f.story == nil {
		return fmt.Errorf("a file begins with a story")
	}
	f.story.out = out
	do, known := verbs[l.verb]
	if !known {
		return fmt.Errorf("nobody knows %q", l.verb)
	}
	if f.story.core == nil && !slices.Contains([]string{"machine", "config", "update", "line"}, l.verb) {
		return fmt.Errorf("there is no machine yet")
	}
	if err := do(f.story, &l); err != nil {
		return err
	}
	return l.rest()
}

// start makes the core, as after a boot.
func (s *story) start() error {
	core, err := swarm.New(s.cfg, s.self, s.saved, rand.New(rand.NewPCG(1, 2)), s.now)
	s.core = core
	return err
}

// step tells one event and then the answers to what the core asks for.
func (s *story) step(ev swarm.Event) error {
	queue := []swarm.Event{ev}
	for n := 0; len(queue) > 0; n++ {
		if n > 10000 {
			return fmt.Errorf("the core asks without end, last %T", queue[0])
		}
		acts := slices.Clone(s.core.Step(s.now, queue[0]))
		queue = queue[1:]
		for _, a := range acts {
			s.print(a)
			queue = append(queue, s.note(a)...)
		}
	}
	return nil
}

// pass lets time go by, with a Tick whenever the core asked for one; early stops it.
func (s *story) pass(d time.Duration, early func() bool) error {
	end := s.now.Add(d)
	for n := 0; !early(); n++ {
		at := s.core.Wake()
		if at.IsZero() || at.After(end) {
			s.now = end
			return nil
		}
		if n > 100000 {
			return fmt.Errorf("the core wakes without end")
		}
		if at.After(s.now) {
			s.now = at
		}
		if err := s.step(swarm.Tick{}); err != nil {
			return err
		}
	}
	return nil
}

// update finds an update by its name; one that was never mentioned has four chunks.
func (s *story) update(name string) *update {
	for _, u := range s.updates {
		if u.name == name {
			return u
		}
	}
	u := &update{name: name, id: content.Sum([]byte("descriptor " + name))}
	u.descriptor = &policy.Descriptor{
		Update: policy.UpdateID(name), Revision: 1, Installer: "file", Requires: []string{"file"},
		Payload: content.Sum([]byte("payload " + name)),
	}
	u.resize(4, chunkBytes)
	s.updates = append(s.updates, u)
	return u
}

// resize sets the size of the payload, of which the store then has nothing.
func (u *update) resize(chunks, bytes int) {
	u.info = swarm.PayloadInfo{
		ID: u.descriptor.Payload, Chunks: chunks, ChunkBytes: bytes, StoredBytes: int64(chunks) * int64(bytes),
	}
	u.onDisk = content.NewBits(chunks)
}

func (s *story) byPayload(id content.ID) *update {
	for _, u := range s.updates {
		if u.descriptor.Payload == id {
			return u
		}
	}
	panic("payload " + id.String() + " is in no story")
}

func (s *story) byDescriptor(id content.ID) *update {
	for _, u := range s.updates {
		if u.id == id {
			return u
		}
	}
	panic("descriptor " + id.String() + " is in no story")
}

// keep is a Save: the snapshot goes through its JSON form, as it does in state.db.
func (s *story) keep(snap swarm.Snapshot) {
	b, err := json.Marshal(snap)
	if err != nil {
		panic(err)
	}
	s.saved = swarm.Snapshot{}
	if err := json.Unmarshal(b, &s.saved); err != nil {
		panic(err)
	}
}
