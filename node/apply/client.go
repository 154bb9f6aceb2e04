package apply

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// Source is what the net side has to offer. Documents that it lacks are nil without error.
type Source interface {
	Head() []byte // the signed timestamp of the newest verified set
	Root(version int64) ([]byte, error)
	Document(id content.ID) ([]byte, error)
	// Payload reads the plain payload of a descriptor, and its size. A reader that is Copied is told what
	// the role found.
	Payload(descriptor content.ID) (io.ReadCloser, int64, error)
}

// Copied is a payload that wants to know how the hash of the whole that was read from it came out: as
// described, or not; then Recheck finds out what is wrong with it.
type Copied interface {
	Matched()
	Recheck() error
}

// Client drives the apply process from the net side. Safe for concurrent use.
type Client struct {
	// Patience is how long Do waits for a process that does not answer: it may be starting, or busy
	// with as many connections as it allows. Set it before the first use; zero: not at all.
	Patience time.Duration

	path string
	src  Source

	mu    sync.Mutex
	taken []byte // the head that the role took last
}

// NewClient speaks to the socket at path.
func NewClient(path string, src Source) *Client { return &Client{path: path, src: src} }

// Do offers what the apply role needs to decide by itself and then gives the order. Errors are *Error,
// or ErrUnreachable.
func (c *Client) Do(ctx context.Context, id content.ID, want Order) (Outcome, error) {
	for end := time.Now().Add(c.Patience); ; {
		out, err := c.do(ctx, id, want)
		if !errors.Is(err, ErrUnreachable) || !time.Now().Before(end) {
			return out, err
		}
		select { // the same order again is harmless: what is done already is not done twice
		case <-ctx.Done():
			return out, err
		case <-time.After(retryAfter):
		}
	}
}

// retryAfter is the pause before a process that does not answer is asked again.
const retryAfter = 250 * time.Millisecond

func (c *Client) do(ctx context.Context, id content.ID, want Order) (Outcome, error) {
	if want == Detect && c.upToDate() {
		// A scan looks for thousands of updates: only what the role does not know is offered again.
		if out, err := c.schedule(ctx, id, want); err == nil || !unknown(err) {
			return out, err
		}
	}
	if err := c.OfferMetadata(ctx); err != nil {
		return Outcome{}, err
	}
	if want == Install || want == InstallAtShutdown {
		if err := c.OfferObject(ctx, id); err != nil {
			return Outcome{}, err
		}
	}
	return c.schedule(ctx, id, want)
}

func (c *Client) schedule(ctx context.Context, id content.ID, want Order) (out Outcome, err error) {
	err = c.call(ctx, request{verb: verbSchedule, id: id, order: want}, nil, nil, &out)
	return out, err
}

func (c *Client) upToDate() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.taken) > 0 && bytes.Equal(c.taken, c.src.Head())
}

// unknown: the role may lack a document that can be offered.
func unknown(err error) bool {
	var e *Error
	return errors.As(err, &e) && (e.Reason == policy.ReasonPeerNoneHolds || e.Reason == policy.ReasonPolicyDeclined)
}

// Status asks what the apply role believes.
func (c *Client) Status(ctx context.Context) (State, error) {
	var s State
	err := c.call(ctx, request{verb: verbStatus}, nil, nil, &s)
	return s, err
}

// OfferMetadata offers the newest head and answers what the role asks for. Where a newer one has come meanwhile
// the documents of the first may be gone: then that one is offered.
func (c *Client) OfferMetadata(ctx context.Context) error {
	for try := 1; ; try++ {
		head := c.src.Head()
		err := c.offerHead(ctx, head)
		if err == nil || try == maxOutrun || bytes.Equal(head, c.src.Head()) {
			return err
		}
	}
}

func (c *Client) offerHead(ctx context.Context, head []byte) error {
	var s State
	if err := c.call(ctx, request{verb: verbMetadata, length: uint64(len(head))}, head, nil, &s); err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.taken = head
	return nil
}

