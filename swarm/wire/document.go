package wire

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"

	"patchmesh/content"
)

// MaxDocBytes bounds any document: the largest is a payload map.
const MaxDocBytes = content.MaxMapBytes

// DocKind says how a document is named.
type DocKind byte

// The ways to name a document.
const (
	DocContent        DocKind = iota + 1 // by content ID
	DocRoot                              // a TUF root by version: its bytes are not known before it is read
	DocReport                            // the peer's own signed report, for removable media
	DocErrands                           // renewal requests that the peer holds for the next medium
	DocAnswers                           // the newest list of answers to them, if it was made after RootVersion (Unix seconds)
	DocInventory                         // the peer's own signed and sealed inventory, for removable media
	DocReceiptsOwed                      // receipts with a number above RootVersion that the peer has signed and the asker has not
	DocReceiptsSigned                    // receipts of the asker with a number above RootVersion that the peer has signed
	DocReceipts                          // receipts of anybody that the peer holds, from RootVersion on in its list
)

// DocAsk asks for one document; it is the first frame of a document stream.
type DocAsk struct {
	Kind        DocKind
	ID          content.ID // of DocContent
	RootVersion int64      // of DocRoot, 1 or more; of DocAnswers and of receipts, 0 or more
	MaxBytes    int        // the asker reads no more; 1 to MaxDocBytes
}

// DocAnswer precedes the Length bytes of a document; Length is 0 when it was not found.
type DocAnswer struct {
	Found  bool
	Length int
}

// Sizes of the frames of the document stream.
const (
	DocAskBytes    = 1 + 32 + 8 + 4
	DocAnswerBytes = 1 + 4
)

func (a DocAsk) check() error {
	var c checks
	c.that(a.Kind >= DocContent && a.Kind <= DocReceipts, "document kind")
	c.that((a.Kind == DocContent) != a.ID.IsZero(), "document id")
	c.that((a.Kind == DocAnswers || a.Kind >= DocReceiptsOwed) && a.RootVersion >= 0 || (a.Kind == DocRoot) == (a.RootVersion > 0) && a.RootVersion >= 0, "root version")
	c.that(a.MaxBytes >= 1, "document size")
	c.size("document", a.MaxBytes, MaxDocBytes)
	return c.err
}

// AppendDocAsk appends the frame of a.
func AppendDocAsk(dst []byte, a DocAsk) ([]byte, error) {
	if err := a.check(); err != nil {
		return dst, fmt.Errorf("document ask: %w", err)
	}
	dst = appendID(append(dst, byte(a.Kind)), a.ID)
	dst = binary.BigEndian.AppendUint64(dst, uint64(a.RootVersion))
	return binary.BigEndian.AppendUint32(dst, uint32(a.MaxBytes)), nil
}

// ReadDocAsk reads a DocAsk.
func ReadDocAsk(r io.Reader) (DocAsk, error) {
	var b [DocAskBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return DocAsk{}, unexpectedEnd(err)
	}
	version := binary.BigEndian.Uint64(b[33:])
	if version > math.MaxInt64 {
		return DocAsk{}, fmt.Errorf("root version %d: %w", version, ErrFormat)
	}
	a := DocAsk{
		Kind: DocKind(b[0]), ID: content.FromSHA256([32]byte(b[1:33])),
		RootVersion: int64(version), MaxBytes: int(binary.BigEndian.Uint32(b[41:])),
	}
	if err := a.check(); err != nil {
		return DocAsk{}, fmt.Errorf("document ask: %w", err)
	}
	return a, nil
}

// AppendDocAnswer appends the frame of a.
func AppendDocAnswer(dst []byte, a DocAnswer) []byte {
	return binary.BigEndian.AppendUint32(appendBool(dst, a.Found), uint32(a.Length))
}

// ReadDocAnswer reads a DocAnswer to an ask with that MaxBytes; ErrTooLarge if more is offered.
func ReadDocAnswer(r io.Reader, maxBytes int) (DocAnswer, error) {
	var b [DocAnswerBytes]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return DocAnswer{}, unexpectedEnd(err)
	}
	length := binary.BigEndian.Uint32(b[1:])
	switch {
	case b[0] > 1 || b[0] == 0 && length > 0:
		return DocAnswer{}, fmt.Errorf("document answer: %w", ErrFormat)
	case int64(length) > int64(maxBytes):
		return DocAnswer{}, fmt.Errorf("document of %d bytes, at most %d: %w", length, maxBytes, ErrTooLarge)
	}
	return DocAnswer{Found: b[0] == 1, Length: int(length)}, nil
}
