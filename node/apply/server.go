package apply

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/policy"
)

// Bounds of the server. What waits behind them is the caller's problem, never this role's.
const (
	maxConns     = 16               // connections at a time; more are closed at once
	readWait     = 10 * time.Second // for a message, or for the next part of a payload
	writeWait    = 10 * time.Second
	offerWait    = 5 * time.Minute // for all of an offer of metadata
	slowestBytes = 256 << 10       // of a payload per second: what is slower is given up
)

// ServerConfig says who may speak and to what.
type ServerConfig struct {
	Role  *Role
	Shelf *Folder
	// Who tells who connected, as the kernel knows it.
	Who func(net.Conn) (api.Caller, error)
	// Allowed users, by number: the user of the net role. Root may always speak.
	Allowed []int
	Log     *slog.Logger
}

// Server answers the six verbs.
type Server struct {
	cfg   ServerConfig
	slots chan struct{}
}

// NewServer builds a server.
func NewServer(cfg ServerConfig) *Server {
	return &Server{cfg: cfg, slots: make(chan struct{}, maxConns)}
}

// Serve answers on a listener until ctx ends, then closes it and waits for what is under way.
func (s *Server) Serve(ctx context.Context, ln net.Listener) error {
	defer context.AfterFunc(ctx, func() { _ = ln.Close() })()
	var running sync.WaitGroup
	defer running.Wait()
	for {
		c, err := ln.Accept()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			return fmt.Errorf("apply socket: %w", err)
		}
		select {
		case s.slots <- struct{}{}:
		default:
			s.cfg.Log.Warn("too many connections, one was closed", "most", maxConns)
			_ = c.Close()
			continue
		}
		running.Add(1)
		go func() {
			defer running.Done()
			defer func() { <-s.slots }()
			defer c.Close()
			s.admit(ctx, c)
		}()
	}
}

// admit lets only the user of the net role, and root, say anything.
func (s *Server) admit(ctx context.Context, c net.Conn) {
	who, err := s.cfg.Who(c)
	if err != nil {
		s.cfg.Log.Error("caller refused: nobody knows who it is", "err", err)
		return
	}
	if !s.allowed(who.UID) {
		s.cfg.Log.Warn("caller refused", "caller", who.String())
		_ = c.SetWriteDeadline(time.Now().Add(writeWait))
		_ = writeAnswer(c, kindRefused, refused(policy.ReasonNetRefused, "user %d may not speak to the apply role", who.UID))
		return
	}
	if err := s.answer(ctx, c); err != nil {
		s.cfg.Log.Warn("message refused", "caller", who.String(), "err", err)
	}
}

func (s *Server) allowed(uid int) bool {
	if uid == 0 {
		return true
	}
	for _, a := range s.cfg.Allowed {
		if uid == a {
			return true
		}
	}
	return false
}

// conn is what the server needs of a connection.
type conn interface {
	io.ReadWriter
	SetReadDeadline(time.Time) error
	SetWriteDeadline(time.Time) error
}

// timed gives every read and write its deadline; none may go beyond end.
type timed struct {
	conn
	end time.Time // zero: no end
}

func (t timed) by(wait time.Duration) time.Time {
	at := time.Now().Add(wait)
	if !t.end.IsZero() && t.end.Before(at) {
		return t.end
	}
	return at
}

func (t timed) Read(b []byte) (int, error) {
	if err := t.SetReadDeadline(t.by(readWait)); err != nil {
		return 0, err
	}
	return t.conn.Read(b)
}

func (t timed) Write(b []byte) (int, error) {
	if err := t.SetWriteDeadline(t.by(writeWait)); err != nil {
		return 0, err
	}
	return t.conn.Write(b)
}