// OfferObject offers the payload of a descriptor.
func (c *Client) OfferObject(ctx context.Context, id content.ID) error {
	var sent io.ReadCloser
	defer func() {
		if sent != nil {
			_ = sent.Close()
		}
	}()
	send := func(nc net.Conn) error {
		r, size, err := c.src.Payload(id)
		if err != nil {
			return err
		}
		sent = r
		if _, err = io.CopyBuffer(struct{ io.Writer }{nc}, io.LimitReader(r, size), make([]byte, 256<<10)); err != nil {
			return err
		}
		if u, ok := nc.(*net.UnixConn); ok { // a payload that is too short must not be waited for
			return u.CloseWrite()
		}
		return nil
	}
	err := c.call(ctx, request{verb: verbObject, id: id}, nil, send, &struct{}{})
	if r, ok := sent.(Copied); ok {
		switch {
		case err == nil:
			r.Matched()
		case corrupt(err):
			if found := r.Recheck(); found != nil {
				err = fmt.Errorf("%w: %w", err, found)
			}
		}
	}
	return err
}

// call opens a connection for one verb. ctx ends it.
func (c *Client) call(ctx context.Context, q request, more []byte, send func(net.Conn) error, result any) error {
	var d net.Dialer
	nc, err := d.DialContext(ctx, "unix", c.path)
	if err != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	defer nc.Close()
	defer context.AfterFunc(ctx, func() { _ = nc.Close() })()
	if _, err := nc.Write(append(q.encode(), more...)); err != nil {
		return c.broken(nc, err)
	}
	for {
		k, n, err := readHeader(nc, maxBody)
		if err != nil {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		body := make([]byte, n)
		if _, err := io.ReadFull(nc, body); err != nil {
			return fmt.Errorf("%w: %w", ErrUnreachable, err)
		}
		switch {
		case kind(k) == kindNeed && q.verb == verbMetadata:
			err = c.supply(nc, body)
		case kind(k) == kindGo && send != nil:
			err = send(nc)
		case kind(k) == kindDone:
			return json.Unmarshal(body, result)
		case kind(k) == kindRefused:
			return decodeError(body)
		default:
			return fmt.Errorf("%w: %w", ErrUnreachable, errProtocol)
		}
		if err != nil {
			return c.broken(nc, err)
		}
	}
}

// broken prefers what the server had to say before it closed the connection. What our own side could
// not read is told as it is.
func (c *Client) broken(nc net.Conn, err error) error {
	var op *net.OpError
	if !errors.As(err, &op) {
		return err
	}
	_ = nc.SetReadDeadline(time.Now().Add(readWait))
	k, n, herr := readHeader(nc, maxBody)
	if herr != nil || kind(k) != kindRefused {
		return fmt.Errorf("%w: %w", ErrUnreachable, err)
	}
	body := make([]byte, n)
	if _, rerr := io.ReadFull(nc, body); rerr != nil {
		return fmt.Errorf("%w: %w", ErrUnreachable, errors.Join(err, rerr))
	}
	return decodeError(body)
}

func decodeError(body []byte) error {
	var e Error
	if err := json.Unmarshal(body, &e); err != nil || strings.TrimSpace(e.What) == "" {
		return fmt.Errorf("%w: %w", ErrUnreachable, errProtocol)
	}
	return &e
}

// supply answers one need.
func (c *Client) supply(w io.Writer, body []byte) error {
	n, err := decodeNeed(body)
	if err != nil {
		return err
	}
	var b []byte
	if n.RootVersion > 0 {
		b, err = c.src.Root(n.RootVersion)
	} else {
		b, err = c.src.Document(n.ID)
	}
	if err != nil {
		return err
	}
	if len(b) > n.MaxBytes || len(b) > policy.MaxManifestBytes {
		b = nil // it would be refused: what is here is not what was signed
	}
	return writeDocument(w, b, b != nil)
}
