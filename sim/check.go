package sim

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// Violation is one broken promise.
type Violation struct {
	At      time.Duration `json:"at_ns"`
	Machine string        `json:"machine,omitempty"`
	Rule    string        `json:"rule"`
	Text    string        `json:"text"`
}

func (v Violation) String() string {
	return fmt.Sprintf("%v %s: %s: %s", v.At, v.Machine, v.Rule, v.Text)
}

// Checker judges a trace, line by line, by nothing but what stands in it: it knows neither the core
// nor policy, and reads approvals and holds by its own words.
type Checker struct {
	now        int64
	machines   map[string]*checked
	order      []string // machines as they came
	sites      map[string]*checkedSite
	updates    map[string]*checkedUpdate
	sets       map[int64]*checkedSet // by head
	newest     *checkedSet
	expects    map[string]string
	quietAt    int64
	holdAt     int64 // when the first hold was published; 0: none
	race       race
	stored     int64
	duplicate  int64
	violations []Violation
	began      bool
	ended      bool
	keys       []keyValue // of the line being read
}

type checked struct {
	id, site          string
	seed, egress, up  bool
	lies              string
	groups            []string
	epoch, head, root int64
	knows             *checkedSet
	installing        string
	spoiled           bool // what is being installed is not what was signed
	whole             map[string]bool
	chunks            map[string]*chunkSet // that it has ever stored, by update
	installed         map[string]int64
	claims            map[string]bool
	claimed           map[string]bool    // at some time since it started
	wrong             map[string]*wrongs // chunks from whom
	heldAt            int64              // when it adopted the first hold; 0: not yet
	stick             bool               // the one that is read here is as it was written
	doneAt            int64
}

type checkedSite struct {
	wan  map[string]int64
	held map[string]int   // holders of a lease, by update
	over map[string]int64 // since when they are too many

	freed            map[string]int64     // when the last of them gave it up
	chunks           map[string]*chunkSet // that came across the WAN
	across, distinct int64                // bytes of those, and of different ones
}

type checkedUpdate struct{ chunks, chunkBytes, bytes int64 }

type checkedSet struct {
	at, epoch, head, root, expires int64
	approvals                      []checkedApproval
	holds                          []checkedHold
	windows                        []checkedWindow
	orchs                          []checkedOrch
	revoked                        map[string]bool
}

type checkedApproval struct {
	update, group, action string
	rev, notBefore        int64
}

type checkedHold struct {
	id, update, group string
	expires           int64
}

// NewChecker begins before the first line.
func NewChecker() *Checker {
	return &Checker{
		machines: map[string]*checked{}, sites: map[string]*checkedSite{}, updates: map[string]*checkedUpdate{},
		sets: map[int64]*checkedSet{}, expects: map[string]string{}, quietAt: -1,
	}
}

// Check judges a written trace. An error is one of reading; ErrTrace for what is no trace.
func Check(r io.Reader) ([]Violation, error) {
	c := NewChecker()
	in := bufio.NewScanner(r)
	in.Buffer(nil, 1<<20)
	for in.Scan() {
		c.Line(in.Text())
	}
	if err := in.Err(); err != nil {
		return nil, fmt.Errorf("read trace: %w", err)
	}
	if !c.began {
		return nil, fmt.Errorf("read trace: no first line: %w", ErrTrace)
	}
	return c.Finish(), nil
}

// fact is one line.
type fact struct {
	c    *Checker
	kind string
	keys []keyValue
}

type keyValue struct{ key, value string }

func (f fact) str(key string) string {
	for i := len(f.keys) - 1; i >= 0; i-- {
		if f.keys[i].key == key {
			return f.keys[i].value
		}
	}
	f.c.fault("", "trace", "%s without %s", f.kind, key)
	return ""
}

// nextWord cuts the first word off a line.
func nextWord(s string) (word, rest string) {
	begin := 0
	for begin < len(s) && s[begin] <= ' ' {
		begin++
	}
	end := begin
	for end < len(s) && s[end] > ' ' {
		end++
	}
	return s[begin:end], s[end:]
}

func (f fact) num(key string) int64 {
	n, err := strconv.ParseInt(f.str(key), 10, 64)
	if err != nil {
		f.c.fault("", "trace", "%s: %s is no number", f.kind, key)
	}
	return n
}

