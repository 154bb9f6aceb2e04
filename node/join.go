package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	mrand "math/rand/v2"
	"net"
	"path/filepath"
	"slices"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/node/inventory"
	"patchmesh/node/state"
	"patchmesh/node/transport"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// JoinRequest is what join needs.
type JoinRequest struct {
	DataDir string
	Token   string
	Peers   []string // ip:port of the seed or of enrolled machines; tried before the token's own
	Name    string
	// Via is a folder, most likely on a stick, through which the request goes instead of the network.
	Via string
	// Wait bounds how long to wait for an admin's word; zero: until there is one.
	Wait time.Duration
	// NoHardware keeps this machine's hardware ids out of the request.
	NoHardware bool
	// Waiting is told the number of the request while an admin's word is waited for; nil: nobody is.
	Waiting func(requestID string)
}

// Joined is what came of it. Written is set when the request was only written to a folder.
type Joined struct {
	ID      string   `json:"id"`
	Name    string   `json:"name"`
	Org     string   `json:"org,omitempty"`
	Site    string   `json:"site"`
	Groups  []string `json:"groups"`
	Request string   `json:"request"` // its number, as the seed shows it
	Written string   `json:"written,omitempty"`
}

// Join enrols this machine: it makes its key, asks the seed through whoever can be reached, verifies
// what comes back from the root pinned in the token on, and keeps it. Cut off at any point, it goes on
// where it was when called again: the same key asks for the same token, and the seed counts that once.
func Join(ctx context.Context, r JoinRequest, now func() time.Time) (*Joined, error) {
	tok, err := checkJoin(&r)
	if err != nil {
		return nil, err
	}
	f, err := newFolder(r.DataDir, now)
	if err != nil {
		return nil, spaceClass(err)
	}
	defer f.close()
	var hardware []string
	if dir, err := filepath.Abs(r.DataDir); err == nil && !r.NoHardware {
		hardware = enrol.HardwareIDs(tok.RootDigest, dir, inventory.Hardware())
	}
	p, err := f.joinRequest(r.Name, hardware, tok)
	if err != nil {
		return nil, spaceClass(err)
	}
	if r.Via != "" {
		return f.joinVia(r, tok, p)
	}
	return f.joinOnline(ctx, r, tok, p)
}

func checkJoin(r *JoinRequest) (enrol.Token, error) {
	tok, err := enrol.ParseToken(r.Token)
	switch {
	case errors.Is(err, enrol.ErrTypo):
		return tok, api.Errorf(api.ClassUsage, "%v", err).WithHint("paste the whole line that 'patchmesh invite' printed")
	case err != nil:
		return tok, api.Errorf(api.ClassUsage, "that is no join token: %v", err).WithHint("ask the admin for one: 'patchmesh invite'")
	}
	for _, p := range r.Peers {
		if err := checkAddr(p); err != nil {
			return tok, api.Errorf(api.ClassUsage, "--peer: %v", err)
		}
	}
	r.Name = first(r.Name, hostname())
	if !policy.ValidName(r.Name) {
		return tok, api.Errorf(api.ClassUsage, "%q is no valid machine name", r.Name).WithHint("use letters, digits, dot, dash and underscore, 1 to 63 of them")
	}
	if r.Via == "" && len(r.Peers)+len(tok.Addrs) == 0 {
		return tok, api.Errorf(api.ClassUsage, "the token names no address of the seed").WithHint("add --peer IP:PORT of the seed or of an enrolled machine, or --via DIR to carry the request there")
	}
	return tok, nil
}

// joining is the request under way, kept before it leaves.
type joining struct {
	Name    string `json:"name"`
	Pending []byte `json:"pending"`
}

const joiningKey = "joining"

// joinRequest is the request under way if it is for the same token and name, else a new one.
func (f *folder) joinRequest(name string, hardware []string, tok enrol.Token) (*enrol.Pending, error) {
	if b, err := f.db.Value(joiningKey); err == nil {
		var j joining
		if json.Unmarshal(b, &j) == nil && j.Name == name {
			if p, err := enrol.DecodePending(j.Pending); err == nil && p.Token == tok.Hash() {
				return p, nil
			}
		}
	} else if !errors.Is(err, state.ErrNotFound) {
		return nil, err
	}
	p, err := enrol.NewRequest(tok, f.key, name, hardware, rand.Reader)
	if err != nil {
		return nil, err
	}
	kept, err := p.Encode()
	if err != nil {
		return nil, err
	}
	b, err := json.Marshal(joining{Name: name, Pending: kept})
	if err != nil {
		return nil, err
	}
	return p, f.db.PutValue(joiningKey, b)
}

