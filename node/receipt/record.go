package receipt

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
)

// Limits. A set of all chunks of the largest payload has 128 KiB, and grows twice by a third as text in JSON.
const (
	MaxLines       = 64
	MaxSetBytes    = 128 << 10 // of all sets of a document together
	MaxRecordBytes = 768 << 10
	MaxGivens      = 1024 // of a statement
	maxIDBytes     = 128
	maxSkew        = 24 * time.Hour
)

// Errors of what others have written.
var (
	ErrFormat    = errors.New("no receipt")
	ErrSignature = errors.New("a signature does not hold")
)

// Domains keep the signatures from being those of anything else.
const (
	receiptDomain = "patchmesh receipt v1\x00"
	answerDomain  = "patchmesh receipt answer v1\x00"
	givenDomain   = "patchmesh given v1\x00"
)

// Line is what moved of one payload over one tier: every chunk of Set once.
type Line struct {
	Payload content.ID `json:"payload"`
	Chunks  int        `json:"chunks"` // of the payload
	Set     []byte     `json:"set"`    // chunks that came; see content.Bits
	Bytes   int64      `json:"bytes"`  // of the set, as stored
	Tier    string     `json:"tier"`
	// Twice are the bytes of the set that were here already.
	Twice int64 `json:"twice,omitempty"`
}

// Receipt says what Receiver got from Sender; Sender is empty for what came from media or a mirror.
type Receipt struct {
	Receiver string    `json:"receiver"`
	Sender   string    `json:"sender,omitempty"`
	Seq      uint64    `json:"seq"`      // grows with every receipt from the one to the other
	FirstAt  time.Time `json:"first_at"` // of the first chunk, by the receiver's clock
	LastAt   time.Time `json:"last_at"`
	Lines    []Line    `json:"lines"`
}

// Answer is the sender's word on a receipt.
type Answer struct {
	Receipt   content.ID `json:"receipt"` // of its signed bytes
	At        time.Time  `json:"at"`      // by the sender's clock
	StartedAt time.Time  `json:"started_at"`
	Denied    []Denied   `json:"denied,omitempty"`
}

// Denied are chunks of a line that the sender has not in its books.
type Denied struct {
	Line  int    `json:"line"`
	Set   []byte `json:"set"`
	Bytes int64  `json:"bytes"`
}

// Given is what a machine gave and has no receipt for.
type Given struct {
	Machine string     `json:"machine"`
	At      time.Time  `json:"at"`
	Lines   []GivenSet `json:"lines"`
}

// GivenSet is a set of chunks of one payload that one machine was given; the same chunk is in as many sets as
// it was given times.
type GivenSet struct {
	Receiver string     `json:"receiver"`
	Payload  content.ID `json:"payload"`
	Chunks   int        `json:"chunks"`
	Set      []byte     `json:"set"`
	Bytes    int64      `json:"bytes"`
	LastAt   time.Time  `json:"last_at"`
}

// signed is a document with a signature.
type signed struct {
	Body []byte `json:"body"`
	Sig  []byte `json:"sig"`
}

// record is the stored form.
type record struct {
	Receipt *signed `json:"receipt,omitempty"`
	Answer  *signed `json:"answer,omitempty"`
	Given   *signed `json:"given,omitempty"`
}

// Record is one that was checked: either Receipt, perhaps with Answer, or Given.
type Record struct {
	Raw     []byte
	Receipt *Receipt
	Answer  *Answer
	Given   *Given

	id content.ID // of the receipt's signed bytes
}

// Key tells records apart: whose word it is, about whom, and its number; 0 for a given.
type Key struct {
	Owner, Peer string
	Seq         uint64
}

// Key is what tells r apart from others.
func (r *Record) Key() Key {
	if r.Given != nil {
		return Key{Owner: r.Given.Machine}
	}
	return Key{r.Receipt.Receiver, r.Receipt.Sender, r.Receipt.Seq}
}

