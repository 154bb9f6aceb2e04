package orch

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"unicode/utf8"
)

// Phase is what a member is up to.
type Phase byte

// The phases.
const (
	Idle    Phase = iota // it has nothing to do
	Pending              // it has, and is not ready
	Waiting              // it is ready and in line
	Asking               // it asks for a slot
	Holding              // it has one
	Failed               // it had one, and failed where that stops all
)

// String is the word for people.
func (p Phase) String() string {
	return [...]string{"idle", "pending", "waiting", "asking", "holding", "failed"}[p]
}

// Mark stands for a member in votes: its name is long. Members of one orchestration have different marks.
type Mark [8]byte

// MarkOf is the mark of a member.
func MarkOf(member string) Mark {
	sum := sha256.Sum256([]byte(member))
	return Mark(sum[:8])
}

// Vote says that a slot is a member's, for one ballot.
type Vote struct {
	Slot   int
	To     Mark
	Ballot uint64
}

// Card is all that a member says. Of two of one member the one with the greater Seq counts.
type Card struct {
	Name       string // of the orchestration
	Member     string
	Seq        uint64
	Generation uint64 // of the orchestration, as the member knows it
	Epoch      uint64 // of the approvals that its phase follows from
	Reset      int
	Phase      Phase
	Ballot     uint64
	Slot       int    // while asking, holding or failed
	Turns      uint64 // slots that it has had
	Locked     bool   // it votes for nobody before the next reset
	Votes      []Vote // sorted by slot
}

// Limits of a card.
const (
	MaxSlots     = 128
	MaxMembers   = 1000
	MaxCardBytes = 4 << 10 // the body
	SigBytes     = 64

	maxName   = 64
	maxMember = 128
	maxCount  = 1 << 62
	maxReset  = 1 << 30

	cardVersion = 1
	cardDomain  = "patchmesh orchestration card v1\x00"
)

// ErrCard: the bytes are no card.
var ErrCard = errors.New("no card of an orchestration")

// Encode gives the body of a card: equal cards have equal bytes. ErrCard.
func (c Card) Encode() ([]byte, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	b := []byte{cardVersion}
	for _, s := range []string{c.Name, c.Member} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	locked := uint64(0)
	if c.Locked {
		locked = 1
	}
	for _, v := range []uint64{c.Seq, c.Generation, c.Epoch, uint64(c.Reset), uint64(c.Phase), c.Ballot, uint64(c.Slot), c.Turns, locked, uint64(len(c.Votes))} {
		b = binary.AppendUvarint(b, v)
	}
	for _, v := range c.Votes {
		b = append(binary.AppendUvarint(b, uint64(v.Slot)), v.To[:]...)
		b = binary.AppendUvarint(b, v.Ballot)
	}
	if len(b) > MaxCardBytes {
		return nil, fmt.Errorf("card of %d bytes: %w", len(b), ErrCard)
	}
	return b, nil
}

func (c Card) check() error {
	switch {
	case c.Name == "" || len(c.Name) > maxName || !plain(c.Name), c.Member == "" || len(c.Member) > maxMember || !plain(c.Member):
		return fmt.Errorf("names: %w", ErrCard)
	case c.Phase > Failed, c.Slot < 0 || c.Slot >= MaxSlots, c.Reset < 0 || c.Reset > maxReset, len(c.Votes) > MaxSlots:
		return fmt.Errorf("phase %d, slot %d, reset %d, %d votes: %w", c.Phase, c.Slot, c.Reset, len(c.Votes), ErrCard)
	}
	for i, v := range c.Votes {
		if v.Slot < 0 || v.Slot >= MaxSlots || i > 0 && c.Votes[i-1].Slot >= v.Slot {
			return fmt.Errorf("vote for slot %d: %w", v.Slot, ErrCard)
		}
	}
	return nil
}

func plain(s string) bool {
	return utf8.ValidString(s) && !slices.ContainsFunc([]rune(s), func(r rune) bool { return r < ' ' || r == 0x7f })
}

// DecodeCard reads the body of a card. ErrCard.
func DecodeCard(b []byte) (Card, error) {
	var c Card
	if len(b) > MaxCardBytes || len(b) == 0 || b[0] != cardVersion {
		return c, fmt.Errorf("%d bytes: %w", len(b), ErrCard)
	}
	r := reader{b: b[1:]}
	c.Name, c.Member = r.text(maxName), r.text(maxMember)
	c.Seq, c.Generation, c.Epoch = r.number(maxCount), r.number(maxCount), r.number(maxCount)
	c.Reset, c.Phase = int(r.number(maxReset)), Phase(r.number(uint64(Failed)))
	c.Ballot, c.Slot, c.Turns = r.number(maxCount), int(r.number(MaxSlots-1)), r.number(maxCount)
	c.Locked = r.number(1) == 1
	for n := r.number(MaxSlots); n > 0 && !r.bad; n-- {
		v := Vote{Slot: int(r.number(MaxSlots - 1))}
		copy(v.To[:], r.take(len(v.To)))
		v.Ballot = r.number(maxCount)
		c.Votes = append(c.Votes, v)
	}
	if r.bad || len(r.b) > 0 {
		return Card{}, fmt.Errorf("card of %d bytes: %w", len(b), ErrCard)
	}
	if err := c.check(); err != nil {
		return Card{}, err
	}
	return c, nil
}

// ToSign is what a member signs with its key: a card counts in one site of one organisation.
func ToSign(org, site string, body []byte) []byte {
	b := []byte(cardDomain)
	for _, s := range []string{org, site} {
		b = append(binary.AppendUvarint(b, uint64(len(s))), s...)
	}
	return append(b, body...)
}

// reader walks over a body; what is wrong sticks.
type reader struct {
	b   []byte
	bad bool
}

func (r *reader) take(n int) []byte {
	if r.bad || n > len(r.b) {
		r.bad = true
		return nil
	}
	out := r.b[:n]
	r.b = r.b[n:]
	return out
}

// number reads one of at most most, in its shortest form: equal cards must have equal bytes.
func (r *reader) number(most uint64) uint64 {
	v, n := binary.Uvarint(r.b)
	if r.bad || n <= 0 || v > most || n > 1 && r.b[n-1] == 0 {
		r.bad = true
		return 0
	}
	r.b = r.b[n:]
	return v
}

func (r *reader) text(most int) string { return string(r.take(int(r.number(uint64(most))))) }

func (c Card) equal(o Card) bool {
	votes := slices.Equal(c.Votes, o.Votes) // none is none, whether nil or empty
	c.Votes, o.Votes = nil, nil
	return votes && reflect.DeepEqual(c, o)
}
