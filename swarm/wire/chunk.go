package wire

import (
	"bufio"
	"encoding/binary"
	"fmt"

	"patchmesh/content"
)

// Ask is one question of the chunk stream.
type Ask struct {
	Req     uint64 // chosen by the asker, not used again on this stream
	Payload content.ID
	Index   uint32 // below content.MaxChunks
}

// Cancel withdraws an ask. The ask is answered all the same: with StatusCancelled, or with its bytes
// if they are on their way already.
type Cancel struct{ Req uint64 }

// Status is the outcome of an ask.
type Status byte

// The outcomes of an ask.
const (
	StatusOK        Status = iota // the bytes follow
	StatusBusy                    // no slot: ask again later or elsewhere
	StatusNotFound                // this peer does not have the chunk
	StatusRefused                 // this peer will not serve it
	StatusCancelled               // withdrawn in time
	statusEnd
)

// String is the status for logs.
func (s Status) String() string {
	if s < statusEnd {
		return [...]string{"ok", "busy", "not-found", "refused", "cancelled"}[s]
	}
	return fmt.Sprintf("status-%d", byte(s))
}

// Answer precedes the Length bytes of a stored chunk; Length is 0 unless the status is StatusOK.
type Answer struct {
	Req    uint64
	Status Status
	Length uint32 // at most content.MaxChunkBytes
}

// Sizes of the frames of the chunk stream.
const (
	AskBytes    = 1 + 8 + 32 + 4
	CancelBytes = 1 + 8
	AnswerBytes = 1 + 8 + 1 + 4
)

const (
	tagAsk    = 'a'
	tagCancel = 'c'
	tagAnswer = 'r'
)

// AppendAsk appends the frame of a.
func AppendAsk(dst []byte, a Ask) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, tagAsk), a.Req)
	return binary.BigEndian.AppendUint32(appendID(dst, a.Payload), a.Index)
}

// AppendCancel appends the frame of c.
func AppendCancel(dst []byte, c Cancel) []byte {
	return binary.BigEndian.AppendUint64(append(dst, tagCancel), c.Req)
}

// PutAnswer writes the frame of a into the first AnswerBytes of dst, which stands right in front of
// the chunk's bytes so that both leave in one write.
func PutAnswer(dst []byte, a Answer) {
	dst[0] = tagAnswer
	binary.BigEndian.PutUint64(dst[1:], a.Req)
	dst[9] = byte(a.Status)
	binary.BigEndian.PutUint32(dst[10:], a.Length)
}

// ReadQuestion reads the next Ask or Cancel. io.EOF only between frames. The reader must buffer at
// least AskBytes.
func ReadQuestion(r *bufio.Reader) (any, error) {
	tag, err := r.Peek(1)
	if err != nil {
		return nil, err
	}
	switch tag[0] {
	case tagAsk:
		b, err := r.Peek(AskBytes)
		if err != nil {
			return nil, unexpectedEnd(err)
		}
		d := decoder{b: b[1:]}
		a := Ask{Req: d.uint64("request"), Payload: d.id("payload")}
		if d.err != nil {
			return nil, d.err
		}
		if a.Index = binary.BigEndian.Uint32(d.b); a.Index >= content.MaxChunks {
			return nil, fmt.Errorf("ask for chunk %d: %w", a.Index, ErrFormat)
		}
		_, err = r.Discard(AskBytes)
		return a, err
	case tagCancel:
		b, err := r.Peek(CancelBytes)
		if err != nil {
			return nil, unexpectedEnd(err)
		}
		c := Cancel{Req: binary.BigEndian.Uint64(b[1:])}
		_, err = r.Discard(CancelBytes)
		return c, err
	}
	return nil, fmt.Errorf("frame %#x on a chunk stream: %w", tag[0], ErrFormat)
}

// ReadAnswer reads the next Answer; its bytes follow in r. io.EOF only between frames. The reader
// must buffer at least AnswerBytes.
func ReadAnswer(r *bufio.Reader) (Answer, error) {
	b, err := r.Peek(AnswerBytes)
	if err != nil {
		if len(b) > 0 {
			err = unexpectedEnd(err)
		}
		return Answer{}, err
	}
	a := Answer{Req: binary.BigEndian.Uint64(b[1:]), Status: Status(b[9]), Length: binary.BigEndian.Uint32(b[10:])}
	switch {
	case b[0] != tagAnswer || a.Status >= statusEnd:
		return Answer{}, fmt.Errorf("answer of %s on a chunk stream: %w", a.Status, ErrFormat)
	case a.Length > content.MaxChunkBytes:
		return Answer{}, fmt.Errorf("answer of %d bytes: %w", a.Length, ErrTooLarge)
	case (a.Status == StatusOK) != (a.Length > 0):
		return Answer{}, fmt.Errorf("answer %s of %d bytes: %w", a.Status, a.Length, ErrFormat)
	}
	_, err = r.Discard(AnswerBytes)
	return a, err
}
