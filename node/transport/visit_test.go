package transport

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"

	"patchmesh/swarm/wire"
)

// forVisits lets in whoever shows the certificate "carrier", and gives back what it says.
func forVisits(c *Config) {
	c.Visiting = Visiting{
		Admit: func(_ string, h wire.Hello) (Peer, error) {
			if string(h.Cert) != "carrier" {
				return Peer{}, errNotInvited
			}
			return Peer{Site: "road"}, nil
		},
		Serve: func(p Peer, c net.Conn) { _, _ = io.Copy(c, c) },
	}
}

func asCarrier(c *Config) {
	c.Hello = func() wire.Hello { return wire.Hello{Version: 1, Cert: []byte("carrier")} }
}

func anybody(string, wire.Hello) (Peer, error) { return Peer{Site: "hq"}, nil }

// A carrier of another site gets its one stream and no session; a stranger gets neither, and a machine that
// takes no visitors gives none.
func TestVisitIsAStreamWithoutASession(t *testing.T) {
	host, carrier, stranger, deaf := newMachine(t, forVisits), newMachine(t, asCarrier), newMachine(t, asStranger), newMachine(t)
	ctx := context.Background()
	conn, p, err := carrier.Visit(ctx, host.ID(), host.ListenAddr(), anybody)
	if err != nil || p.ID != host.ID() || p.Site != "hq" {
		t.Fatalf("%+v, %v", p, err)
	}
	// More than a stranger may ever send: it was let in.
	sent := make([]byte, 3*strangerBytes)
	go func() { _, _ = conn.Write(sent) }()
	if _, err := io.ReadFull(conn, make([]byte, len(sent))); err != nil {
		t.Fatal(err)
	}
	if n := len(host.Peers()) + len(carrier.Peers()); n != 0 {
		t.Errorf("%d sessions came of a visit", n)
	}
	l := conn.(*visit).l
	st, err := l.open(ctx, protoDoc)
	if err == nil {
		_, err = st.Read(make([]byte, 1))
	}
	if err == nil {
		t.Error("a visitor got a stream for documents")
	}
	if _, _, err := stranger.Visit(ctx, host.ID(), host.ListenAddr(), anybody); !errors.Is(err, ErrNotAdmitted) {
		t.Errorf("a stranger: %v", err)
	}
	if _, _, err := carrier.Visit(ctx, deaf.ID(), deaf.ListenAddr(), anybody); err == nil {
		t.Error("a machine that takes no visitors took one")
	}
	if _, _, err := carrier.Visit(ctx, host.ID(), host.ListenAddr(), func(string, wire.Hello) (Peer, error) { return Peer{}, errNotInvited }); !errors.Is(err, errNotInvited) {
		t.Errorf("whom the visitor itself does not want: %v", err)
	}
}

// Only few visits run at a time, and each gives its place back.
func TestVisitsAreFewAndEnd(t *testing.T) {
	host := newMachine(t, forVisits)
	ctx := context.Background()
	var open []net.Conn
	for range maxVisits {
		c, _, err := newMachine(t, asCarrier).Visit(ctx, host.ID(), host.ListenAddr(), anybody)
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	late := newMachine(t, asCarrier)
	if _, _, err := late.Visit(ctx, host.ID(), host.ListenAddr(), anybody); err == nil {
		t.Fatal("one visit too many")
	}
	_ = open[0].Close()
	end := time.Now().Add(20 * time.Second)
	for {
		c, _, err := late.Visit(ctx, host.ID(), host.ListenAddr(), anybody)
		if err == nil {
			_ = c.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("the place is not free again: %v", err)
		}
		time.Sleep(5 * time.Millisecond)
	}
	_ = host.Close() // ends those that are left, and waits for them
	for _, c := range open[1:] {
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("a visit outlives its host")
		}
	}
}

// Between machines that have a session, the visit is a stream beside it, and leaves it alone.
func TestVisitBesideASession(t *testing.T) {
	host := newMachine(t, forVisits)
	guest := newMachine(t)
	ctx := context.Background()
	if _, err := guest.Connect(ctx, host.ID(), host.ListenAddr()); err != nil {
		t.Fatal(err)
	}
	await(t, host.up, "the session")
	if _, _, err := guest.Visit(ctx, host.ID(), "", anybody); !errors.Is(err, ErrNotAdmitted) {
		t.Errorf("a member that is no carrier: %v", err)
	}
	if len(host.Peers()) != 1 || len(guest.Peers()) != 1 {
		t.Error("a refused visit has ended the session")
	}
}
