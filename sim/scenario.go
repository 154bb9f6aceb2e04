package sim

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"time"

	"patchmesh/policy"
)

// ErrScenario: the text of a scenario says something that cannot be.
var ErrScenario = errors.New("not a scenario")

// Scenario is what is simulated, read from text. Lines are words; what follows # is a comment.
// Numbers may be ranges (20..200), which each run draws from by its seed.
//
//	title  TEXT
//	seed   up=RATE lan=RATE [machines=N] [cores=N]      so many machines stand in its own site
//	site   NAME machines=N [count=N] [egress=N] [wan=RATE] [lan=RATE] [delay=TIME] [lan-delay=TIME]
//	       [loss=SHARE] [groups=NAME:FROM-TO,...] [neighbours=N]
//	       [caches=N]                   the first N are caches of the site
//	       [vlan=N]                     the last N reach nobody but each other and the machine before them
//	       [cores=N]                    all machines of the site are processes on so many processors
//	update ID size=SIZE [chunk=SIZE] [install=TIME]
//	at     TIME approve ID [group=G] [action=A] [not-before=TIME] [deadline=TIME]
//	at     TIME hold ID|all [group=G] [name=N] [lasts=TIME]
//	at     TIME release NAME
//	at     TIME window ID [group=G] opens=TIME lasts=TIME    every day, opens after midnight UTC
//	at     TIME orchestrate ID site=S [group=G] [max=N] [member=TIME] [ordered=yes]    so many of its machines at once
//	at     TIME revoke MACHINE | renew | turn-key
//	fault  NAME [key=value...]          see the fault_*.go of this package
//	start  TIME                         machines switch on within that time
//	limit  TIME                         virtual time at most
//	linger TIME                         go on for so long when all is done
//	expect WHAT=LIMIT...                what the checker judges beside what always holds
type Scenario struct {
	Name, Title string

	seed    seedSpec
	sites   []siteSpec
	updates []updateSpec
	orders  []order
	faults  []faultSpec
	expects []expectation
	spread  time.Duration
	limit   time.Duration
	linger  time.Duration
	text    string
}

type seedSpec struct{ up, lan, machines, cores value }

type siteSpec struct {
	name            string
	count, machines value
	egress, caches  value
	egressSet       bool
	wan, lan, loss  value
	delay, lanWait  value
	groups          []groupSpec
	neighbours      int
	vlan            int
	cores           value
	many            bool
}

type groupSpec struct {
	name     string
	from, to int
}

type updateSpec struct {
	name        string
	size, chunk value
	install     time.Duration
}

// order is one command of an admin at its time.
type order struct {
	at   value
	verb string
	what string
	args args
}

type faultSpec struct {
	name string
	args args
}

type expectation struct{ what, limit string }

func (s siteSpec) numbered() bool { return s.many }

func (s siteSpec) lanDelay() time.Duration { return time.Duration(s.lanWait.low) }

func (s siteSpec) wanDelay(rng *rand.Rand) time.Duration {
	if s.machines == (value{}) {
		return 0 // the seed's own site
	}
	return max(s.delay.drawTime(rng), time.Millisecond)
}

//go:embed scenarios/*.txt
var shipped embed.FS

// Scenarios names the scenarios that the program carries.
func Scenarios() []string {
	files, err := fs.Glob(shipped, "scenarios/*.txt")
	if err != nil {
		panic(err) // the pattern is constant
	}
	var out []string
	for _, f := range files {
		out = append(out, strings.TrimSuffix(path.Base(f), ".txt"))
	}
	return out
}

// OpenScenario reads one of them; fs.ErrNotExist if there is none of the name.
func OpenScenario(name string) (*Scenario, error) {
	if !policy.ValidName(name) {
		return nil, fmt.Errorf("scenario %.60q: %w", name, fs.ErrNotExist)
	}
	b, err := shipped.ReadFile("scenarios/" + name + ".txt")
	if err != nil {
		return nil, fmt.Errorf("scenario %s: %w", name, err)
	}
	return ParseScenario(name, string(b))
}

// MostMachines is how many machines a run may have.
func (sc *Scenario) MostMachines() int {
	n := 1 + sc.seed.machines.high
	for _, s := range sc.sites {
		n += max(s.count.high, 1) * max(s.machines.high, 1)
	}
	return int(n)
}

// MaxScenarioBytes bounds a scenario's text.
const MaxScenarioBytes = 1 << 20

// ParseScenario reads a scenario. ErrScenario names the line.
func ParseScenario(name, text string) (*Scenario, error) {
	if len(text) > MaxScenarioBytes {
		return nil, fmt.Errorf("scenario of %d bytes: %w", len(text), ErrScenario)
	}
	sc := &Scenario{
		Name: word(name), text: text, limit: 4 * time.Hour, spread: 2 * time.Second,
		seed: seedSpec{up: exactly(1e9 / 8), lan: exactly(1e9 / 8)},
	}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line, _, _ = strings.Cut(line, "#")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		if err := sc.line(words); err != nil {
			return nil, fmt.Errorf("scenario %s, line %d: %w", name, n, err)
		}
	}
	if len(sc.sites) == 0 && sc.seed.machines.high < 1 {
		return nil, fmt.Errorf("scenario %s has no site: %w", name, ErrScenario)
	}
	return sc, nil
}

