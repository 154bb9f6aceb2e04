package orch

import (
	"testing"
	"time"
)

// R-X14: an orchestration that was dropped and set anew under its old name is another one. What members said in the
// first, which anybody may have kept, or brings along who was away meanwhile, frees no slot of the second, stops
// nobody and makes nobody a liar.
func TestRX14CardsOfADroppedNamesakeDoNotCount(t *testing.T) {
	first := newWorld(t, 1, 3, Config{Slots: 1, Stop: true})
	var old []Card
	first.on()
	first.mem[0].want = 4
	first.drive(0)
	for first.mem[0].begun < 4 || first.mem[0].want > 0 {
		first.step(first.now + time.Second)
		old = append(old, first.mem[0].m.told)
	}
	released := old[len(old)-1]
	first.mem[0].want, first.mem[0].fails = 1, true
	first.drive(0)
	first.run(2 * time.Minute)
	failed := first.mem[0].m.told
	if released.Phase >= Asking || failed.Phase != Failed {
		t.Fatalf("the first one ended with %+v and %+v", released, failed)
	}

	second := newWorld(t, 2, 3, Config{Slots: 1, Stop: true})
	second.cfgs[0].Generation, second.cfgs[0].Epoch, second.cfgs[0].Since = 7, 7, 7
	second.on()
	second.mem[0].want, second.mem[0].need = 1, time.Minute
	second.drive(0)
	second.run(10 * time.Second)
	if second.mem[0].workEnds == 0 {
		t.Fatal("the one that asks has no slot")
	}
	second.mem[1].want = 1
	second.drive(1)
	for _, c := range append(old, failed) {
		for to := range second.mem {
			second.mem[to].m.Hear(c, second.time(second.mem[to]))
			second.drive(to)
		}
	}
	second.run(5 * time.Minute) // it fails as soon as two are at work
	for i, p := range second.mem {
		if p.m.locked() || len(p.m.false) > 0 {
			t.Errorf("%s: locked %v, liars %v", p.id, p.m.locked(), p.m.false)
		}
		if i < 2 && p.begun != 1 {
			t.Errorf("%s has begun %d times", p.id, p.begun)
		}
	}
}

// R-X14: who was away while it was dropped and set anew goes on in the new one: others hear it, and no failure of
// before binds it.
func TestRX14WhoMissedTheDropGoesOn(t *testing.T) {
	w := newWorld(t, 3, 3, Config{Slots: 1, Stop: true})
	c := w.cfgs[0]
	c.Generation, c.Epoch, c.Since = 7, 7, 7
	w.cfgs = append(w.cfgs, c)
	w.on()
	w.mem[0].want, w.mem[0].fails = 1, true
	w.drive(0)
	w.run(2 * time.Minute)
	for i := range w.mem {
		if !w.mem[i].m.locked() {
			t.Fatalf("%s goes on after a failure", w.mem[i].id)
		}
	}
	for _, i := range []int{1, 2} { // they have seen it dropped
		w.mem[i].disk, w.mem[i].gen = nil, 1
		w.start(i)
	}
	w.take(0, 1)
	for i := range w.mem {
		w.mem[i].want = 1
		w.drive(i)
	}
	w.run(10 * time.Minute)
	for i, p := range w.mem {
		if p.want > 0 {
			t.Errorf("%s has not had its turn: %s", p.id, p.m.Status(w.time(w.mem[i])).Why(plainName))
		}
	}
}