func (c *Checker) fault(machine, rule, format string, a ...any) {
	if len(c.violations) < maxViolations {
		c.violations = append(c.violations, Violation{time.Duration(c.now), machine, rule, fmt.Sprintf(format, a...)})
	}
}

// maxViolations bounds what a thoroughly broken run can say.
const maxViolations = 100

// Line takes the next line of a trace.
func (c *Checker) Line(line string) {
	if !c.began {
		c.began = true
		if !strings.HasPrefix(line, fmt.Sprintf("patchmesh-trace %d ", TraceVersion)) {
			c.fault("", "trace", "the first line is not of a trace of version %d", TraceVersion)
		}
		return
	}
	first, rest := nextWord(line)
	kind, rest := nextWord(rest)
	if kind == "" {
		c.fault("", "trace", "line of less than two words")
		return
	}
	at, err := strconv.ParseInt(first, 10, 64)
	if err != nil || at < c.now {
		c.fault("", "trace", "time %q after %d", first, c.now)
		return
	}
	c.now = at
	c.keys = c.keys[:0]
	for w, rest := nextWord(rest); w != ""; w, rest = nextWord(rest) {
		k, v, _ := strings.Cut(w, "=")
		c.keys = append(c.keys, keyValue{k, v})
	}
	f := fact{c: c, kind: kind, keys: c.keys}
	read, known := factReaders[f.kind]
	if !known {
		c.fault("", "trace", "unknown kind %q", f.kind)
		return
	}
	read(c, f)
}

// factReaders say what each kind of line means to the checker.
var factReaders map[string]func(*Checker, fact)

func init() {
	factReaders = map[string]func(*Checker, fact){
		"site": func(c *Checker, f fact) {
			c.sites[f.str("name")] = &checkedSite{
				wan: map[string]int64{}, held: map[string]int{}, over: map[string]int64{}, freed: map[string]int64{}, chunks: map[string]*chunkSet{},
			}
		},
		"machine": (*Checker).machineLine,
		"update": func(c *Checker, f fact) {
			c.updates[f.str("u")] = &checkedUpdate{f.num("chunks"), f.num("chunk_bytes"), f.num("bytes")}
		},
		"expect":   func(c *Checker, f fact) { c.expects[f.str("what")] = f.str("limit") },
		"publish":  (*Checker).publishLine,
		"approval": (*Checker).approvalLine,
		"window":   (*Checker).windowLine, "orchestration": (*Checker).orchestrationLine,
		"hold": func(c *Checker, f fact) {
			if s := c.sets[f.num("head")]; s != nil {
				c.firstHold(s)
				s.holds = append(s.holds, checkedHold{f.str("id"), f.str("u"), f.str("group"), f.num("expires")})
			}
		},
		"revoked": func(c *Checker, f fact) {
			if s := c.sets[f.num("head")]; s != nil {
				s.revoked[f.str("m")] = true
			}
		},
		"boot": (*Checker).bootLine, "down": (*Checker).downLine, "adopt": (*Checker).adoptLine, "stored": (*Checker).storedLine,
		"wan": (*Checker).wanLine, "refused": (*Checker).refusedLine, "stick": (*Checker).stickLine,
		"move": func(c *Checker, f fact) {
			if m := c.machine(f); m != nil {
				m.site = f.str("site")
			}
		},
		"whole": func(c *Checker, f fact) {
			if m := c.machine(f); m != nil {
				m.whole[f.str("u")] = true
			}
		},
		"install": (*Checker).installLine, "installed": (*Checker).installedLine,
		"remove": (*Checker).removeLine,
		"failed": func(c *Checker, f fact) {
			if m := c.machine(f); m != nil {
				m.installing = ""
			}
		},
		"removed": func(c *Checker, f fact) {
			if m := c.machine(f); m != nil {
				delete(m.installed, f.str("u"))
				m.installing = ""
			}
		},
		"claim": (*Checker).claimLine, "release": (*Checker).releaseLine, "load": (*Checker).loadLine,
		"fault": func(*Checker, fact) {},
		"quiet": func(c *Checker, f fact) { c.quietAt = c.now },
		"end":   func(c *Checker, f fact) { c.ended = true },
	}
}

func (c *Checker) machine(f fact) *checked {
	m := c.machines[f.str("m")]
	if m == nil {
		c.fault(f.str("m"), "trace", "%s of a machine that nobody has introduced", f.kind)
	}
	return m
}