func (sc *Scenario) line(words []string) error {
	verb, rest := words[0], words[1:]
	switch verb {
	case "title":
		sc.Title = strings.Join(rest, " ")
		return nil
	case "start", "limit", "linger":
		return sc.timeLine(verb, rest)
	case "expect":
		for _, w := range rest {
			k, v, ok := strings.Cut(w, "=")
			if !ok || !slices.Contains(expectable, k) {
				return bad("expectation", w)
			}
			sc.expects = append(sc.expects, expectation{k, v})
		}
		return nil
	case "at":
		return sc.orderLine(rest)
	}
	named := 0
	if verb == "site" || verb == "update" || verb == "fault" {
		named = 1
	}
	if len(rest) < named {
		return bad("line without a name", strings.Join(words, " "))
	}
	a, err := parseArgs(rest[named:])
	if err != nil {
		return err
	}
	switch verb {
	case "seed":
		err = errors.Join(a.value("up", &sc.seed.up, parseRate), a.value("lan", &sc.seed.lan, parseRate),
			a.value("machines", &sc.seed.machines, parseNumber), a.value("cores", &sc.seed.cores, parseNumber))
		if sc.seed.machines.high > maxMachines {
			err = errors.Join(err, bad("number of machines", a.text("machines", "")))
		}
	case "site":
		err = sc.siteLine(rest[0], a)
	case "update":
		err = sc.updateLine(rest[0], a)
	case "fault":
		if _, known := faults[rest[0]]; !known {
			return bad("fault", rest[0])
		}
		sc.faults = append(sc.faults, faultSpec{rest[0], a})
		return nil // its words are read when it is planned
	default:
		return bad("word", verb)
	}
	return errors.Join(err, a.rest())
}

func (sc *Scenario) timeLine(verb string, rest []string) error {
	if len(rest) != 1 {
		return bad("time", strings.Join(rest, " "))
	}
	t, err := parseTime(rest[0])
	if err != nil || t < 0 {
		return bad("time", rest[0])
	}
	*map[string]*time.Duration{"start": &sc.spread, "limit": &sc.limit, "linger": &sc.linger}[verb] = time.Duration(t)
	return nil
}

func (sc *Scenario) siteLine(name string, a args) error {
	if !policy.ValidName(name) || name == "hq" {
		return bad("site name", name)
	}
	s := siteSpec{
		name: name, count: exactly(1), machines: exactly(1), egress: exactly(0), egressSet: a.has("egress"), many: a.has("count"),
		wan: value{log: true}, lan: value{low: 1e9 / 8, high: 1e9 / 8, log: true}, delay: exactly(float64(15 * time.Millisecond)),
		lanWait: exactly(float64(300 * time.Microsecond)),
	}
	var neighbours, vlan value
	err := errors.Join(
		a.value("count", &s.count, parseNumber), a.value("machines", &s.machines, parseNumber), a.value("egress", &s.egress, parseNumber),
		a.value("caches", &s.caches, parseNumber),
		a.value("wan", &s.wan, parseRate), a.value("lan", &s.lan, parseRate), a.value("loss", &s.loss, parseShare),
		a.value("delay", &s.delay, parseTime), a.value("lan-delay", &s.lanWait, parseTime), a.value("neighbours", &neighbours, parseNumber),
		a.value("cores", &s.cores, parseNumber), a.value("vlan", &vlan, parseNumber),
	)
	s.neighbours, s.vlan = int(neighbours.low), int(vlan.low)
	for g := range strings.SplitSeq(a.text("groups", ""), ",") {
		if g == "" {
			continue
		}
		var spec groupSpec
		name, span, _ := strings.Cut(g, ":")
		spec.name = name
		if _, e := fmt.Sscanf(span, "%d-%d", &spec.from, &spec.to); e != nil || !policy.ValidName(name) {
			err = errors.Join(err, bad("group (want NAME:FROM-TO)", g))
		}
		spec.to++
		s.groups = append(s.groups, spec)
	}
	if s.machines.low < 1 || s.machines.high > maxMachines || s.count.high > maxMachines {
		err = errors.Join(err, bad("number of machines", a.text("machines", "")))
	}
	sc.sites = append(sc.sites, s)
	return err
}

func (sc *Scenario) updateLine(name string, a args) error {
	if _, err := policy.ParseUpdateID(name); err != nil {
		return bad("update", name)
	}
	u := updateSpec{name: name, size: value{low: 64 << 20, high: 64 << 20, log: true}, chunk: value{low: 256 << 10, high: 256 << 10, log: true}}
	install := exactly(float64(2 * time.Second))
	err := errors.Join(a.value("size", &u.size, parseSize), a.value("chunk", &u.chunk, parseSize), a.value("install", &install, parseTime))
	u.install = time.Duration(install.low)
	sc.updates = append(sc.updates, u)
	return err
}

// orderLine reads "TIME VERB [WHAT] [key=value...]".
func (sc *Scenario) orderLine(words []string) error {
	if len(words) < 2 {
		return bad("order", strings.Join(words, " "))
	}
	at, err := parseValue(words[0], parseTime)
	if err != nil {
		return err
	}
	o := order{at: at, verb: words[1]}
	rest := words[2:]
	needs, known := orderVerbs[o.verb]
	if !known {
		return bad("order", o.verb)
	}
	if needs {
		if len(rest) == 0 {
			return bad("order without an object", o.verb)
		}
		o.what, rest = rest[0], rest[1:]
	}
	if o.args, err = parseArgs(rest); err != nil {
		return err
	}
	sc.orders = append(sc.orders, o)
	return nil
}

// orderVerbs are what an admin can do, and whether it is done to something.
var orderVerbs = map[string]bool{"approve": true, "hold": true, "release": true, "revoke": true, "renew": false, "turn-key": false, "window": true, "orchestrate": true}
