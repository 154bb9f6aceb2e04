package gossip

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"net"
	"sync"
	"sync/atomic"
)

// The bytes of memberlist's protocol that the sieve looks at.
const (
	typePing         = 0
	typeIndirectPing = 1
	typeAck          = 2
	typeSuspect      = 3
	typeAlive        = 4
	typeDead         = 5
	typePushPull     = 6
	typeCompound     = 7
	typeUser         = 8
	typeEncrypt      = 10
	typeNack         = 11
	typeCRC          = 12
	typeError        = 13
	typeLabel        = 244

	sealVersion = 1 // the version without padding
	nonceBytes  = 12
	tagBytes    = 16
	sealBytes   = 1 + nonceBytes + tagBytes
)

const (
	// maxStreamBytes bounds one push/pull: the states of some thousand members.
	maxStreamBytes = 4 << 20
	// minStateBytes is less than any member's state takes in a push/pull.
	minStateBytes = 20
)

var errSieve = errors.New("not what our machines send")

// sieve lets through what our own machines send: sealed with our key in the one version they use,
// not empty, not compressed, not nested. Whoever holds the site's key could say anything else to
// memberlist's parsers, and some of it ends the program: in 0.7.0 the padding of encryption version 0
// is believed (one packet is enough), an empty stream message is indexed, compressed messages may
// nest, and as many states are allocated as a push/pull claims.
type sieve struct {
	label []byte
	aeads atomic.Pointer[[]cipher.AEAD] // one per key that memberlist opens with
}

func newSieve(label string, keys ...[]byte) (*sieve, error) {
	s := &sieve{label: []byte(label)}
	return s, s.setKeys(keys)
}

func (s *sieve) setKeys(keys [][]byte) error {
	var aeads []cipher.AEAD
	for _, key := range keys {
		block, err := aes.NewCipher(key)
		if err != nil {
			return fmt.Errorf("gossip key: %w", err)
		}
		aead, err := cipher.NewGCM(block)
		if err != nil {
			return fmt.Errorf("gossip key: %w", err)
		}
		aeads = append(aeads, aead)
	}
	s.aeads.Store(&aeads)
	return nil
}

// cutLabel takes our label from the front.
func (s *sieve) cutLabel(b []byte) ([]byte, bool) {
	n := len(s.label)
	if len(b) < 2+n || b[0] != typeLabel || int(b[1]) != n || !bytes.Equal(b[2:2+n], s.label) {
		return nil, false
	}
	return b[2+n:], true
}

// unseal opens what memberlist will open again, into memory of its own.
func (s *sieve) unseal(b, auth []byte) ([]byte, bool) {
	if len(b) <= sealBytes || b[0] != sealVersion {
		return nil, false
	}
	for _, aead := range *s.aeads.Load() {
		if plain, err := aead.Open(nil, b[1:1+nonceBytes], b[1+nonceBytes:], auth); err == nil {
			return plain, true
		}
	}
	return nil, false
}

// packet says whether memberlist may see this UDP packet.
func (s *sieve) packet(b []byte) bool {
	_, ok := s.look(b)
	return ok
}

// look is packet that also counts the rumours in it.
func (s *sieve) look(b []byte) (rumours int, ok bool) {
	if b, ok = s.cutLabel(b); !ok {
		return 0, false
	}
	plain, ok := s.unseal(b, s.label)
	if !ok {
		return 0, false
	}
	if plain[0] == typeCRC {
		if len(plain) < 6 || binary.BigEndian.Uint32(plain[1:]) != crc32.ChecksumIEEE(plain[5:]) {
			return 0, false
		}
		plain = plain[5:]
	}
	if plain[0] == typeCompound {
		return flatCompound(plain[1:])
	}
	if plain[0] == typeUser {
		rumours = 1
	}
	return rumours, plainType(plain[0])
}

// plainType: a message that our machines put into packets, by itself or into a compound.
func plainType(t byte) bool {
	switch t {
	case typePing, typeIndirectPing, typeAck, typeNack, typeSuspect, typeAlive, typeDead, typeUser:
		return true
	}
	return false
}

// flatCompound wants all parts there and none of them nested: nesting multiplies work.
func flatCompound(b []byte) (rumours int, ok bool) {
	if len(b) < 1 {
		return 0, false
	}
	n := int(b[0])
	if len(b) < 1+2*n {
		return 0, false
	}
	lengths, parts := b[1:1+2*n], b[1+2*n:]
	for i := range n {
		size := int(binary.BigEndian.Uint16(lengths[2*i:]))
		if size < 1 || size > len(parts) || !plainType(parts[0]) {
			return 0, false
		}
		if parts[0] == typeUser {
			rumours++
		}
		parts = parts[size:]
	}
	return rumours, len(parts) == 0
}