// Pauses between two questions whether an admin has decided.
const (
	askAgainFirst = time.Second
	askAgainMost  = time.Minute
)

// joinOnline asks until there is a decision. Once the seed has said that the request waits, the seed
// may come and go.
func (f *folder) joinOnline(ctx context.Context, r JoinRequest, tok enrol.Token, p *enrol.Pending) (*Joined, error) {
	h, err := askingHost(f.key)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	if r.Wait > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, r.Wait)
		defer cancel()
	}
	id, told := enrol.RequestID(p.Token, f.id), false
	for pause := askAgainFirst; ; pause = min(pause*3/2, askAgainMost) {
		a, err := ask(ctx, h, joinWays(r, tok), tok.SeedPeer, p)
		switch {
		case err != nil && !told:
			return nil, err
		case err == nil && a.Status != enrol.StatusWaiting:
			return f.joined(a, tok, r, id)
		case err == nil && !told && r.Waiting != nil:
			r.Waiting(id)
		}
		told = true
		select {
		case <-ctx.Done():
			return nil, api.Errorf(api.ClassUnreachable, "request %s still waits for an admin's word", id).
				WithHint("on the seed: 'patchmesh enrol accept %s'; then run the same join again: it goes on where it was", id)
		case <-time.After(pause + mrand.N(pause/4)):
		}
	}
}

func askingHost(key ed25519.PrivateKey) (*transport.Host, error) {
	return transport.New(transport.Config{
		Key: key, Listen: "127.0.0.1:0", Handler: noHandler{}, Log: slog.New(slog.DiscardHandler),
		Hello: func() wire.Hello { return wire.Hello{Version: 1} },
		Admit: func(string, wire.Hello) (transport.Peer, error) { return transport.Peer{}, errForeignSite },
	})
}

// joinWays lists whom to ask: those given by hand, then the seed's own addresses.
func joinWays(r JoinRequest, tok enrol.Token) []wire.PeerAddr {
	var out []wire.PeerAddr
	for _, p := range r.Peers {
		id := ""
		if slices.Contains(tok.Addrs, p) {
			id = tok.SeedPeer
		}
		out = append(out, wire.PeerAddr{ID: id, Addr: p})
	}
	for _, a := range tok.Addrs {
		if !slices.Contains(r.Peers, a) {
			out = append(out, wire.PeerAddr{ID: tok.SeedPeer, Addr: a})
		}
	}
	return out
}

// ask tries every way once until an answer opens. Only what the seed has sealed counts: a relay that
// says no, or answers with something else, is passed by.
func ask(ctx context.Context, h *transport.Host, ways []wire.PeerAddr, seedPeer string, p *enrol.Pending) (*enrol.Answer, error) {
	var last error
	class := api.ClassUnreachable
	for _, w := range ways {
		a, err := askOne(ctx, h, w, p)
		if err == nil {
			return a, nil
		}
		last = fmt.Errorf("%s: %w", w.Addr, err)
		if isRefused(err) && w.ID == seedPeer || errors.Is(err, enrol.ErrSealed) || errors.Is(err, enrol.ErrFormat) {
			class = api.ClassRefused
		}
	}
	return nil, api.Errorf(class, "neither the seed nor an enrolled machine gave an answer that holds: %v", last).
		WithHint("see that patchmesh runs there and the mesh port is open, or name a machine that can be reached with --peer IP:PORT")
}

// askTimeout bounds one way.
const askTimeout = 20 * time.Second

func askOne(ctx context.Context, h *transport.Host, w wire.PeerAddr, p *enrol.Pending) (*enrol.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	b, err := h.EnrolWith(ctx, w.ID, w.Addr, p.Request)
	if err != nil {
		return nil, err
	}
	a, err := p.Open(b)
	if err != nil {
		return nil, fmt.Errorf("the answer was not made by the seed of this token: %w", err)
	}
	return a, nil
}

