package wire

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Limits of an enrolment: a stranger may send little, a seed's answer holds all trusted documents, of which
// a manifest of thousands of approvals is the largest.
const (
	MaxEnrolRequestBytes = 8 << 10
	MaxEnrolAnswerBytes  = 8 << 20
)

// WriteEnrolRequest writes a request to join: four bytes of length and the request, opaque here.
func WriteEnrolRequest(w io.Writer, request []byte) error {
	if len(request) == 0 || len(request) > MaxEnrolRequestBytes {
		return fmt.Errorf("enrolment request of %d bytes: %w", len(request), ErrTooLarge)
	}
	_, err := w.Write(append(binary.BigEndian.AppendUint32(nil, uint32(len(request))), request...))
	return err
}

// ReadEnrolRequest reads a request to join.
func ReadEnrolRequest(r io.Reader) ([]byte, error) {
	return readSized(r, MaxEnrolRequestBytes, "enrolment request")
}

// WriteEnrolAnswer writes the answer, or the reason of a refusal when answer is nil.
func WriteEnrolAnswer(w io.Writer, answer []byte, refusal string) error {
	body, ok := answer, byte(1)
	if answer == nil {
		body, ok = []byte(cutText(refusal)), 0
		if len(body) == 0 {
			body = []byte("refused")
		}
	}
	if len(body) > MaxEnrolAnswerBytes {
		return fmt.Errorf("enrolment answer of %d bytes: %w", len(body), ErrTooLarge)
	}
	head := binary.BigEndian.AppendUint32([]byte{ok}, uint32(len(body)))
	_, err := w.Write(append(head, body...))
	return err
}

// ReadEnrolAnswer reads the answer; ok is false when it is a refusal and refusal its reason, a text
// of the other machine.
func ReadEnrolAnswer(r io.Reader) (answer []byte, refusal string, ok bool, err error) {
	var flag [1]byte
	if _, err := io.ReadFull(r, flag[:]); err != nil {
		return nil, "", false, unexpectedEnd(err)
	}
	switch flag[0] {
	case 1:
		answer, err = readSized(r, MaxEnrolAnswerBytes, "enrolment answer")
		return answer, "", err == nil, err
	case 0:
		b, err := readSized(r, MaxReasonBytes, "enrolment refusal")
		if err == nil && !plainText(string(b)) {
			err = fmt.Errorf("enrolment refusal: %w", ErrFormat)
		}
		return nil, string(b), false, err
	}
	return nil, "", false, fmt.Errorf("enrolment answer: %w", ErrFormat)
}

// readSized reads four bytes of length and that many bytes. Memory grows with what arrives, not
// with what is claimed.
func readSized(r io.Reader, most int, what string) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, unexpectedEnd(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n == 0 || int64(n) > int64(most) {
		return nil, fmt.Errorf("%s of %d bytes, at most %d: %w", what, n, most, ErrTooLarge)
	}
	return ReadBody(r, int(n))
}

// ReadBody reads exactly n bytes. Memory grows with what arrives, not with what is claimed: a peer
// that announces megabytes and sends nothing costs nothing. n was checked against a limit before.
func ReadBody(r io.Reader, n int) ([]byte, error) {
	const first = 64 << 10
	b := make([]byte, 0, min(n, first))
	for len(b) < n {
		if len(b) == cap(b) {
			grown := make([]byte, len(b), min(n, 4*cap(b)))
			copy(grown, b)
			b = grown
		}
		k, err := io.ReadFull(r, b[len(b):min(n, cap(b))])
		b = b[:len(b)+k]
		if err != nil {
			return nil, unexpectedEnd(err)
		}
	}
	return b, nil
}

// cutText makes a refusal fit to be sent: printable and short.
func cutText(s string) string {
	out := make([]byte, 0, MaxReasonBytes)
	for _, r := range s {
		if !plainText(string(r)) {
			r = '.'
		}
		if len(out)+4 > MaxReasonBytes {
			break
		}
		out = append(out, string(r)...)
	}
	return string(out)
}

// NewGoodbye makes a Goodbye whose text is cut and cleaned so that it can be sent.
func NewGoodbye(code Code, reason string) Goodbye {
	return Goodbye{Code: code, Reason: cutText(reason)}
}
