package apply

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"patchmesh/content"
	"patchmesh/policy"
)

// A verb is what a connection is for. There are six.
type verb byte

const (
	verbMetadata verb = 1 + iota // offer metadata: a head follows
	verbObject                   // offer object: the payload of a descriptor
	verbSchedule                 // carry out an order
	verbStatus
	verbRestart // look whether a restart is needed, or restart now
	verbProved  // the caller's program, a new version of patchmesh, is well
)

// Order is what Schedule may ask for.
type Order byte

// The orders.
const (
	Detect Order = 1 + iota
	Install
	Remove
	restartNow // of restart alone
	// InstallAtShutdown is Install on a machine that is being shut down.
	InstallAtShutdown
)

func (o Order) String() string {
	switch o {
	case Detect:
		return "detect"
	case Install:
		return "install"
	case Remove:
		return "remove"
	case restartNow:
		return "restart"
	case InstallAtShutdown:
		return "install at shutdown"
	}
	return fmt.Sprintf("order %d", byte(o))
}

// request opens every connection. Its 48 bytes:
//
//	0  "PMA1"
//	4  verb
//	5  order, of schedule and restart; else 0
//	6  two zero bytes
//	8  32 bytes: SHA-256 of the descriptor, of object and schedule; of the caller's program, of proved; else 0
//	40 length, of metadata: bytes of the head that follows; else 0
type request struct {
	verb   verb
	order  Order
	id     content.ID
	length uint64
}

const (
	magic        = "PMA1"
	requestBytes = 48
)

// errProtocol: the other side does not speak our protocol. Nothing of it was believed.
var errProtocol = errors.New("not a message of the apply protocol")

func (r request) encode() []byte {
	b := make([]byte, requestBytes)
	copy(b, magic)
	b[4], b[5] = byte(r.verb), byte(r.order)
	sum := r.id.SHA256()
	copy(b[8:], sum[:])
	binary.BigEndian.PutUint64(b[40:], r.length)
	return b
}

// decodeRequest takes nothing that encode does not write, and nothing that a verb does not need.
func decodeRequest(b []byte) (request, error) {
	if len(b) != requestBytes || string(b[:4]) != magic || b[6] != 0 || b[7] != 0 {
		return request{}, errProtocol
	}
	r := request{verb: verb(b[4]), order: Order(b[5]), id: content.FromSHA256([32]byte(b[8:40])), length: binary.BigEndian.Uint64(b[40:])}
	named, ordered, long := !r.id.IsZero(), r.order != 0, r.length != 0
	var fits bool
	switch r.verb {
	case verbMetadata:
		fits = !named && !ordered && long && r.length <= policy.MaxTimestampBytes
	case verbObject:
		fits = named && !ordered && !long
	case verbSchedule:
		fits = named && (r.order >= Detect && r.order <= Remove || r.order == InstallAtShutdown) && !long
	case verbProved:
		fits = named && !ordered && !long
	case verbStatus:
		fits = !named && !ordered && !long
	case verbRestart:
		fits = !named && (r.order == Detect || r.order == restartNow) && !long
	}
	if !fits {
		return request{}, errProtocol
	}
	return r, nil
}

// An answer of the server begins with 8 bytes: kind, three zero bytes, length of the body.
type kind byte

const (
	kindNeed    kind = 'N' // body: a need; the client answers with a document
	kindGo      kind = 'G' // no body: send the payload now
	kindDone    kind = 'D' // body: JSON of the result; the end
	kindRefused kind = 'E' // body: JSON of an Error; the end
)

const (
	headerBytes = 8
	needBytes   = 48
	maxBody     = 64 << 10
)

func header(k byte, length int) []byte {
	b := make([]byte, headerBytes)
	b[0] = k
	binary.BigEndian.PutUint32(b[4:], uint32(length))
	return b
}

// readHeader reads the beginning of a message whose body may have most bytes.
func readHeader(r io.Reader, most int) (k byte, length int, err error) {
	var b [headerBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return 0, 0, err
	}
	n := binary.BigEndian.Uint32(b[4:])
	if b[1]|b[2]|b[3] != 0 || uint64(n) > uint64(most) {
		return 0, 0, errProtocol
	}
	return b[0], int(n), nil
}

// Need is a document that the role asks for: a root by its version, anything else by its hash.
type Need struct {
	RootVersion int64
	ID          content.ID
	MaxBytes    int
}

func (n Need) encode() []byte {
	b := make([]byte, needBytes)
	binary.BigEndian.PutUint64(b, uint64(n.RootVersion))
	sum := n.ID.SHA256()
	copy(b[8:], sum[:])
	binary.BigEndian.PutUint64(b[40:], uint64(n.MaxBytes))
	return b
}

func decodeNeed(b []byte) (Need, error) {
	if len(b) != needBytes {
		return Need{}, errProtocol
	}
	n := Need{
		RootVersion: int64(binary.BigEndian.Uint64(b)), ID: content.FromSHA256([32]byte(b[8:40])),
		MaxBytes: int(binary.BigEndian.Uint64(b[40:])),
	}
	if n.RootVersion < 0 || (n.RootVersion > 0) == !n.ID.IsZero() || n.MaxBytes < 1 || n.MaxBytes > policy.MaxManifestBytes {
		return Need{}, errProtocol
	}
	return n, nil
}

// The client's answer to a need: a header of kind 'P' (present) or 'A' (absent), then the document.
const (
	docPresent = 'P'
	docAbsent  = 'A'
)

func writeDocument(w io.Writer, b []byte, present bool) error {
	if !present {
		_, err := w.Write(header(docAbsent, 0))
		return err
	}
	if _, err := w.Write(header(docPresent, len(b))); err != nil {
		return err
	}
	_, err := w.Write(b)
	return err
}

// readDocument reads the answer to a need; nil is "absent". No more than most bytes are taken.
func readDocument(r io.Reader, most int) ([]byte, error) {
	k, n, err := readHeader(r, most)
	switch {
	case err != nil:
		return nil, err
	case k == docAbsent && n == 0:
		return nil, nil
	case k != docPresent || n == 0:
		return nil, errProtocol
	}
	b := make([]byte, n)
	_, err = io.ReadFull(r, b)
	return b, err
}

// writeAnswer sends one answer of the server with a JSON body.
func writeAnswer(w io.Writer, k kind, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encode answer: %w", err)
	}
	if len(b) > maxBody {
		return fmt.Errorf("answer of %d bytes: %w", len(b), errProtocol)
	}
	_, err = w.Write(append(header(byte(k), len(b)), b...))
	return err
}
