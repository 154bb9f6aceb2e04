package orch

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"
)

func soak(few, many int) int {
	if os.Getenv("PATCHMESH_SOAK") == "1" {
		return many
	}
	return few
}

// world is members with clocks of their own, and what lies between them. It knows who is truly at work.
type world struct {
	t    *testing.T
	rng  *rand.Rand
	now  time.Duration // true time
	cfgs []Config      // by generation
	mem  []*member
	mail letters
	loss float64
	slow time.Duration
	most int                 // allowed at work, by the signed number
	part func(a, b int) bool // whether they reach each other
	done []string            // names in the order in which they began
	peak int

	posted int
}

type letter struct {
	at   time.Duration
	no   int
	to   int
	card Card
}

// letters is a heap: the one that comes first is on top.
type letters []letter

func (l letters) Len() int { return len(l) }
func (l letters) Less(i, j int) bool {
	return l[i].at < l[j].at || l[i].at == l[j].at && l[i].no < l[j].no
}
func (l letters) Swap(i, j int) { l[i], l[j] = l[j], l[i] }
func (l *letters) Push(x any)   { *l = append(*l, x.(letter)) }
func (l *letters) Pop() any {
	old := *l
	x := old[len(old)-1]
	*l = old[:len(old)-1]
	return x
}

type member struct {
	id       string
	m        *Machine // nil: off
	disk     []byte   // what was saved
	gen      int
	upAt     time.Duration // true time since which mono runs
	rate     float64
	asleep   time.Duration // so long mono has stood still
	wallOff  time.Duration
	want     int           // pieces of work left
	need     time.Duration // of a piece
	workEnds time.Duration // true time; 0: not at work
	fails    bool          // its next piece fails
	begun    int
	knows    bool          // of the work that it has begun: not after a crash
	wake     time.Duration // by mono
	keeps    bool          // it wants a slot, and begins nothing in it
	liar     bool
}

func (w *world) time(p *member) Time {
	run := w.now - p.upAt - p.asleep
	return Time{Wall: time.Unix(1_700_000_000, 0).Add(w.now + p.wallOff), Mono: time.Duration(float64(run)*p.rate) + time.Hour}
}

func (w *world) start(i int) {
	p := w.mem[i]
	p.upAt, p.asleep = w.now, 0
	s := Saved{Name: "o"}
	if p.disk != nil {
		if err := json.Unmarshal(p.disk, &s); err != nil {
			w.t.Fatal(err)
		}
	}
	p.m = New(p.id, s, w.time(p), rand.New(rand.NewPCG(w.rng.Uint64(), 1)))
	p.m.Configure(w.cfgs[p.gen])
	w.drive(i)
}

func (w *world) crash(i int) { w.mem[i].m, w.mem[i].knows = nil, false } // what it had begun goes on, and nobody there knows of it

func (p *member) wants(w *world) Want {
	if p.keeps {
		return Want{Ready: true}
	}
	busy := p.workEnds > 0 && p.knows
	return Want{Pending: p.want > 0, Ready: p.want > 0 && !busy, Busy: busy}
}

func (w *world) drive(i int) {
	p := w.mem[i]
	if p.m == nil {
		return
	}
	t := w.time(p)
	if p.workEnds > 0 && w.now >= p.workEnds {
		p.workEnds = 0
		p.want--
		if p.fails {
			p.fails = false
			p.m.Failed()
		}
	}
	out := p.m.Drive(p.wants(w), t)
	if out.Save {
		b, err := json.Marshal(p.m.Saved())
		if err != nil {
			w.t.Fatal(err)
		}
		p.disk = b
		if w.rng.Float64() < w.loss/20 && !p.liar { // between the save and the word
			w.crash(i)
			return
		}
	}
	p.wake = out.Wake
	if out.Tell != nil {
		w.tell(i, *out.Tell)
	}
	if p.want > 0 && (p.workEnds == 0 || !p.knows) && !p.keeps && p.m.May(p.need, t) {
		p.workEnds = max(p.workEnds, w.now+time.Duration(float64(p.need)/p.rate))
		p.begun++
		p.knows = true
		w.done = append(w.done, p.id)
		w.count()
		out := p.m.Drive(p.wants(w), t)
		if p.wake = out.Wake; out.Save {
			p.disk, _ = json.Marshal(p.m.Saved())
		}
		if out.Tell != nil {
			w.tell(i, *out.Tell)
		}
	}
}

