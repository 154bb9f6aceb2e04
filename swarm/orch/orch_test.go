package orch

import (
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// on starts all members of a world.
func (w *world) on() {
	for i := range w.mem {
		w.start(i)
	}
	w.run(time.Second)
}

func (w *world) begun() (n int) {
	for _, p := range w.mem {
		n += p.begun
	}
	return n
}

func plainName(id string) string { return id }

// R-X14: a part of the site without a majority begins nothing, and says what is missing; the other part goes on.
func TestRX14FailsClosedWithoutAMajority(t *testing.T) {
	w := newWorld(t, 1, 5, Config{Slots: 5})
	w.part = func(a, b int) bool { return (a < 2) == (b < 2) }
	w.on()
	for i, p := range w.mem {
		p.want = 1
		w.drive(i)
	}
	w.run(10 * time.Minute)
	for i, p := range w.mem {
		if got, want := p.begun, map[bool]int{true: 0, false: 1}[i < 2]; got != want {
			t.Errorf("%s of a part of %d has begun %d times", p.id, map[bool]int{true: 2, false: 3}[i < 2], got)
		}
	}
	why := w.mem[0].m.Status(w.time(w.mem[0])).Why(plainName)
	for _, part := range []string{"of the 3 votes", "of 5 members 3 were not heard lately: m02, m03, m04"} {
		if !strings.Contains(why, part) {
			t.Errorf("%q does not say %q", why, part)
		}
	}
	w.part = nil
	w.exchange(0, 2)
	w.exchange(1, 2)
	w.run(5 * time.Minute)
	if w.begun() != 5 {
		t.Errorf("after the site was whole again %d of 5 have begun", w.begun())
	}
}

// R-X14: machines that know only an old list of members and machines that know only the new one never hold a slot
// at the same time, though each have a majority of their own.
func TestRX14AChangedListNeedsTheOldMajorityToo(t *testing.T) {
	old, now := []string{"m00", "m01", "m02"}, []string{"m02", "m03", "m04"}
	for _, keeps := range []bool{true, false} {
		w := newWorld(t, 2, 5, Config{Slots: 1, Rolls: [][]string{old}})
		c := w.cfgs[0]
		c.Generation, c.Epoch, c.Rolls = 2, 2, [][]string{now, old}
		if !keeps {
			c.Rolls = [][]string{now}
			w.most = 2 // what the earlier list is for
		}
		w.cfgs = append(w.cfgs, c)
		w.part = func(a, b int) bool { return (a < 2) == (b < 2) }
		w.on()
		for i := 2; i < 5; i++ {
			w.take(i, 1)
		}
		for _, i := range []int{0, 3} {
			w.mem[i].want = 1
			w.mem[i].need = time.Minute
			w.drive(i)
		}
		w.run(30 * time.Second)
		if want := map[bool]int{true: 1, false: 2}[keeps]; w.peak != want {
			t.Errorf("earlier lists kept: %v; %d at work at once, want %d", keeps, w.peak, want)
		}
	}
}

// R-X14: a machine that slept with a slot does not think that it has time left when it wakes; nor does one whose
// counting clock is right and whose wall clock was set back.
func TestRX14AHolderThatSleptOrWasSetBackBeginsNothing(t *testing.T) {
	for name, disturb := range map[string]func(p *member){
		"slept":    func(p *member) { p.asleep += 119 * time.Second },
		"set back": func(p *member) { p.wallOff -= 5 * time.Hour },
	} {
		w := newWorld(t, 3, 3, Config{Slots: 1})
		w.on()
		p := w.mem[0]
		p.keeps = true
		w.drive(0)
		w.run(time.Second)
		if !p.m.May(time.Minute, w.time(p)) {
			t.Fatalf("%s: no slot: %+v", name, p.m.Saved())
		}
		w.now += 119 * time.Second
		disturb(p)
		if p.m.May(time.Minute, w.time(p)) {
			t.Errorf("%s: it begins a minute's work with no minute left", name)
		}
	}
}

// R-X14: a member limit that grows does not let a holder outlast votes that were given for less.
func TestRX14AGrownLimitDoesNotOutlastTheVotes(t *testing.T) {
	w := newWorld(t, 4, 3, Config{Slots: 1})
	c := w.cfgs[0]
	c.Generation, c.Epoch, c.Member = 2, 2, time.Hour
	w.cfgs = append(w.cfgs, c)
	w.on()
	w.mem[0].want = 1
	w.drive(0)
	w.run(10 * time.Second)
	if w.begun() != 1 {
		t.Fatal("it did not begin")
	}
	w.take(0, 1)
	if p := w.mem[0]; p.m.May(10*time.Minute, w.time(p)) {
		t.Error("it may go on for ten minutes with votes for two")
	}
}

// R-H3: the order that was asked for is kept; who is off is passed over after the member timeout, and not counted
// as a yes.
func TestRH3ExplicitOrderAndPassingOver(t *testing.T) {
	order := []string{"m03", "m01", "m04", "m00", "m02"}
	w := newWorld(t, 5, 5, Config{Slots: 1, Ordered: true, Rolls: [][]string{order}})
	w.on()
	for i, p := range w.mem {
		p.want = 1
		w.drive(i)
	}
	w.crash(4)
	w.mem[4].want = 0
	w.run(90 * time.Second)
	if !slices.Equal(w.done, []string{"m03", "m01"}) {
		t.Fatalf("before the timeout of m04: %v", w.done)
	}
	w.run(10 * time.Minute)
	if !slices.Equal(w.done, []string{"m03", "m01", "m00", "m02"}) {
		t.Errorf("%v, want the order %v without m04", w.done, order)
	}
	if s := w.mem[2].m.Status(w.time(w.mem[2])); !slices.Contains(s.Passed, "m04") {
		t.Errorf("nobody is told that m04 was passed over: %+v", s)
	}
}

// R-H3: a member that fails stops all until a reset, or does not where that was signed.
func TestRH3AFailureStopsAllUntilAReset(t *testing.T) {
	for _, stop := range []bool{true, false} {
		w := newWorld(t, 6, 3, Config{Slots: 1, Stop: stop})
		c := w.cfgs[0]
		c.Generation, c.Epoch, c.Reset = 2, 2, 1
		w.cfgs = append(w.cfgs, c)
		w.on()
		for i, p := range w.mem {
			p.want, p.fails = 1, true
			w.drive(i)
		}
		w.run(30 * time.Minute)
		if want := map[bool]int{true: 1, false: 3}[stop]; w.begun() != want {
			t.Fatalf("stop %v: %d have begun, want %d", stop, w.begun(), want)
		}
		if !stop {
			continue
		}
		for i, p := range w.mem {
			if s := p.m.Status(w.time(p)); !s.Locked || s.LockedBy != w.done[0] {
				t.Errorf("%s: %+v", p.id, s)
			}
			p.fails = false
			w.crash(i) // and it is not forgotten over a restart
			w.start(i)
		}
		w.run(30 * time.Minute)
		if w.begun() != 1 {
			t.Fatalf("%d have begun after a restart", w.begun())
		}
		for i := range w.mem {
			w.take(i, 1)
		}
		w.run(30 * time.Minute)
		if w.begun() != 3 {
			t.Errorf("%d have begun after a reset", w.begun())
		}
	}
}

// R-H3: a failure stops those too for whom a slot is free.
func TestRH3AFailureStopsFreeSlotsToo(t *testing.T) {
	w := newWorld(t, 12, 5, Config{Slots: 2, Stop: true})
	w.on()
	for i, p := range w.mem {
		p.want, p.need = 1, 20*time.Second
		w.drive(i)
	}
	w.run(5 * time.Second)
	if len(w.done) != 2 {
		t.Fatalf("%v have begun", w.done)
	}
	for _, p := range w.mem {
		p.fails = p.id == w.done[0]
	}
	w.run(100 * time.Second) // within the lease
	if len(w.done) > 2 {
		t.Errorf("after %s failed, %v have begun", w.done[0], w.done[2:])
	}
}

// R-H3: who begins and never comes back keeps its slot for the member timeout; then it has failed, or the next one
// goes.
func TestRH3AMemberThatNeverComesBack(t *testing.T) {
	for _, stop := range []bool{true, false} {
		w := newWorld(t, 7, 3, Config{Slots: 1, Stop: stop})
		w.on()
		w.mem[0].want = 1
		w.mem[0].need = 100 * time.Second
		w.drive(0)
		w.run(5 * time.Second)
		w.crash(0)
		w.mem[1].want = 1
		w.drive(1)
		w.run(110 * time.Second)
		if w.mem[1].begun > 0 {
			t.Fatal("its slot was given away while it may still be at work")
		}
		w.run(5 * time.Minute)
		if got := w.mem[1].begun == 0; got != stop {
			t.Errorf("stop %v: the next one has begun %d times", stop, w.mem[1].begun)
		}
	}
}

// R-H3: all together may take only so long.
func TestRH3GroupTimeout(t *testing.T) {
	w := newWorld(t, 8, 5, Config{Slots: 1, Group: 3 * time.Minute})
	w.on()
	for i, p := range w.mem {
		p.want, p.need = 1, 80*time.Second
		w.drive(i)
	}
	w.run(20 * time.Minute)
	if n := w.begun(); n < 2 || n > 4 {
		t.Errorf("%d of 5 have begun within three minutes of 80 seconds each", n)
	}
	if s := w.mem[0].m.Status(w.time(w.mem[0])); !s.Locked || !strings.Contains(s.Why(plainName), "took longer together") {
		t.Errorf("%+v", s)
	}
}

// R-X14: a member that votes for one in each part of the site brings plain majorities to exceed the number; quorums
// that allow for a liar do not.
func TestRX14ALiarThatVotesTwice(t *testing.T) {
	for _, liars := range []int{0, 1} {
		w := newWorld(t, 9, 5, Config{Slots: 1, Liars: liars})
		w.most = 2 - liars
		w.part = func(a, b int) bool { return a == 2 || b == 2 || (a < 2) == (b < 2) }
		w.on()
		w.mem[2].liar = true
		w.mem[2].m = nil
		for _, i := range []int{0, 4} {
			p := w.mem[i]
			p.want, p.need = 1, time.Minute
			w.drive(i)
			c := Card{Name: "o", Member: "m02", Seq: 100, Generation: 1, Epoch: 1, Votes: []Vote{{0, MarkOf(p.id), p.m.Saved().Ballot}}}
			for j := range w.mem {
				if j != 2 && (j < 2) == (i < 2) {
					w.post(2, j, c)
				}
			}
		}
		w.run(40 * time.Second)
		if w.peak != 2-2*liars {
			t.Errorf("with %d liars reckoned with, %d are at work at once", liars, w.peak)
		}
	}
	h := New("a", Saved{Name: "o"}, Time{}, nil)
	h.Configure(Config{Name: "o", Rolls: [][]string{{"a", "b", "c"}}, Slots: 1, Member: time.Hour})
	c := Card{Name: "o", Member: "b", Seq: 1, Votes: []Vote{{0, MarkOf("a"), 1}}}
	h.Hear(c, Time{})
	c.Votes = []Vote{{0, MarkOf("c"), 1}}
	if h.Hear(c, Time{}); !h.false["b"] {
		t.Error("two cards with one number are believed")
	}
}

// R-X14: a member whose disk was set back takes up the promises that its neighbours remember.
func TestRX14ADiskThatWasSetBackKeepsItsPromises(t *testing.T) {
	w := newWorld(t, 10, 3, Config{Slots: 1})
	w.on()
	before := slices.Clone(w.mem[1].disk)
	w.mem[0].want, w.mem[0].need = 1, 100*time.Second
	w.drive(0)
	w.run(2 * time.Second)
	w.crash(1)
	w.mem[1].disk = before
	w.part = func(a, b int) bool { return a != 0 && b != 0 }
	w.start(1)
	w.exchange(2, 1)
	for _, x := range w.mem[2].m.cards {
		w.post(2, 1, x.Card)
	}
	w.run(time.Second)
	if s := w.mem[1].m.Saved(); len(s.Votes) != 1 || s.Votes[0].To != MarkOf("m00") {
		t.Errorf("its vote is forgotten: %+v", s)
	}
	w.mem[2].want = 1
	w.drive(2)
	w.run(60 * time.Second)
	if w.mem[2].begun > 0 || w.mem[0].begun != 1 {
		t.Errorf("m02 has begun %d times with a vote that was m00's", w.mem[2].begun)
	}
}

// R-H3: among a thousand members the one that asks holds its slot with the 501st vote and not before.
func TestRH3AThousandMembers(t *testing.T) {
	all := ids(1000)
	m := New(all[7], Saved{Name: "o"}, Time{}, rand.New(rand.NewPCG(1, 1)))
	m.Configure(Config{Name: "o", Rolls: [][]string{all}, Slots: Share(1000, 5), Member: time.Hour})
	m.Drive(Want{Ready: true}, Time{Mono: time.Second})
	s := m.Saved()
	if s.Phase != Asking {
		t.Fatalf("%+v", s)
	}
	vote := Vote{s.Slot, MarkOf(all[7]), s.Ballot}
	votes, saves := 1, 0 // with its own
	for _, id := range all {
		if id == all[7] {
			continue
		}
		m.Hear(Card{Name: "o", Member: id, Seq: 1, Votes: []Vote{vote}}, Time{Mono: time.Second})
		if out := m.Drive(Want{Ready: true}, Time{Mono: time.Second}); out.Save {
			saves++
		}
		if votes++; (m.Saved().Phase == Holding) != (votes >= 501) {
			t.Fatalf("with %d votes it is %s", votes, m.Saved().Phase)
		}
	}
	if saves > 1 {
		t.Errorf("%d saves for one turn", saves)
	}
}

// R-H3: a turn costs every member two cards at most: its vote, and its end.
func TestRH3ATurnCostsFewCards(t *testing.T) {
	n := soak(100, 400)
	w := newWorld(t, 11, n, Config{Slots: Share(n, 5)})
	if b := mustEncode(t, w); b > MaxCardBytes {
		t.Fatalf("a card of %d bytes", b)
	}
	for i := range w.mem {
		w.start(i)
	}
	w.mail = nil // what everybody says of itself at the start is not needed to vote
	sent := func() (sum uint64) {
		for _, p := range w.mem {
			sum += p.m.s.Seq
		}
		return sum
	}
	before := sent()
	w.mem[n/2].want = 1
	w.drive(n / 2)
	w.run(10 * time.Second)
	if w.mem[n/2].begun != 1 {
		t.Fatal("it did not begin")
	}
	if cards := sent() - before; cards > uint64(2*n) {
		t.Errorf("%d cards for one turn among %d members", cards, n)
	}
}

func mustEncode(t *testing.T, w *world) int {
	c := Card{Name: strings.Repeat("n", 64), Member: strings.Repeat("m", 128), Seq: 1 << 50, Generation: 1 << 50, Epoch: 1 << 50, Reset: 1 << 20, Phase: Failed, Ballot: 1 << 50, Slot: 127}
	for s := range MaxSlots {
		c.Votes = append(c.Votes, Vote{s, MarkOf(fmt.Sprint(s)), 1 << 50})
	}
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return len(b)
}

func TestRH3SharesRoundDownToAtLeastOneAndNeverToAll(t *testing.T) {
	for _, c := range [][3]int{{10, 25, 2}, {3, 10, 1}, {1, 1, 1}, {10, 99, 9}, {2, 99, 1}, {10, 100, 10}, {1000, 12, 120}, {1, 99, 1}} {
		if got := Share(c[0], c[1]); got != c[2] {
			t.Errorf("%d %% of %d are %d, want %d", c[1], c[0], got, c[2])
		}
	}
	for n := 1; n < 50; n++ {
		for l := range n {
			if q := Quorum(n, l); q > n || 2*q-n <= min(l, max(n-2, 0)) {
				t.Errorf("quorum %d of %d with %d liars", q, n, l)
			}
		}
	}
}

func TestCardsHaveTheSameBytesForEver(t *testing.T) {
	c := Card{Name: "web", Member: "m1", Seq: 300, Generation: 2, Epoch: 3, Reset: 1, Phase: Asking, Ballot: 4, Slot: 5, Turns: 6, Locked: true, Votes: []Vote{{5, Mark{1, 2, 3, 4, 5, 6, 7, 8}, 4}}}
	b, err := c.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if got, want := hex.EncodeToString(b), "0103776562026d31ac020203010304050601010501020304050607080"+"4"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	if got, err := DecodeCard(b); err != nil || !got.equal(c) {
		t.Errorf("%+v, %v", got, err)
	}
	if a, b := ToSign("ab", "c", nil), ToSign("a", "bc", nil); string(a) == string(b) {
		t.Error("a card of one site is signed as one of another")
	}
}

func FuzzCard(f *testing.F) {
	c := Card{Name: "web", Member: "m1", Seq: 1, Votes: []Vote{{1, Mark{1}, 2}, {3, Mark{2}, 9}}}
	b, _ := c.Encode()
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := DecodeCard(b)
		if err != nil {
			return
		}
		back, err := c.Encode()
		if err != nil || string(back) != string(b) {
			t.Fatalf("%x comes back as %x, %v", b, back, err)
		}
		m := New("a", Saved{Name: c.Name}, Time{}, nil)
		m.Configure(Config{Name: c.Name, Rolls: [][]string{{"a", c.Member, "z"}}, Slots: 2, Member: time.Hour, Generation: c.Generation})
		m.Hear(c, Time{})
		m.Drive(Want{}, Time{Mono: time.Second})
		m.Status(Time{Mono: 2 * time.Second})
	})
}