func (c *Checker) machineLine(f fact) {
	m := &checked{
		id: f.str("m"), site: f.str("site"), seed: f.num("seed") == 1, egress: f.num("egress") == 1, lies: f.str("lies"),
		groups: strings.Split(f.str("groups"), ","), whole: map[string]bool{}, chunks: map[string]*chunkSet{}, installed: map[string]int64{},
		claims: map[string]bool{}, claimed: map[string]bool{}, wrong: map[string]*wrongs{},
	}
	c.machines[m.id] = m
	c.order = append(c.order, m.id)
}

func (c *Checker) publishLine(f fact) {
	s := &checkedSet{at: c.now, epoch: f.num("epoch"), head: f.num("head"), root: f.num("root"), expires: f.num("expires"), revoked: map[string]bool{}}
	if old := c.newest; old != nil && (s.epoch < old.epoch || s.head <= old.head) {
		c.fault("", "publish", "epoch %d head %d after epoch %d head %d", s.epoch, s.head, old.epoch, old.head)
	}
	c.sets[s.head], c.newest = s, s
}

func (c *Checker) approvalLine(f fact) {
	if s := c.sets[f.num("head")]; s != nil {
		s.approvals = append(s.approvals, checkedApproval{f.str("u"), f.str("group"), f.str("action"), f.num("rev"), f.num("not_before")})
	}
}

// bootLine: a machine that starts knows what it had adopted, whatever it lost.
func (c *Checker) bootLine(f fact) {
	m := c.machine(f)
	if m == nil {
		return
	}
	epoch, head := f.num("epoch"), f.num("head")
	if epoch < m.epoch || head < m.head && m.head != 0 {
		c.fault(m.id, "rollback", "starts with epoch %d head %d, had epoch %d head %d", epoch, head, m.epoch, m.head)
	}
	m.up, m.epoch, m.head, m.knows = true, epoch, head, c.sets[head]
	m.installing = ""
}

func (c *Checker) downLine(f fact) {
	m := c.machine(f)
	if m == nil {
		return
	}
	m.up, m.installing = false, ""
	for u := range m.claims {
		c.endClaim(m, u)
	}
	clear(m.claimed)
}

// adoptLine: only what a seed has published, and never less than before.
func (c *Checker) adoptLine(f fact) {
	m := c.machine(f)
	if m == nil {
		return
	}
	epoch, head, root := f.num("epoch"), f.num("head"), f.num("root")
	s := c.sets[head]
	switch {
	case s == nil || s.epoch != epoch:
		c.fault(m.id, "unsigned", "adopts head %d epoch %d, which no seed has published", head, epoch)
	case epoch < m.epoch:
		c.fault(m.id, "rollback", "adopts epoch %d after %d", epoch, m.epoch)
	case head < m.head && root <= m.root:
		c.fault(m.id, "rollback", "adopts head %d after %d", head, m.head)
	}
	m.epoch, m.head, m.root, m.knows = max(m.epoch, epoch), head, max(m.root, root), s
	if s != nil && len(s.holds) > 0 && m.heldAt == 0 {
		m.heldAt = c.now
	}
}

func (c *Checker) storedLine(f fact) {
	m, u := c.machine(f), c.updates[f.str("u")]
	if m == nil || u == nil {
		return
	}
	bytes := f.num("bytes")
	c.stored += bytes
	if f.num("fresh") == 0 {
		c.duplicate += bytes
	}
	if f.num("good") != 1 {
		c.fault(m.id, "wrong-byte", "stores a wrong chunk %d of %s from %s", f.num("i"), f.str("u"), f.str("from"))
	}
	if i := f.num("i"); i < 0 || i >= u.chunks || bytes > u.chunkBytes {
		c.fault(m.id, "wrong-byte", "stores chunk %d of %d", i, u.chunks)
	}
	if f.num("good") == 1 {
		c.gotChunk(m, u, f.str("u"), f.str("tier"), f.num("i"), bytes)
	}
	from := c.machines[f.str("from")]
	if f.str("tier") == "wan" {
		if from == nil || !from.seed || !m.egress {
			c.fault(m.id, "wan", "fetches across the WAN from %s", f.str("from"))
		}
		if !m.claimed[f.str("u")] {
			c.fault(m.id, "wan", "fetches %s across the WAN without having claimed its lease", f.str("u"))
		}
	} else if f.str("tier") == "media" {
		if !m.stick {
			c.fault(m.id, "stick", "takes chunk %d of %s from a stick that somebody has changed, or from none", f.num("i"), f.str("u"))
		}
	} else if from != nil && from.site != m.site {
		c.fault(m.id, "wan", "fetches from %s of another site", from.id)
	}
}