func (w *world) count() {
	var who []string
	for _, p := range w.mem {
		if p.workEnds > w.now && !p.liar {
			who = append(who, p.id)
		}
	}
	w.peak = max(w.peak, len(who))
	if len(who) > w.most {
		w.t.Fatalf("%v: %d at work at once, %d may: %v", w.now, len(who), w.most, who)
	}
}

// tell sends a card through the wire's bytes.
func (w *world) tell(from int, c Card) {
	b, err := c.Encode()
	if err != nil {
		w.t.Fatal(err)
	}
	if c, err = DecodeCard(b); err != nil {
		w.t.Fatal(err)
	}
	for to := range w.mem {
		w.post(from, to, c)
	}
}

func (w *world) post(from, to int, c Card) {
	if from == to || w.rng.Float64() < w.loss || w.part != nil && !w.part(from, to) {
		return
	}
	w.posted++
	heap.Push(&w.mail, letter{w.now + time.Duration(w.rng.Int64N(int64(w.slow)+1)), w.posted, to, c})
}

// step moves to the next thing that happens, or to a time.
func (w *world) step(until time.Duration) {
	next, at := until, -1
	kind := ""
	if len(w.mail) > 0 && w.mail[0].at < next {
		next, kind = w.mail[0].at, "mail"
	}
	for i, p := range w.mem {
		if p.m == nil {
			continue
		}
		if p.workEnds > 0 && p.workEnds < next {
			next, at, kind = max(p.workEnds, w.now), i, "work"
		}
		if p.wake > 0 {
			in := time.Duration(float64(p.wake-w.time(p).Mono)/p.rate) + time.Millisecond
			if due := w.now + max(in, 0); due < next {
				next, at, kind = due, i, "wake"
			}
		}
	}
	for _, p := range w.mem { // work of one that is off ends too
		if p.m == nil && p.workEnds > 0 && p.workEnds <= next {
			p.workEnds = 0
			p.want--
		}
	}
	w.now = max(w.now, next)
	switch kind {
	case "mail":
		l := heap.Pop(&w.mail).(letter)
		if p := w.mem[l.to]; p.m != nil {
			p.m.Hear(l.card, w.time(p))
			w.drive(l.to)
		}
	case "work", "wake":
		w.drive(at)
	}
}

func (w *world) run(d time.Duration) {
	for end := w.now + d; w.now < end; {
		w.step(end)
	}
}

// exchange lets two members tell each other all that they know, as when a session comes up.
func (w *world) exchange(a, b int) {
	for _, x := range [][2]int{{a, b}, {b, a}} {
		p := w.mem[x[0]]
		if p.m == nil {
			continue
		}
		for _, id := range p.m.cfg.roll() {
			if h := p.m.cards[id]; h != nil {
				w.post(x[0], x[1], h.Card)
			}
		}
		if p.m.told.Seq > 0 {
			w.post(x[0], x[1], p.m.told)
		}
	}
}

func ids(n int) (out []string) {
	for i := range n {
		out = append(out, fmt.Sprintf("m%02d", i))
	}
	return out
}

func newWorld(t *testing.T, seed uint64, n int, c Config) *world {
	w := &world{t: t, rng: rand.New(rand.NewPCG(seed, 7)), most: c.Slots, slow: 50 * time.Millisecond}
	if c.Rolls == nil {
		c.Rolls = [][]string{ids(n)}
	}
	c.Name, c.Generation, c.Epoch = "o", 1, 1
	if c.Member == 0 {
		c.Member = 2 * time.Minute
	}
	w.cfgs = []Config{c}
	for i := range n {
		w.mem = append(w.mem, &member{id: ids(n)[i], rate: 1, need: 20 * time.Second})
	}
	return w
}

// take makes a member know a generation.
func (w *world) take(i, gen int) {
	p := w.mem[i]
	if gen <= p.gen {
		return
	}
	p.gen = gen
	if p.m != nil {
		p.m.Configure(w.cfgs[gen])
		w.drive(i)
	}
}