// message reads the one message of a stream, our label first if labelled. It returns all bytes read,
// to be read again by memberlist.
func (s *sieve) message(r io.Reader, labelled bool) ([]byte, error) {
	head := 5
	if labelled {
		head += 2 + len(s.label)
	}
	b := make([]byte, head)
	if _, err := io.ReadFull(r, b); err != nil {
		return nil, err
	}
	front := b
	if labelled {
		var ok bool
		if front, ok = s.cutLabel(b); !ok {
			return nil, fmt.Errorf("label: %w", errSieve)
		}
	}
	size := int64(binary.BigEndian.Uint32(front[1:]))
	if front[0] != typeEncrypt || size <= sealBytes || size > maxStreamBytes {
		return nil, fmt.Errorf("frame of type %d with %d bytes: %w", front[0], size, errSieve)
	}
	buf := bytes.NewBuffer(b)
	if _, err := io.CopyN(buf, r, size); err != nil {
		return nil, err
	}
	b = buf.Bytes()
	plain, ok := s.unseal(b[head:], append(bytes.Clone(b[head-5:head]), s.label...))
	if !ok {
		return nil, fmt.Errorf("seal: %w", errSieve)
	}
	switch plain[0] {
	case typeError:
		return b, nil
	case typePushPull:
		if n, ok := statesClaimed(plain[1:]); ok && n <= len(plain)/minStateBytes {
			return b, nil
		}
	}
	return nil, fmt.Errorf("stream message of type %d: %w", plain[0], errSieve)
}

// statesClaimed reads the number of states from a push/pull's header, a msgpack map of three numbers
// or flags.
func statesClaimed(b []byte) (n int, ok bool) {
	if len(b) == 0 || b[0]&0xF0 != 0x80 {
		return 0, false
	}
	entries := int(b[0] & 0x0F)
	b = b[1:]
	for range entries {
		if len(b) == 0 || b[0]&0xE0 != 0xA0 || len(b) < 1+int(b[0]&0x1F) {
			return 0, false
		}
		name := string(b[1 : 1+int(b[0]&0x1F)])
		v, rest, good := smallValue(b[1+len(name):])
		if !good {
			return 0, false
		}
		// The library matches names whatever their case, and the last one counts.
		if bytes.EqualFold([]byte(name), []byte("Nodes")) {
			n, ok = max(n, v), true
		}
		b = rest
	}
	return n, ok
}

// smallValue reads one msgpack flag or number that is neither negative nor above 2^32.
func smallValue(b []byte) (v int, rest []byte, ok bool) {
	if len(b) == 0 {
		return 0, nil, false
	}
	width := 0
	switch t := b[0]; {
	case t < 0x80:
		return int(t), b[1:], true
	case t == 0xC2 || t == 0xC3:
		return int(t & 1), b[1:], true
	case t == 0xCC || t == 0xD0:
		width = 1
	case t == 0xCD || t == 0xD1:
		width = 2
	case t == 0xCE || t == 0xD2:
		width = 4
	default:
		return 0, nil, false
	}
	if len(b) < 1+width || b[0] >= 0xD0 && b[1] >= 0x80 {
		return 0, nil, false
	}
	for _, x := range b[1 : 1+width] {
		v = v<<8 | int(x)
	}
	return v, b[1+width:], true
}

// sievedConn is a stream whose message from the other side goes through the sieve before memberlist
// reads any of it. There is one message each way, so nothing follows it.
type sievedConn struct {
	net.Conn
	s        *sieve
	labelled bool

	once sync.Once
	left *bytes.Reader
	err  error
}

func (c *sievedConn) Read(p []byte) (int, error) {
	c.once.Do(func() {
		b, err := c.s.message(c.Conn, c.labelled)
		if c.err = err; err != nil {
			_ = c.Close()
			return
		}
		c.left = bytes.NewReader(b)
	})
	if c.err != nil {
		return 0, c.err
	}
	return c.left.Read(p)
}

// Write closes a stream that cannot be written: memberlist forgets it if the label cannot be sent.
func (c *sievedConn) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err != nil {
		_ = c.Close()
	}
	return n, err
}
