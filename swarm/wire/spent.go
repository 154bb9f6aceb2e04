package wire

import (
	"encoding/binary"

	"patchmesh/swarm/rate"
)

// MaxSpentEntries bounds a Spent, MaxGateBytes a reason of a Gate.
const (
	MaxSpentEntries = 64
	MaxGateBytes    = 64
)

const (
	maxSpentBody = 1 + MaxSpentEntries*(2+MaxMachineBytes+4*maxVarint)
	maxGateBody  = 2 * (1 + MaxGateBytes)
)

// Spent says what machines of the site have taken from the WAN in their last day and month.
type Spent struct{ Entries []rate.Entry }

// Kind is KindSpent.
func (Spent) Kind() Kind { return KindSpent }

func (s Spent) check() error {
	var c checks
	c.that(len(s.Entries) > 0, "no entries")
	c.size("entries", len(s.Entries), MaxSpentEntries)
	for _, e := range s.Entries {
		c.text("machine", e.Machine, MaxMachineBytes)
		c.size("day", e.Day, maxDate)
		c.size("month", e.Month, maxDate)
		c.that(e.DayBytes >= 0 && e.DayBytes <= rate.MaxEntryBytes && e.MonthBytes >= 0 && e.MonthBytes <= rate.MaxEntryBytes, "bytes")
	}
	return c.err
}

// maxDate is the 31st of December 9999, as a number.
const maxDate = 99991231

func (s Spent) appendBody(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(s.Entries)))
	for _, e := range s.Entries {
		dst = appendText(dst, e.Machine)
		for _, v := range []uint64{uint64(e.Day), uint64(e.DayBytes), uint64(e.Month), uint64(e.MonthBytes)} {
			dst = binary.AppendUvarint(dst, v)
		}
	}
	return dst
}

func decodeSpent(d *decoder) Message {
	n := d.int(MaxSpentEntries, "entries")
	if n == 0 || n > len(d.b) {
		d.fail("entries", ErrFormat)
		return nil
	}
	s := Spent{Entries: make([]rate.Entry, n)}
	for i := range s.Entries {
		s.Entries[i] = rate.Entry{
			Machine: d.text(MaxMachineBytes, "machine"),
			Day:     d.int(maxDate, "day"), DayBytes: int64(d.uvarint(rate.MaxEntryBytes, "bytes of the day")),
			Month: d.int(maxDate, "month"), MonthBytes: int64(d.uvarint(rate.MaxEntryBytes, "bytes of the month")),
		}
	}
	return s
}

// Gate says why the sender serves nobody and why it leaves the WAN to others at present; empty: it does not.
type Gate struct{ Serve, WAN string }

// Kind is KindGate.
func (Gate) Kind() Kind { return KindGate }

func (g Gate) check() error {
	var c checks
	c.text("reason", g.Serve, MaxGateBytes)
	c.text("reason", g.WAN, MaxGateBytes)
	return c.err
}
func (g Gate) appendBody(dst []byte) []byte { return appendText(appendText(dst, g.Serve), g.WAN) }
func decodeGate(d *decoder) Message {
	return Gate{Serve: d.text(MaxGateBytes, "reason"), WAN: d.text(MaxGateBytes, "reason")}
}
