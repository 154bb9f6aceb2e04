package wire

import (
	"encoding/binary"
	"math"
)

// MaxCertBytes bounds a membership certificate.
const MaxCertBytes = 2 << 10

const maxHelloBody = 4 + 3 + MaxCertBytes + 3 + 2 + 10 + 16

// maxVersion bounds Hello.Version, far above any real one.
const maxVersion = 1 << 16

// Hello is the first message of either side.
type Hello struct {
	Version     int    // of the messages within this protocol: VersionFirst or later
	Cert        []byte // membership certificate, opaque here, at most MaxCertBytes
	Port        int    // port on which the sender listens, 1 to 65535
	Seed        bool   // the sender says it is a seed; the roster decides
	Egress      bool   // the sender may use the WAN now
	HeadVersion int64  // newest TUF timestamp version it trusts; 0 before the first

	// Boot names one run of the sender's program and Seq orders its hellos within that run. The
	// transport sets both.
	Boot, Seq uint64
}

// Kind is KindHello.
func (Hello) Kind() Kind { return KindHello }

func (h Hello) check() error {
	var c checks
	c.that(h.Version >= 1 && h.Version <= maxVersion, "version")
	c.size("certificate", len(h.Cert), MaxCertBytes)
	c.that(h.Port >= 1 && h.Port <= math.MaxUint16, "port")
	c.that(h.HeadVersion >= 0, "head version")
	return c.err
}

func (h Hello) appendBody(dst []byte) []byte {
	dst = binary.AppendUvarint(dst, uint64(h.Version))
	dst = appendBytes(dst, h.Cert)
	dst = binary.AppendUvarint(dst, uint64(h.Port))
	dst = appendBool(dst, h.Seed)
	dst = appendBool(dst, h.Egress)
	dst = binary.AppendUvarint(dst, uint64(h.HeadVersion))
	dst = binary.BigEndian.AppendUint64(dst, h.Boot)
	return binary.BigEndian.AppendUint64(dst, h.Seq)
}

func decodeHello(d *decoder) Message {
	h := Hello{
		Version:     d.int(maxVersion, "version"),
		Cert:        d.bytes(MaxCertBytes, "certificate"),
		Port:        d.int(math.MaxUint16, "port"),
		Seed:        d.bool("seed flag"),
		Egress:      d.bool("egress flag"),
		HeadVersion: int64(d.uvarint(math.MaxInt64, "head version")),
		Boot:        d.uint64("boot"),
		Seq:         d.uint64("sequence"),
	}
	if h.Version == 0 || h.Port == 0 {
		d.fail("version or port is zero", ErrFormat)
	}
	return h
}

// Ready is the dialler's answer to the other side's hello: both have admitted each other.
type Ready struct{}

// Kind is KindReady.
func (Ready) Kind() Kind                   { return KindReady }
func (Ready) check() error                 { return nil }
func (Ready) appendBody(dst []byte) []byte { return dst }

// Ping says nothing but "I am here". It is not answered: both sides send their own.
type Ping struct{}

// Kind is KindPing.
func (Ping) Kind() Kind                   { return KindPing }
func (Ping) check() error                 { return nil }
func (Ping) appendBody(dst []byte) []byte { return dst }

// Code says why a session ends or does not begin, for the program at the other side.
type Code byte

// The codes of a Goodbye.
const (
	CodeClosing     Code = iota // the sender stops or does not need the session
	CodeDuplicate               // another connection between the two is or becomes the session
	CodeNotAdmitted             // the hello was refused
	CodeProtocol                // the receiver of this broke the protocol
	CodeTooSlow                 // the receiver of this did not keep up
	CodeRevoked                 // the receiver of this was locked out of the mesh
	codeEnd
)

// MaxReasonBytes bounds the text of a Goodbye.
const MaxReasonBytes = 200

const maxGoodbyeBody = 1 + 2 + MaxReasonBytes

// Goodbye is the last message of a session, or the refusal of one. The text is for people and comes
// from the other machine: show it as a quotation, act on nothing but the code.
type Goodbye struct {
	Code   Code
	Reason string
}

// Kind is KindGoodbye.
func (Goodbye) Kind() Kind { return KindGoodbye }

func (g Goodbye) check() error {
	var c checks
	c.that(g.Code < codeEnd, "code")
	c.text("reason", g.Reason, MaxReasonBytes)
	return c.err
}

func (g Goodbye) appendBody(dst []byte) []byte {
	return appendText(append(dst, byte(g.Code)), g.Reason)
}

func decodeGoodbye(d *decoder) Message {
	return Goodbye{
		Code:   Code(d.int(int(codeEnd)-1, "code")),
		Reason: d.text(MaxReasonBytes, "reason"),
	}
}