// At is when it was true: of the last chunk, or of the statement.
func (r *Record) At() time.Time {
	if r.Given != nil {
		return r.Given.At
	}
	return r.Receipt.LastAt
}

// Settled says whether nobody else has anything to add to it.
func (r *Record) Settled() bool { return r.Given != nil || r.Answer != nil || r.Receipt.Sender == "" }

// Replaces decides between two records of the same key, whichever came first: a receipt with an answer before
// one without, the earlier answer, and the newer statement. So a machine that signs a number twice gains nothing.
func (r *Record) Replaces(old *Record) bool {
	switch {
	case r.Given != nil:
		return r.Given.At.After(old.Given.At)
	case r.Answer == nil || old.Answer == nil:
		return r.Answer != nil && old.Answer == nil
	}
	return r.Answer.At.Before(old.Answer.At)
}

// KeyOf gives the public key of a machine.
type KeyOf func(machine string) (ed25519.PublicKey, error)

// Sign makes the record of a receipt without an answer.
func (r *Receipt) Sign(key ed25519.PrivateKey) (*Record, error) {
	s, err := sign(key, receiptDomain, r)
	if err != nil {
		return nil, err
	}
	return seal(record{Receipt: s}, &Record{Receipt: r, id: content.Sum(s.Body)})
}

// Countersign adds the sender's answer to a receipt. a.Receipt is set here.
func (r *Record) Countersign(key ed25519.PrivateKey, a Answer) (*Record, error) {
	var raw record
	if r.Receipt == nil {
		return nil, ErrFormat
	}
	if err := decode(r.Raw, &raw); err != nil {
		return nil, err
	}
	a.Receipt = r.id
	s, err := sign(key, answerDomain, a)
	if err != nil {
		return nil, err
	}
	raw.Answer = s
	return seal(raw, &Record{Receipt: r.Receipt, Answer: &a, id: r.id})
}

// Sign makes the record of a statement.
func (g *Given) Sign(key ed25519.PrivateKey) (*Record, error) {
	s, err := sign(key, givenDomain, g)
	if err != nil {
		return nil, err
	}
	return seal(record{Given: s}, &Record{Given: g})
}

func sign(key ed25519.PrivateKey, domain string, doc any) (*signed, error) {
	body, err := json.Marshal(doc)
	if err != nil {
		return nil, fmt.Errorf("encode receipt: %w", err)
	}
	return &signed{body, ed25519.Sign(key, append([]byte(domain), body...))}, nil
}

func seal(raw record, r *Record) (*Record, error) {
	b, err := json.Marshal(raw)
	if err == nil && len(b) > MaxRecordBytes {
		err = fmt.Errorf("%d bytes: %w", len(b), ErrFormat)
	}
	if err != nil {
		return nil, fmt.Errorf("encode receipt: %w", err)
	}
	r.Raw = b
	return r, nil
}

// Open checks a record from outside: its form, its sizes and all of its signatures. now bounds what clocks may
// say. ErrFormat, ErrSignature.
func Open(raw []byte, key KeyOf, now time.Time) (*Record, error) {
	if len(raw) > MaxRecordBytes {
		return nil, fmt.Errorf("receipt of %d bytes: %w", len(raw), ErrFormat)
	}
	var s record
	if err := decode(raw, &s); err != nil {
		return nil, err
	}
	r := &Record{Raw: raw}
	switch {
	case s.Given != nil && s.Receipt == nil && s.Answer == nil:
		return r, r.openGiven(s.Given, key, now)
	case s.Receipt == nil || s.Given != nil:
		return nil, ErrFormat
	}
	r.Receipt, r.id = &Receipt{}, content.Sum(s.Receipt.Body)
	if err := decode(s.Receipt.Body, r.Receipt); err != nil {
		return nil, err
	}
	if err := r.Receipt.check(now); err != nil {
		return nil, err
	}
	if err := s.Receipt.verify(key, r.Receipt.Receiver, receiptDomain); err != nil {
		return nil, err
	}
	if s.Answer == nil {
		return r, nil
	}
	r.Answer = &Answer{}
	if err := decode(s.Answer.Body, r.Answer); err != nil {
		return nil, err
	}
	if err := r.checkAnswer(now); err != nil {
		return nil, err
	}
	return r, s.Answer.verify(key, r.Receipt.Sender, answerDomain)
}

