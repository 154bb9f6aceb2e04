package swarm

import (
	"slices"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

var fileMachine = Self{Peer: "self", Site: "s", Machine: policy.Machine{ID: "self", Site: "s", Installers: []string{"file"}}}

// begun is a machine that has begun with n approvals, each answer that much after the one before.
func begun(t *testing.T, self Self, n int, every time.Duration) (*start, *policy.Manifest) {
	t.Helper()
	s, m := newStart(t, self, n)
	s.every = every
	s.step(ManifestArrived{Version: 1, ExpiresAt: s.now.Add(48 * time.Hour), Manifest: m})
	s.settle()
	return s, m
}

func TestManyUpdatesAtOnceArePlannedForTogether(t *testing.T) {
	for name, self := range map[string]Self{"machine": fileMachine, "seed": {Peer: "self", Site: "s", Seed: true}} {
		s, _ := begun(t, self, 1000, answerEvery)
		if got := s.core.together.plans; got > 40 { // 2,000 answers in 200 ms, and a plan for every 10 ms
			t.Errorf("%s: %d plans for 1,000 updates", name, got)
		}
		if len(s.core.news.descs) != 1000 || len(s.core.payloads) != 1000 || len(s.core.news.wantDescs) != 0 {
			t.Errorf("%s: knows %d of 1,000 descriptions, %d payloads", name, len(s.core.news.descs), len(s.core.payloads))
		}
	}
}

// What comes together is decided about as what comes one after the other.
func TestPlanningTogetherDecidesTheSame(t *testing.T) {
	together, _ := begun(t, fileMachine, 200, answerEvery)
	apart, _ := begun(t, fileMachine, 200, time.Second)
	if together.core.together.plans*4 > apart.core.together.plans {
		t.Errorf("%d plans together, %d apart: this compares nothing", together.core.together.plans, apart.core.together.plans)
	}
	for i, k := range together.core.tasks.tasks {
		o := apart.core.tasks.tasks[i]
		if o.verdict.Reason == policy.ReasonDepOtherFirst || k.verdict.Reason == policy.ReasonDepOtherFirst {
			continue // who was looked at before its replacement was known
		}
		if k.verdict.Update != o.verdict.Update || k.verdict.Verb != o.verdict.Verb || k.state != o.state || k.reason != o.reason {
			t.Errorf("%s: %s %s %q together, %s %s %q apart", k.verdict.Update, k.verdict.Verb, k.state, k.reason, o.verdict.Verb, o.state, o.reason)
		}
	}
}

// approveMore is the next manifest with more approvals of new updates, which are not on the machine.
func (s *start) approveMore(t *testing.T, m *policy.Manifest, more ...policy.UpdateID) ManifestArrived {
	t.Helper()
	next := *m
	next.Epoch++
	next.Approvals = slices.Clone(m.Approvals)
	for _, u := range more {
		next.Approvals = append(next.Approvals, s.describe(u))
	}
	return ManifestArrived{Version: int64(next.Epoch), ExpiresAt: s.now.Add(48 * time.Hour), Manifest: &next}
}

func TestOneUpdateAmongManyIsPlannedForAtOnce(t *testing.T) {
	s, m := begun(t, fileMachine, 1000, answerEvery)
	s.step(s.approveMore(t, m, "v"))
	d := s.docs[content.Sum([]byte("descriptor of v"))]
	d.Req = s.asked(t)
	s.step(d)
	look, is := s.acts[0].(Detect)
	if !is || len(s.acts) != 1 {
		t.Fatalf("after the description: %+v", s.acts)
	}
	opens := slices.ContainsFunc(s.core.Step(s.now, Detected{Req: look.Req}), func(a Action) bool { _, is := a.(OpenPayload); return is })
	if !opens {
		t.Error("its payload is not fetched with the answer that it is not there")
	}
}

// Who keeps one description back delays the others by a moment.
func TestWhatCameIsNotHeldUpByWhatDoesNotCome(t *testing.T) {
	s, m := begun(t, fileMachine, 1000, answerEvery)
	s.now = s.now.Add(time.Second)
	s.step(s.approveMore(t, m, "v", "w", "x"))
	first, second := s.docs[content.Sum([]byte("descriptor of v"))], s.docs[content.Sum([]byte("descriptor of w"))]
	first.Req, second.Req = s.asked(t), s.asked(t)
	s.step(first) // nothing came of late: it is planned for at once
	if len(s.acts) != 2 {
		t.Fatalf("%d actions are open, want a question and a look", len(s.acts))
	}
	s.step(second)
	if k := findTask(s.core.tasks.tasks, "w"); k.detecting || s.core.describe(second.ID) != nil {
		t.Error("the second one is planned for by itself")
	}
	for end := s.now.Add(11 * time.Millisecond); s.core.Wake().Before(end); { // as a driver does
		s.now = s.core.Wake()
		s.step(Tick{})
	}
	if k := findTask(s.core.tasks.tasks, "w"); !k.detecting {
		t.Error("it is not looked for after that")
	}
}

// A newer manifest finds what came under the one before.
func TestWhatWaitsIsNotLostToANewerManifest(t *testing.T) {
	s, m := begun(t, fileMachine, 1000, answerEvery)
	two := s.approveMore(t, m, "v", "w", "x")
	s.step(two)
	first, second := s.docs[content.Sum([]byte("descriptor of v"))], s.docs[content.Sum([]byte("descriptor of w"))]
	first.Req, second.Req = s.asked(t), s.asked(t)
	s.step(first)
	s.step(second)
	s.step(s.approveMore(t, two.Manifest, "y"))
	if s.core.describe(second.ID) == nil || s.core.byMap[second.Payload.ID] == nil || !findTask(s.core.tasks.tasks, "w").detecting {
		t.Error("what had come before is not known any more")
	}
	for i := range 3 {
		if _, missing := s.core.news.wants[s.docs[content.Sum([]byte("descriptor of "+[]string{"v", "w", "x"}[i]))].ID]; missing != (i == 2) {
			t.Errorf("descriptor %d is missing: %t", i, missing)
		}
	}
}

// A look that is not planned for yet has not ended: the update is not looked for twice, and nothing is done on the old answer.
func TestALookThatWaitsHasNotEnded(t *testing.T) {
	s, _ := begun(t, fileMachine, 1000, answerEvery)
	s.now = s.now.Add(time.Hour)
	s.step(ScanAsked{})
	if len(s.acts) < 500 {
		t.Fatalf("%d looks", len(s.acts))
	}
	looks := s.acts
	s.acts = nil
	s.step(Detected{Req: looks[0].(Detect).Req})
	s.step(Detected{Req: looks[1].(Detect).Req})
	open := s.core.together.found
	if len(open) != 1 || !open[0].task.detecting || s.core.tasks.busy != nil {
		t.Errorf("%d answers wait", len(open))
	}
	s.step(ScanAsked{})
	if len(s.acts) > 1 { // but for the first one, whose look has ended
		t.Errorf("%d looks more", len(s.acts))
	}
}

// bothWait has two descriptions come, of which the second waits, and gives its payload, of which one of two chunks was here.
func bothWait(t *testing.T) (*start, content.ID) {
	t.Helper()
	s, m := begun(t, fileMachine, 1000, answerEvery)
	s.now = s.now.Add(time.Second)
	s.step(s.approveMore(t, m, "v", "w", "x"))
	first, second := s.docs[content.Sum([]byte("descriptor of v"))], s.docs[content.Sum([]byte("descriptor of w"))]
	first.Req, second.Req = s.asked(t), s.asked(t)
	second.Payload.Chunks, second.Payload.Have = 2, content.NewBits(2)
	second.Payload.Have.Set(0)
	s.step(first)
	s.step(second)
	if s.core.byMap[second.Payload.ID] != nil {
		t.Fatal("the second one does not wait")
	}
	return s, second.Payload.ID
}

// What becomes of the bytes of a payload while its description waits is not undone by what that one says of the store.
func TestNewsOfTheStoreOvertakeNoDescription(t *testing.T) {
	whole := content.NewBits(2)
	whole.Set(0)
	whole.Set(1)
	for name, c := range map[string]struct {
		news func(id content.ID) Event
		want int
	}{
		"carried": {func(id content.ID) Event { return ChunksCarried{Payload: id, Have: whole, Bytes: 5} }, 2},
		"lost":    {func(id content.ID) Event { return ChunksLost{Payload: id, Indexes: []int{0}} }, 0},
		"dropped": {func(id content.ID) Event { return PayloadDropped{Payload: id} }, 0},
	} {
		s, id := bothWait(t)
		s.step(c.news(id))
		s.settle()
		if l := s.core.byMap[id]; l == nil || l.have.Count() != c.want {
			t.Errorf("%s: the payload is not as it is in the store", name)
		}
	}
}

// A look that ended before an update was changed says nothing about the machine after it, even if it was not taken up before.
func TestALookOfBeforeAChangeIsTakenAnew(t *testing.T) {
	s, m := begun(t, fileMachine, 1000, answerEvery)
	s.now = s.now.Add(time.Second)
	one := s.approveMore(t, m, "v")
	s.step(one)
	d := s.docs[content.Sum([]byte("descriptor of v"))]
	d.Req, d.Payload.Published, d.Payload.Have = s.asked(t), true, content.NewBits(1)
	d.Payload.Have.Set(0)
	s.step(d)
	install, is := only[Install](s.core.Step(s.now, Detected{Req: s.acts[0].(Detect).Req}))
	if !is {
		t.Fatal("it is not installed")
	}
	s.acts = nil
	newer, id := *d.Descriptor, content.Sum([]byte("descriptor of v 2"))
	newer.Revision, d.Descriptor, d.ID = 2, &newer, id
	two := s.approveMore(t, one.Manifest)
	a := &two.Manifest.Approvals[len(two.Manifest.Approvals)-1]
	a.Revision, a.Descriptor = 2, id
	s.step(two)
	d.Req = s.asked(t)
	s.now = s.now.Add(time.Hour)
	s.step(ScanAsked{})
	scan := s.acts
	s.acts = nil
	s.step(d)
	look := s.acts[0].(Detect)
	s.step(Detected{Req: scan[0].(Detect).Req, Present: true})
	s.step(Detected{Req: look.Req})
	if len(s.core.together.found) != 2 {
		t.Fatal("the answer does not wait")
	}
	if again, is := only[Detect](s.core.Step(s.now, Installed{Req: install.Req})); !is || again.Descriptor != id {
		t.Error("the newer revision is not looked for after the change")
	}
}

// only is the one action of a kind.
func only[A Action](acts []Action) (one A, is bool) {
	for _, a := range acts {
		if x, ok := a.(A); ok {
			if is {
				return one, false
			}
			one, is = x, true
		}
	}
	return one, is
}
