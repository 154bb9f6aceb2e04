package gossip

import (
	"bytes"
	"encoding/binary"
	"errors"
	"net"
	"testing"
	"time"
)

func testSieve(t testing.TB) *sieve {
	t.Helper()
	s, err := newSieve(label("acme", "main"), bytes.Repeat([]byte{1}, 32))
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// sealed is what a holder of the key can make memberlist believe.
func sealed(s *sieve, version byte, plain []byte) []byte {
	b := append([]byte{typeLabel, byte(len(s.label))}, s.label...)
	nonce := make([]byte, nonceBytes)
	b = append(append(b, version), nonce...)
	return (*s.aeads.Load())[0].Seal(b, nonce, plain, s.label)
}

// Each of these ended the program, or made it work a multiple, when memberlist saw it.
func TestOnePacketOfAKeyHolderDoesNotEndTheProgram(t *testing.T) {
	w := &wires{all: map[string]*Gossip{}}
	a, s := w.start(t, "a", 1), testSieve(t)
	c, err := net.Dial("udp", a.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	for name, p := range map[string][]byte{
		"padding longer than the packet": sealed(s, 0, bytes.Repeat([]byte{0xFF}, 16)),
		"nothing in it, old version":     sealed(s, 0, nil),
		"nothing in it":                  sealed(s, 1, nil),
		"compressed":                     sealed(s, 1, []byte{9, 0x80}),
		"compressed in a compound":       sealed(s, 1, []byte{typeCompound, 1, 0, 2, 9, 0x80}),
		"compound in a compound":         sealed(s, 1, []byte{typeCompound, 1, 0, 2, typeCompound, 0}),
		"part of no length":              sealed(s, 1, []byte{typeCompound, 1, 0, 0}),
		"cut compound":                   sealed(s, 1, []byte{typeCompound, 9, 0}),
		"push/pull in a packet":          sealed(s, 1, []byte{typePushPull, 0x80}),
		"wrong checksum":                 sealed(s, 1, []byte{typeCRC, 1, 2, 3, 4, typeAlive}),
		"another site":                   append([]byte{typeLabel, 1}, 'x'),
		"not sealed":                     {typeAlive, 0x80},
		"nothing":                        {},
	} {
		if s.packet(p) {
			t.Errorf("%s passes", name)
		}
		_, _ = c.Write(p)
	}
	if !s.packet(sealed(s, 1, []byte{typeCompound, 2, 0, 2, 0, 2, typeAlive, 0x80, typeUser, 1})) {
		t.Error("an honest compound does not pass")
	}
	b := w.start(t, "b", 1) // and a is as well as before
	if _, err := b.Join([]string{a.name(t, "a")}); err != nil {
		t.Fatal(err)
	}
	await(t, a.up, "b")
}

func streamOf(s *sieve, plain []byte) []byte {
	head := binary.BigEndian.AppendUint32([]byte{typeEncrypt}, uint32(sealBytes+len(plain)))
	nonce := make([]byte, nonceBytes)
	b := append(append(bytes.Clone(head), sealVersion), nonce...)
	return (*s.aeads.Load())[0].Seal(b, nonce, plain, append(head, s.label...))
}

func TestStreamsOfMembersGoThroughTheSieve(t *testing.T) {
	s := testSieve(t)
	claim := func(nodes ...byte) []byte {
		return append(append([]byte{typePushPull, 0x81, 0xA5}, "Nodes"...), nodes...)
	}
	for name, plain := range map[string][]byte{
		"nothing in it":       nil,
		"compressed":          {9, 0x80},
		"ping":                {typePing, 0x80},
		"user message":        {typeUser, 0x80},
		"a million states":    claim(0xCE, 0, 15, 0x42, 0x40),
		"no number of states": {typePushPull, 0x80},
	} {
		if _, err := s.message(bytes.NewReader(streamOf(s, plain)), false); !errors.Is(err, errSieve) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := s.message(bytes.NewReader(streamOf(s, append(claim(2), make([]byte, 100)...))), false); err != nil {
		t.Error("an honest push/pull:", err)
	}
	// Announced and never sent: no memory for it, and no more than the limit.
	huge := binary.BigEndian.AppendUint32([]byte{typeEncrypt}, maxStreamBytes+1)
	if _, err := s.message(bytes.NewReader(huge), false); !errors.Is(err, errSieve) {
		t.Error(err)
	}
}

func TestHostileStreamEndsTheStreamOnly(t *testing.T) {
	w := &wires{all: map[string]*Gossip{}}
	a, s := w.start(t, "a", 1), testSieve(t)
	ours, theirs := net.Pipe()
	a.Accept("liar", theirs)
	labelled := append(append([]byte{typeLabel, byte(len(s.label))}, s.label...), streamOf(s, nil)...)
	_ = ours.SetDeadline(time.Now().Add(5 * time.Second))
	_, _ = ours.Write(labelled)
	if _, err := ours.Read(make([]byte, 1)); err == nil {
		t.Error("answered")
	}
	b := w.start(t, "b", 1)
	if _, err := b.Join([]string{a.name(t, "a")}); err != nil {
		t.Fatal(err)
	}
}

func FuzzSieve(f *testing.F) {
	s := testSieve(f)
	f.Add([]byte{typeCompound, 1, 0, 2, typeAlive, 0x80})
	f.Add([]byte{typeCRC, 0, 0, 0, 0, typeUser})
	f.Add(append([]byte{typePushPull, 0x81, 0xA5}, "Nodes\x02"...))
	f.Fuzz(func(_ *testing.T, plain []byte) {
		s.packet(plain)
		s.packet(sealed(s, 1, plain))
		_, _ = s.message(bytes.NewReader(plain), true)
		_, _ = s.message(bytes.NewReader(streamOf(s, plain)), false)
	})
}