func (r *Record) openGiven(s *signed, key KeyOf, now time.Time) error {
	r.Given = &Given{}
	if err := decode(s.Body, r.Given); err != nil {
		return err
	}
	if err := r.Given.check(now); err != nil {
		return err
	}
	return s.verify(key, r.Given.Machine, givenDomain)
}

func (s *signed) verify(key KeyOf, machine, domain string) error {
	pub, err := key(machine)
	if err != nil {
		return fmt.Errorf("receipt of %s: %w", api.Clean(machine), errors.Join(ErrSignature, err))
	}
	if !ed25519.Verify(pub, append([]byte(domain), s.Body...), s.Sig) {
		return fmt.Errorf("receipt of %s: %w", api.Clean(machine), ErrSignature)
	}
	return nil
}

// decode reads one JSON value of known fields, and nothing behind it.
func decode(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	err := d.Decode(into)
	if err == nil {
		if _, more := d.Token(); !errors.Is(more, io.EOF) {
			err = errors.New("something is behind it")
		}
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return nil
}

// tiersSigned are those whose sender can sign, tiersAlone the others.
var (
	tiersSigned = []string{api.TierSubnet, api.TierSite, api.TierNeighbour, api.TierSeed}
	tiersAlone  = []string{api.TierMedia, api.TierOrigin}
)

func (r *Receipt) check(now time.Time) error {
	tiers := tiersSigned
	if r.Sender == "" {
		tiers = tiersAlone
	}
	switch {
	case !plainID(r.Receiver) || r.Sender != "" && !plainID(r.Sender) || r.Receiver == r.Sender:
		return fmt.Errorf("%w: machines", ErrFormat)
	case r.Seq == 0 || int64(r.Seq) < 0:
		return fmt.Errorf("%w: number", ErrFormat)
	case len(r.Lines) == 0 || len(r.Lines) > MaxLines:
		return fmt.Errorf("%w: %d lines", ErrFormat, len(r.Lines))
	case !plausible(r.FirstAt, now) || !plausible(r.LastAt, now) || r.LastAt.Before(r.FirstAt):
		return fmt.Errorf("%w: times", ErrFormat)
	}
	sets := 0
	for _, l := range r.Lines {
		if sets += len(l.Set); sets > MaxSetBytes {
			return fmt.Errorf("%w: sets of %d bytes", ErrFormat, sets)
		}
		if !slices.Contains(tiers, l.Tier) || l.Payload.IsZero() || l.Twice < 0 || l.Twice > l.Bytes {
			return fmt.Errorf("%w: line", ErrFormat)
		}
		if _, err := readSet(l.Chunks, l.Set, l.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// plainID: IDs that nobody has to hold yet are shown to people, as what somebody has signed about others.
func plainID(id string) bool {
	return id != "" && len(id) <= maxIDBytes && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' })
}

// plausible: a clock may be wrong, but no document is from the day after tomorrow, or from before there were any.
func plausible(t, now time.Time) bool {
	return t.Year() >= 2020 && !t.After(now.Add(maxSkew))
}

// readSet reads a set that is not empty and whose bytes it could have.
func readSet(chunks int, set []byte, bytes int64) (*content.Bits, error) {
	b, err := content.BitsFromBytes(chunks, set)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	if b.Count() == 0 || bytes < int64(b.Count()) || bytes > int64(b.Count())*content.MaxChunkBytes {
		return nil, fmt.Errorf("%w: %d bytes in %d chunks", ErrFormat, bytes, b.Count())
	}
	return b, nil
}

func (r *Record) checkAnswer(now time.Time) error {
	a := r.Answer
	if a.Receipt != r.id || r.Receipt.Sender == "" || !plausible(a.At, now) || len(a.Denied) > len(r.Receipt.Lines) {
		return fmt.Errorf("%w: the answer is to something else", ErrFormat)
	}
	last := -1
	for _, d := range a.Denied {
		if d.Line <= last || d.Line >= len(r.Receipt.Lines) {
			return fmt.Errorf("%w: denied line %d", ErrFormat, d.Line)
		}
		last = d.Line
		l := r.Receipt.Lines[d.Line]
		set, err := readSet(l.Chunks, d.Set, d.Bytes)
		if err != nil {
			return err
		}
		of := l.bits()
		if d.Bytes > l.Bytes || common(set, of).Count() != set.Count() || (set.Count() == of.Count()) != (d.Bytes == l.Bytes) {
			return fmt.Errorf("%w: more is denied than was claimed", ErrFormat)
		}
	}
	return nil
}

func (g *Given) check(now time.Time) error {
	if !plainID(g.Machine) || len(g.Lines) > MaxGivens || !plausible(g.At, now) {
		return fmt.Errorf("%w: statement", ErrFormat)
	}
	sets, layers := 0, map[pair]int{}
	for _, l := range g.Lines {
		// Every chunk of a receipt is looked up in all of them: a thousand would keep whoever sums up busy for ever.
		p := pair{g.Machine, l.Receiver, l.Payload}
		if layers[p]++; layers[p] > maxLayers {
			return fmt.Errorf("%w: payload %s given more than %d times", ErrFormat, l.Payload.Short(), maxLayers)
		}
		if sets += len(l.Set); sets > MaxSetBytes {
			return fmt.Errorf("%w: sets of %d bytes", ErrFormat, sets)
		}
		if !plainID(l.Receiver) || l.Receiver == g.Machine || l.Payload.IsZero() || l.LastAt.After(now.Add(maxSkew)) {
			return fmt.Errorf("%w: line", ErrFormat)
		}
		if _, err := readSet(l.Chunks, l.Set, l.Bytes); err != nil {
			return err
		}
	}
	return nil
}

// bits is the set of a line that was checked.
func (l Line) bits() *content.Bits { return mustBits(l.Chunks, l.Set) }

func mustBits(chunks int, set []byte) *content.Bits {
	b, err := content.BitsFromBytes(chunks, set)
	if err != nil {
		return content.NewBits(chunks) // checked before: never
	}
	return b
}

// common is what both have.
func common(a, b *content.Bits) *content.Bits {
	out := content.NewBits(a.Len())
	each(a, func(i int) {
		if b.Has(i) {
			out.Set(i)
		}
	})
	return out
}

// each calls f for what is in a set, in order.
func each(b *content.Bits, f func(i int)) {
	for w := 0; w*64 < b.Len(); w++ {
		if b.Word(w) == 0 {
			continue
		}
		for i := w * 64; i < min(w*64+64, b.Len()); i++ {
			if b.Has(i) {
				f(i)
			}
		}
	}
}

// Read reads a record that was checked before it was kept. ErrFormat.
func Read(raw []byte) (*Record, error) {
	var s record
	if err := decode(raw, &s); err != nil {
		return nil, err
	}
	r := &Record{Raw: raw}
	if s.Given != nil {
		r.Given = &Given{}
		return r, decode(s.Given.Body, r.Given)
	}
	if s.Receipt == nil {
		return nil, ErrFormat
	}
	r.Receipt, r.id = &Receipt{}, content.Sum(s.Receipt.Body)
	if err := decode(s.Receipt.Body, r.Receipt); err != nil || s.Answer == nil {
		return r, err
	}
	r.Answer = &Answer{}
	return r, decode(s.Answer.Body, r.Answer)
}
