package wire

import "encoding/binary"

// Limits of what tells news.
const (
	MaxTimestampBytes = 16 << 10  // a signed TUF timestamp
	MaxReportBytes    = 256 << 10 // a signed report
	MaxMachineBytes   = 128       // a machine's identity as text
	MaxPeerHints      = 64
	MaxAddrBytes      = 64 // "ip:port"
)

const (
	maxReportBody    = 2 + MaxMachineBytes + 8 + 3 + MaxReportBytes
	maxReportAckBody = 2 + MaxMachineBytes + 8
	maxPeersBody     = 1 + MaxPeerHints*(2+MaxMachineBytes+1+MaxAddrBytes)
)

// Flags tells what changed about the sender.
type Flags struct{ Egress bool }

// Kind is KindFlags.
func (Flags) Kind() Kind                     { return KindFlags }
func (Flags) check() error                   { return nil }
func (f Flags) appendBody(dst []byte) []byte { return appendBool(dst, f.Egress) }
func decodeFlags(d *decoder) Message         { return Flags{Egress: d.bool("egress flag")} }

// Head announces a signed TUF timestamp.
type Head struct{ Timestamp []byte }

// Kind is KindHead.
func (Head) Kind() Kind { return KindHead }

func (h Head) check() error {
	var c checks
	c.size("timestamp", len(h.Timestamp), MaxTimestampBytes)
	return c.err
}
func (h Head) appendBody(dst []byte) []byte { return appendBytes(dst, h.Timestamp) }
func decodeHead(d *decoder) Message {
	return Head{Timestamp: d.bytes(MaxTimestampBytes, "timestamp")}
}

// Report carries one machine's signed report towards the seed, perhaps through others.
type Report struct {
	Machine string
	Seq     uint64
	Body    []byte // signed and opaque here
}

// Kind is KindReport.
func (Report) Kind() Kind { return KindReport }

func (r Report) check() error {
	var c checks
	c.text("machine", r.Machine, MaxMachineBytes)
	c.size("report", len(r.Body), MaxReportBytes)
	return c.err
}

func (r Report) appendBody(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(appendText(dst, r.Machine), r.Seq)
	return appendBytes(dst, r.Body)
}

func decodeReport(d *decoder) Message {
	return Report{Machine: d.text(MaxMachineBytes, "machine"), Seq: d.uint64("sequence"),
		Body: d.bytes(MaxReportBytes, "report")}
}

// ReportAck says that a report is kept durably.
type ReportAck struct {
	Machine string
	Seq     uint64
}

// Kind is KindReportAck.
func (ReportAck) Kind() Kind { return KindReportAck }

func (r ReportAck) check() error {
	var c checks
	c.text("machine", r.Machine, MaxMachineBytes)
	return c.err
}

func (r ReportAck) appendBody(dst []byte) []byte {
	return binary.BigEndian.AppendUint64(appendText(dst, r.Machine), r.Seq)
}

func decodeReportAck(d *decoder) Message {
	return ReportAck{Machine: d.text(MaxMachineBytes, "machine"), Seq: d.uint64("sequence")}
}

// PeerAddr is a hint where a peer may be reached.
type PeerAddr struct{ ID, Addr string }

// Peers gives hints: addresses worth trying, nothing more.
type Peers struct{ Peers []PeerAddr }

// Kind is KindPeers.
func (Peers) Kind() Kind { return KindPeers }

func (p Peers) check() error {
	var c checks
	c.size("peers", len(p.Peers), MaxPeerHints)
	for _, a := range p.Peers {
		c.text("peer", a.ID, MaxMachineBytes)
		c.text("address", a.Addr, MaxAddrBytes)
	}
	return c.err
}

func (p Peers) appendBody(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(p.Peers)))
	for _, a := range p.Peers {
		dst = appendText(appendText(dst, a.ID), a.Addr)
	}
	return dst
}

func decodePeers(d *decoder) Message {
	var p Peers
	for n := d.int(MaxPeerHints, "peers"); n > 0 && d.err == nil; n-- {
		p.Peers = append(p.Peers, PeerAddr{ID: d.text(MaxMachineBytes, "peer"), Addr: d.text(MaxAddrBytes, "address")})
	}
	return p
}