// joined ends an enrolment with what the seed has said.
func (f *folder) joined(a *enrol.Answer, tok enrol.Token, r JoinRequest, id string) (*Joined, error) {
	if a.Status == enrol.StatusRefused {
		if a.Code != enrol.CodeBusy { // the next attempt begins anew
			if err := f.db.DropValue(joiningKey); err != nil {
				return nil, err
			}
		}
		return nil, refusedJoin(a)
	}
	j, err := f.enrol(a, tok, r.Peers)
	if err != nil {
		return nil, err
	}
	j.Request = id
	return j, f.db.DropValue(joiningKey)
}

func refusedJoin(a *enrol.Answer) error {
	e := api.Errorf(api.ClassRefused, "the seed refused: %s", api.Clean(a.Reason))
	switch a.Code {
	case enrol.CodeName:
		return e.WithHint("choose another name with --name")
	case enrol.CodeBusy:
		return e.WithHint("try again later, or ask the admin: 'patchmesh enrol list' shows what waits")
	case enrol.CodeRejected:
		return e.WithHint("ask the admin; 'patchmesh enrol accept' on the seed still can change it")
	case enrol.CodeRevoked, enrol.CodeReplaced:
		return e.WithHint("this key is locked out: join with a new token and an empty data folder")
	}
	return e.WithHint("tokens expire and are used up; ask the admin for a new one: 'patchmesh invite'")
}

// enrol keeps the membership, after verifying all of it.
func (f *folder) enrol(a *enrol.Answer, tok enrol.Token, peers []string) (*Joined, error) {
	files := policy.Files{
		Root: a.Documents["root"], Timestamp: a.Documents["timestamp"], Snapshot: a.Documents["snapshot"], Targets: a.Documents["targets"],
		RosterRole: a.Documents["roster-role"], Roster: a.Documents["roster"], Manifest: a.Documents["manifest"],
		Delegated: a.Documents["delegated"],
	}
	if content.Sum(files.Root) != tok.RootDigest {
		return nil, api.Errorf(api.ClassRefused, "the root of trust is not the one that the token names").WithHint("if the organisation has changed its root keys since, ask for a new token")
	}
	t, err := policy.OpenTrust(files, f.now())
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "the documents that came with the membership cannot be believed: %v", err)
	}
	keys, err := rosterKeys(t.Roster())
	if err != nil {
		return nil, err
	}
	cert, err := enrol.Check(a.Cert, keys, f.id, f.now())
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "the membership certificate cannot be believed: %v", err).WithHint("see that this machine's clock is right")
	}
	if err := f.beginTrust(files, t.RootVersion()); err != nil {
		return nil, err
	}
	// What the certificate says is what the others will see; what stands beside it in the answer is not signed.
	m := membership{
		Org: cert.Org, Site: cert.Site, Name: cert.Name, Groups: nonNil(cert.Groups), Cert: a.Cert, GossipKey: a.GossipKey, Peers: peers, Box: tok.Box,
	}
	if err := saveMembership(f.db, m); err != nil { // last: what makes the folder a member's
		return nil, err
	}
	return &Joined{ID: f.id, Name: m.Name, Org: m.Org, Site: m.Site, Groups: m.Groups}, nil
}

// noHandler is a machine that only asks.
type noHandler struct{}

func (noHandler) PeerUp(transport.Peer)                       {}
func (noHandler) PeerDown(string, error)                      {}
func (noHandler) Message(string, wire.Message)                {}
func (noHandler) ChunkAsked(string, uint64, content.ID, int)  {}
func (noHandler) ChunkCancelled(string, uint64)               {}
func (noHandler) DocAsked(string, wire.DocAsk) ([]byte, bool) { return nil, false }
func (noHandler) GossipStream(_ string, c net.Conn)           { _ = c.Close() }
func (noHandler) Enrol(context.Context, string, string, []byte) ([]byte, error) {
	return nil, errForeignSite
}

func failureIsTrust(err error) bool { return policy.ReasonOf(err) != "" }
