package wire

import (
	"encoding/binary"
	"fmt"
	"unicode"
	"unicode/utf8"

	"patchmesh/content"
)

// decoder walks over one body. The first error sticks and every later read gives zero values, so
// that a decoder reads like its list of fields.
type decoder struct {
	b   []byte
	err error
}

func (d *decoder) fail(what string, err error) {
	if d.err == nil {
		d.err = fmt.Errorf("%s: %w", what, err)
	}
	d.b = nil
}

// end refuses trailing bytes: they would be a second encoding of the same message.
func (d *decoder) end() error {
	if d.err == nil && len(d.b) != 0 {
		d.fail(fmt.Sprintf("%d bytes behind the message", len(d.b)), ErrFormat)
	}
	return d.err
}

func (d *decoder) take(n int, what string) []byte {
	if d.err != nil {
		return nil
	}
	if n > len(d.b) {
		d.fail(what, ErrFormat)
		return nil
	}
	out := d.b[:n:n]
	d.b = d.b[n:]
	return out
}

// uvarint reads a number of at most most, in its shortest form.
func (d *decoder) uvarint(most uint64, what string) uint64 {
	if d.err != nil {
		return 0
	}
	v, n := binary.Uvarint(d.b)
	if n <= 0 || n > 1 && d.b[n-1] == 0 {
		d.fail(what, ErrFormat)
		return 0
	}
	if v > most {
		d.fail(fmt.Sprintf("%s of %d, at most %d", what, v, most), ErrTooLarge)
		return 0
	}
	d.b = d.b[n:]
	return v
}

func (d *decoder) int(most int, what string) int { return int(d.uvarint(uint64(most), what)) }

func (d *decoder) bool(what string) bool {
	b := d.take(1, what)
	if len(b) == 1 && b[0] > 1 {
		d.fail(what, ErrFormat)
	}
	return len(b) == 1 && b[0] == 1
}

func (d *decoder) uint64(what string) uint64 {
	if b := d.take(8, what); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// id reads a content ID; the zero ID names nothing and is refused.
func (d *decoder) id(what string) content.ID {
	b := d.take(32, what)
	if b == nil {
		return content.ID{}
	}
	id := content.FromSHA256([32]byte(b))
	if id.IsZero() {
		d.fail(what+" is zero", ErrFormat)
	}
	return id
}

// bytes reads a length and that many bytes, copied.
func (d *decoder) bytes(most int, what string) []byte {
	n := d.int(most, what+" length")
	b := d.take(n, what)
	if len(b) == 0 {
		return nil
	}
	return append([]byte(nil), b...)
}

// text reads a name: valid UTF-8 without control characters, because it ends up in logs and terminals.
func (d *decoder) text(most int, what string) string {
	b := d.take(d.int(most, what+" length"), what)
	if d.err == nil && !plainText(string(b)) {
		d.fail(what, ErrFormat)
		return ""
	}
	return string(b)
}

func plainText(s string) bool {
	if !utf8.ValidString(s) {
		return false
	}
	for _, r := range s {
		if !unicode.IsPrint(r) {
			return false
		}
	}
	return true
}

// The append side: limits are checked there too, so that our own mistake is an error here instead
// of a refusal at the other end.

func appendBool(dst []byte, v bool) []byte {
	if v {
		return append(dst, 1)
	}
	return append(dst, 0)
}

func appendID(dst []byte, id content.ID) []byte {
	sum := id.SHA256()
	return append(dst, sum[:]...)
}

func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

func appendText(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

// checks collects what is wrong with a value that is about to be encoded.
type checks struct{ err error }

func (c *checks) size(what string, n, most int) {
	if c.err == nil && (n < 0 || n > most) {
		c.err = fmt.Errorf("%s of %d, at most %d: %w", what, n, most, ErrTooLarge)
	}
}

func (c *checks) that(ok bool, what string) {
	if c.err == nil && !ok {
		c.err = fmt.Errorf("%s: %w", what, ErrFormat)
	}
}

func (c *checks) text(what, s string, most int) {
	c.size(what, len(s), most)
	c.that(plainText(s), what)
}
