package wire

import (
	"encoding/binary"
	"math"

	"patchmesh/content"
)

// MaxTrailHops bounds Trail.Hops, mostTrailWhat its kinds.
const (
	MaxTrailHops  = 24
	mostTrailWhat = 3
)

const maxTrailBody = 32 + 1 + 1 + MaxMachineBytes + maxVarint + 1

// Trail is the best way to the chunks of a payload that the sender knows of.
type Trail struct {
	Payload content.ID
	What    int    // the kind of what it leads to; 0: there is none any more, and the rest is empty
	Holder  string // the machine that it leads to
	Seq     uint64 // grows while the holder stands by its word
	Hops    int    // from the sender to the holder
}

// Kind is KindTrail.
func (Trail) Kind() Kind { return KindTrail }

func (t Trail) check() error {
	var c checks
	c.that(!t.Payload.IsZero(), "payload")
	c.size("kind of trail", t.What, mostTrailWhat)
	c.text("holder", t.Holder, MaxMachineBytes)
	c.size("hops", t.Hops, MaxTrailHops)
	c.that((t.What == 0) == (t.Holder == ""), "holder")
	return c.err
}

func (t Trail) appendBody(dst []byte) []byte {
	dst = binary.AppendUvarint(appendID(dst, t.Payload), uint64(t.What))
	dst = binary.AppendUvarint(appendText(dst, t.Holder), t.Seq)
	return binary.AppendUvarint(dst, uint64(t.Hops))
}

func decodeTrail(d *decoder) Message {
	t := Trail{
		Payload: d.id("payload"), What: d.int(mostTrailWhat, "kind of trail"), Holder: d.text(MaxMachineBytes, "holder"),
		Seq: d.uvarint(math.MaxUint64, "sequence"), Hops: d.int(MaxTrailHops, "hops"),
	}
	if (t.What == 0) != (t.Holder == "") {
		d.fail("holder", ErrFormat)
	}
	return t
}

// Relay asks the receiver to fetch a payload for the sender, or not to any more.
type Relay struct {
	Payload content.ID
	On      bool
}

// Kind is KindRelay.
func (Relay) Kind() Kind { return KindRelay }

func (r Relay) check() error {
	var c checks
	c.that(!r.Payload.IsZero(), "payload")
	return c.err
}
func (r Relay) appendBody(dst []byte) []byte { return appendBool(appendID(dst, r.Payload), r.On) }
func decodeRelay(d *decoder) Message {
	return Relay{Payload: d.id("payload"), On: d.bool("on flag")}
}