// wrongMost is how many wrong chunks one peer may cost one machine: what may be outstanding there when
// the first turns out wrong.
//
// What comes later than wrongSoon was asked for after that: asks die with their session, which silence ends in ten
// seconds. A day later the peer has another chance.
const (
	wrongMost = 4
	wrongSoon = int64(time.Minute)
	shunFor   = int64(24 * time.Hour)
)

// wrongs are the wrong chunks that one peer gave to one machine within a day.
type wrongs struct {
	since int64 // the first
	n     int
	again bool // it was asked once more
}

func (c *Checker) refusedLine(f fact) {
	m := c.machine(f)
	if m == nil || f.str("reason") != "trust-bad-chunk" {
		return
	}
	from := f.str("from")
	if p := c.machines[from]; p != nil && p.seed {
		return // there may be no other: it is left alone for longer each time, not for good
	}
	w := m.wrong[from]
	if w == nil || c.now-w.since > shunFor {
		w = &wrongs{since: c.now}
		m.wrong[from] = w
	}
	if w.n++; w.n == wrongMost+1 {
		c.fault(m.id, "shun", "takes more than %d wrong chunks from %s", wrongMost, from)
	}
	if after := c.now - w.since; after > wrongSoon && !w.again {
		w.again = true
		c.fault(m.id, "shun", "takes a wrong chunk from %s, which gave it one %v ago", from, time.Duration(after))
	}
}

// loadLine: what a machine keeps for others is bounded.
func (c *Checker) loadLine(f fact) {
	m := c.machine(f)
	if m == nil {
		return
	}
	for key, most := range map[string]int64{"asks": maxLoadAsks, "waiting": maxLoadWaiting, "queued": int64(len(c.machines)) + 1} {
		if n := f.num(key); n > most {
			c.fault(m.id, "memory", "%d %s, at most %d", n, key, most)
		}
	}
}

// Bounds of what a machine has in hand: asks of at most 8 MiB at neighbours and 8 MiB at a seed, in
// chunks of 64 KiB at least; the queue of uploads with its slots.
const (
	maxLoadAsks    = 2*128 + 2
	maxLoadWaiting = 512 + 64
)

// maxHolders is how many machines of a site may hold one lease at once. There is one as a rule; parts
// of a torn site and a handover make a few for a moment. Several that come in line at the same instant, after
// holders that brought nothing, take theirs back as soon as they hear of each other.
const (
	maxHolders  = 6
	holdersSoon = int64(time.Second)
)

func (c *Checker) claimLine(f fact) {
	m := c.machine(f)
	if m == nil {
		return
	}
	u := f.str("u")
	if !m.egress {
		c.fault(m.id, "lease", "claims the lease of %s and may not use the WAN", u)
	}
	s := c.sites[m.site]
	if s == nil || m.claims[u] {
		return
	}
	m.claims[u], m.claimed[u] = true, true
	if s.held[u]++; s.held[u] == maxHolders+1 {
		s.over[u] = c.now
	}
	c.crowded(s, m, u)
}

// crowded is a fault if too many have held a lease for longer than it takes to hear of each other.
func (c *Checker) crowded(s *checkedSite, m *checked, u string) {
	if s.held[u] > maxHolders && c.now-s.over[u] > holdersSoon {
		c.fault(m.id, "lease", "%d machines of %s hold the lease of %s", s.held[u], m.site, u)
	}
}

func (c *Checker) releaseLine(f fact) {
	if m := c.machine(f); m != nil {
		c.endClaim(m, f.str("u"))
	}
}

func (c *Checker) endClaim(m *checked, u string) {
	if m.claims[u] {
		c.crowded(c.sites[m.site], m, u)
		delete(m.claims, u)
		if c.sites[m.site].held[u]--; c.sites[m.site].held[u] == 0 {
			c.sites[m.site].freed[u] = c.now
		}
	}
}
