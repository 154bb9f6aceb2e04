package sim

import (
	"encoding/hex"
	"hash"
	"strconv"
	"strings"
)

// TraceVersion stands in the first line of every trace. A reader refuses one that it does not know.
const TraceVersion = 1

// A trace is text, one fact a line, in the order of time:
//
//	patchmesh-trace 1 scenario=NAME seed=N
//	NS KIND KEY=VALUE...
//
// NS is virtual time since the start. Values hold no spaces. The kinds, with their keys:
//
//	site       name wan(bytes/s) lan(bytes/s) machines
//	machine    m site egress seed groups(comma) lies(comma) [cache=1]
//	update     u payload chunks chunk_bytes bytes
//	expect     what limit
//	publish    epoch head root expires                     a seed has published a set of documents
//	approval   head u rev group action not_before deadline    what is in it; times in ns since the start
//	hold       head id u group expires
//	window     head id group opens lasts       each day, so long after the time of day at which the run began; ns
//	revoked    head m
//	boot       m epoch head           what it knew when it started
//	down       m why
//	move       m site
//	adopt      m epoch head root      verified and durable
//	stored     m u i from tier(lan|wan|media) bytes fresh good
//	stick      m way(out|in) head wrong    is written on a machine, or read there; wrong: somebody has changed it
//	wan        site u bytes           payload bytes that began to cross a site's line
//	refused    m from reason
//	whole      m u                    all chunks are there and the payload was hashed again
//	install    m u rev whole bad clock(ns)    begins; bad: chunks on disk that are not what was signed
//	installed  m u rev
//	failed     m u                    the installation failed and changed nothing
//	remove     m u clock(ns)          begins
//	removed    m u
//	claim      m u                    holds the WAN lease
//	release    m u
//	load       m sessions asks waiting queued    at the end, and before where it is much
//	fault      name what
//	quiet                             all faults that end have ended
//	end        why

// tracer joins what sites say into one text and one hash.
type tracer struct {
	sinks []func(line []byte)
	sum   hash.Hash64
	lines int64
}

func (t *tracer) line(b []byte) {
	t.lines++
	_, _ = t.sum.Write(b)
	_, _ = t.sum.Write([]byte{'\n'})
	for _, f := range t.sinks {
		f(b)
	}
}

func (t *tracer) hash() string { return hex.EncodeToString(t.sum.Sum(nil)) }

// journal is what one site has said in the present window.
type journal struct {
	on    bool
	text  []byte
	lines []said
}

// forget drops the lines before an instant. They stand in the order of time.
func (j *journal) forget(before int64) {
	n := 0
	for n < len(j.lines) && j.lines[n].at < before {
		n++
	}
	if n == len(j.lines) {
		j.text, j.lines = j.text[:0], j.lines[:0]
		return
	}
	off := j.lines[n].begin
	j.text = j.text[:copy(j.text, j.text[off:])]
	j.lines = j.lines[:copy(j.lines, j.lines[n:])]
	for i := range j.lines {
		j.lines[i].begin -= off
		j.lines[i].end -= off
	}
}

// said is one line of a journal.
type said struct {
	at         int64
	begin, end int
}

// sentence is a line being written. The zero value swallows everything: nobody listens.
type sentence struct {
	j     *journal
	at    int64
	begin int
}

func (j *journal) say(at int64, kind string) sentence {
	if !j.on {
		return sentence{}
	}
	s := sentence{j, at, len(j.text)}
	j.text = strconv.AppendInt(j.text, at, 10)
	j.text = append(append(j.text, ' '), kind...)
	return s
}

func (s sentence) str(key, value string) sentence {
	if s.j != nil {
		s.j.text = append(append(append(append(s.j.text, ' '), key...), '='), value...)
	}
	return s
}

func (s sentence) num(key string, n int64) sentence {
	if s.j != nil {
		s.j.text = append(append(append(s.j.text, ' '), key...), '=')
		s.j.text = strconv.AppendInt(s.j.text, n, 10)
	}
	return s
}

func (s sentence) yes(key string, b bool) sentence {
	n := int64(0)
	if b {
		n = 1
	}
	return s.num(key, n)
}

func (s sentence) end() {
	if s.j != nil {
		s.j.lines = append(s.j.lines, said{s.at, s.begin, len(s.j.text)})
	}
}

// word makes any text fit to stand as a value.
func word(s string) string {
	if s == "" {
		return "-"
	}
	return strings.Map(func(r rune) rune {
		if r <= ' ' || r == '=' || r == 0x7f {
			return '_'
		}
		return r
	}, s)
}