// answer reads one request and answers it. The error is for the log: a caller that does not speak the
// protocol gets no explanation.
func (s *Server) answer(ctx context.Context, c conn) error {
	t := timed{conn: c, end: time.Now().Add(readWait)}
	var b [requestBytes]byte
	if _, err := io.ReadFull(t, b[:]); err != nil {
		return fmt.Errorf("read request: %w", err)
	}
	q, err := decodeRequest(b[:])
	if err != nil {
		return err
	}
	var result any
	switch q.verb {
	case verbMetadata:
		t.end = time.Now().Add(offerWait)
		result, err = s.metadata(t, int(q.length))
	case verbObject:
		result, err = s.object(t, q.id)
	case verbSchedule:
		// Without end: a package tool takes what it takes, and goes on if the caller goes away.
		result, err = s.schedule(ctx, q.id, q.order)
	case verbStatus:
		result, err = s.cfg.Role.Status()
	case verbRestart:
		result, err = s.restart(ctx, q.order)
	case verbProved:
		result, err = struct{}{}, s.cfg.Role.Proved(ctx, q.id.SHA256())
	}
	t.end = time.Time{}
	var e *Error
	switch {
	case err == nil:
		return writeAnswer(t, kindDone, result)
	case errors.As(err, &e):
		return errors.Join(err, writeAnswer(t, kindRefused, e.short()))
	}
	return err // the connection itself is broken
}

// short fits an error into one answer.
func (e *Error) short() *Error {
	c := *e
	c.What = api.Clean(c.What[:min(len(c.What), 4<<10)])
	c.Log = c.Log[:min(len(c.Log), 4<<10)]
	return &c
}

func (s *Server) metadata(t timed, length int) (any, error) {
	head := make([]byte, length)
	if _, err := io.ReadFull(t, head); err != nil {
		return nil, fmt.Errorf("read head: %w", err)
	}
	ask := func(n Need) ([]byte, error) {
		if _, err := t.Write(append(header(byte(kindNeed), needBytes), n.encode()...)); err != nil {
			return nil, err
		}
		return readDocument(t, n.MaxBytes)
	}
	if err := s.cfg.Role.OfferMetadata(head, ask, s.cfg.Shelf.keepDescriptor); err != nil {
		return nil, err
	}
	s.tidy()
	return s.cfg.Role.Status()
}

// tidy forgets the descriptors that no approval names any more.
func (s *Server) tidy() {
	t, err := s.cfg.Role.believed()
	if err != nil || t.Manifest() == nil {
		return
	}
	wanted := map[content.ID]bool{}
	for _, a := range t.Manifest().Approvals {
		wanted[a.Descriptor] = true
	}
	s.cfg.Shelf.prune(wanted)
}

// object takes the payload of an update that is to be installed here today; of any other not a byte is
// read.
func (s *Server) object(t timed, id content.ID) (any, error) {
	role := s.cfg.Role
	role.work.Lock() // the shelf holds one payload, and not while an installer reads it
	defer role.work.Unlock()
	d, err := role.approvedToBring(id)
	if err != nil {
		return nil, asError("offered payload", err)
	}
	if s.cfg.Shelf.has(id) {
		return struct{}{}, nil
	}
	if err := s.cfg.Shelf.room(d); err != nil {
		return nil, asError("offered payload", err)
	}
	if _, err := t.Write(header(byte(kindGo), 0)); err != nil {
		return nil, err
	}
	t.end = time.Now().Add(readWait + time.Duration(d.PlainBytes/slowestBytes)*time.Second)
	if err := s.cfg.Shelf.take(d, t); err != nil {
		return nil, asError("offered payload", err)
	}
	return struct{}{}, nil
}

func (s *Server) schedule(ctx context.Context, id content.ID, want Order) (any, error) {
	out, err := s.cfg.Role.Do(ctx, id, want)
	if want != Remove && want != Detect && (err == nil || corrupt(err)) {
		s.cfg.Shelf.drop(id)
	}
	if want != Detect {
		s.cfg.Log.Info("order", "order", want.String(), "descriptor", id.Short(), "version", out.Version, "err", err)
	}
	return out, err
}

func (s *Server) restart(ctx context.Context, want Order) (any, error) {
	if want == Detect {
		return s.cfg.Role.LookRestart(ctx)
	}
	err := s.cfg.Role.Restart(ctx)
	s.cfg.Log.Info("order", "order", want.String(), "err", err)
	return struct{}{}, err
}

func corrupt(err error) bool {
	var e *Error
	return errors.As(err, &e) && e.Corrupt
}
