package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/apply"
	"patchmesh/node/install"
	"patchmesh/node/state"
	"patchmesh/node/trustdir"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// The net side of the apply role. What it is asked to install the role looks up in the signed
// documents itself, verifies their whole chain again, and installs only a copy that it has hashed
// itself (package apply); here orders are only handed over and answers translated.

// orders is the apply role as the node sees it: in this process (apply.Role) or behind a socket
// (apply.Client). Both verify with the same code.
type orders interface {
	Do(ctx context.Context, id content.ID, want apply.Order) (apply.Outcome, error)
	// CopyEarly makes the copy that the install of an update will take while the payload comes. It ends with the install,
	// or with ctx; without it the install makes the copy.
	CopyEarly(ctx context.Context, id content.ID) error
	LookRestart(ctx context.Context) (policy.PendingRestart, error)
	Restart(ctx context.Context) error
	Proved(ctx context.Context, sum [32]byte) error // the node's program, on trial, is well
}

// applyPatience is how long the apply process may take to start, or to make room.
const applyPatience = time.Minute

func installerKinds() []string { return install.Kinds() }

// machineFacts are what plans are made from.
func (n *Node) machineFacts() policy.Machine {
	m := policy.Machine{
		ID: n.id, Name: n.member.Name, Site: n.member.Site, Groups: n.member.Groups,
		OS: runtime.GOOS, Arch: runtime.GOARCH, Zone: time.Local, Installers: installerKinds(),
	}
	n.people.said(&m)
	m.Inventory, m.Claims = n.stock.known()
	m.Restart = n.restarts.known()
	return m
}

// openApply chooses where the apply role runs.
func (n *Node) openApply() {
	if n.cfg.ApplySocket != "" {
		c := apply.NewClient(n.cfg.ApplySocket, offers{n})
		c.Patience = applyPatience
		n.orders = c
		n.log.Info("updates are installed by a separate process", "socket", n.cfg.ApplySocket)
		return
	}
	n.orders = n.roleHere()
	if n.seed == nil {
		n.log.Info("updates are installed by this same process, which also speaks to the network; 'patchmesh service install' separates the two")
	}
}

// roleHere is the apply role in this process: it reads the documents and payloads of the node from
// disk and verifies them again.
func (n *Node) roleHere() *apply.Role {
	facts := n.machineFacts()
	// The core asks people, with what they said at that moment: what the local file held back when this
	// process began must not be held for ever.
	facts.UserElsewhere, facts.Local, facts.LocalHolds, facts.Wishes = true, nil, nil, nil
	h := newHands(n.cfg.Root, n.cfg.DataDir, n.cfg.RestartWith, n.cfg.GoingDown)
	trust := newTrustHere(n.cfg.DataDir)
	return apply.NewRole(apply.Config{
		Trust: trust, Verify: trust.dir.Verify, Shelf: storeShelf{n}, Journal: n.db, Machine: facts, Lately: n.stock.known, Now: n.cfg.Now, Log: n.log,
		Hands: h, Early: n.early(h), Restarter: h.restart, GoingDown: h.restart.GoingDown, Agent: slotsProof(n.cfg.Agent),
	})
}

// trustHere is the node's own trusted documents, read from disk each time. Only the believer saves them.
type trustHere struct{ dir *trustdir.Dir }

func newTrustHere(dataDir string) trustHere {
	return trustHere{trustdir.Look(filepath.Join(dataDir, "trust"))}
}

func (t trustHere) Load() (policy.Files, error) { return keptTrust(t).Load() }

func (trustHere) Save(policy.Files) error {
	return errors.New("the apply role in this process saves no trusted documents")
}

// storeShelf is the node's own store as the shelf of the role.
type storeShelf struct{ n *Node }

func (s storeShelf) Describe(id content.ID) *policy.Descriptor { return s.n.describer()(id) }

// Open gives the payload to an installer, which hashes what it copies.
func (s storeShelf) Open(d *policy.Descriptor) (io.ReadCloser, error) {
	return s.n.openCopy(d)
}

// offers is what the node has for an apply role in another process.
type offers struct{ n *Node }

func (o offers) Head() []byte { return o.n.believer.current().Files().Timestamp }

// Root gives a root by its version. Those that were never here are not known, which is no error.
func (o offers) Root(version int64) ([]byte, error) {
	t := o.n.believer.current()
	if version == t.RootVersion() {
		return t.Files().Root, nil
	}
	b, err := o.n.db.Value(rootKey(version))
	if err != nil || len(b) == 0 {
		return nil, nil
	}
	return b, nil
}

// Document gives a document behind the head. The library hears of newer approvals a moment after Head does, so what
// it lacks is looked for there.
func (o offers) Document(id content.ID) ([]byte, error) {
	b, err := o.n.docs.document(id)
	if err == nil {
		return b, nil
	}
	for _, b := range o.n.believer.current().Files().Documents() {
		if len(b) > 0 && content.Sum(b) == id {
			return b, nil
		}
	}
	return nil, nil
}

func (o offers) Payload(id content.ID) (io.ReadCloser, int64, error) {
	d, err := o.n.descriptor(id)
	if err != nil {
		return nil, 0, err
	}
	r, err := o.n.openCopy(d)
	return r, d.PlainBytes, err
}

// detect looks whether an update is on the machine.
func (n *Node) detect(ctx context.Context, a swarm.Detect) {
	got, err := n.orders.Do(ctx, a.Descriptor, apply.Detect)
	if err != nil {
		n.events.send(applyFailure(a.Req, err))
		return
	}
	n.events.send(swarm.Detected{Req: a.Req, Present: got.Present, Version: got.Version, Foreign: got.Foreign, Detail: got.Detail})
}

// install installs or removes an update, if the apply role finds that approvers want it here.
func (n *Node) install(ctx context.Context, req swarm.Req, id content.ID, want apply.Order) {
	got, err := n.orders.Do(ctx, id, want)
	n.publishInstalled(id)
	if err != nil && n.cfg.Agent.moved() {
		return // the next version of this node finds out by looking: that this one made room is no failure
	}
	if err != nil {
		n.keepFailure(id, want, err)
		n.events.send(applyFailure(req, err))
		return
	}
	if got.Restart { // before it is called installed
		n.lookRestart(ctx)
	}
	n.stockChanged()
	n.keepLog(id, got.Log)
	n.events.send(swarm.Installed{Req: req, Version: got.Version})
	if want == apply.Install {
		n.wishSpent(id)
	}
}

// keepLog keeps what an installer printed for those who look later what it did here.
func (n *Node) keepLog(id content.ID, log string) {
	if d, err := n.descriptor(id); err == nil && log != "" {
		n.record(state.EventRow{Kind: api.EventInstaller, Update: string(d.Update), Detail: api.CleanLines(log)})
	}
}

// keepFailure keeps what an installer printed that failed: the state of the update tells of the last attempt alone, and
// only until it goes on.
func (n *Node) keepFailure(id content.ID, want apply.Order, err error) {
	var e *apply.Error
	d, derr := n.descriptor(id)
	if derr != nil || !errors.As(err, &e) || e.Log == "" && e.Reason != policy.ReasonInstallerExit && e.Reason != policy.ReasonInstallerTimeout {
		return
	}
	head := api.Clean(fmt.Sprintf("%s failed: %s", want, e.What))
	log := api.CleanLines(first(e.Log, "(it printed nothing)"))
	if most := max(state.MaxDetail-len(head)-1, 0); len(log) > most { // its end says why
		log = strings.ToValidUTF8(log[len(log)-most:], "")
	}
	n.record(state.EventRow{Kind: api.EventInstaller, Update: string(d.Update), Reason: string(e.Reason), Detail: head + "\n" + log})
}

// descriptor reads a descriptor that is at home.
func (n *Node) descriptor(id content.ID) (*policy.Descriptor, error) {
	return n.docs.descriptor(id)
}

func (n *Node) describer() func(content.ID) *policy.Descriptor {
	return func(id content.ID) *policy.Descriptor {
		d, err := n.descriptor(id)
		if err != nil {
			return nil
		}
		return d
	}
}

// applyFailure translates what the apply role says for the core.
func applyFailure(req swarm.Req, err error) swarm.Failed {
	f := failure(req, err)
	var e *apply.Error
	switch {
	case errors.As(err, &e):
		f.Reason, f.Facts = e.Reason, e.Facts
		if e.Log != "" {
			f.Detail += ": " + e.Log
		}
		if e.Corrupt {
			f.Reason = policy.ReasonTrustBadChunk
		}
	case errors.Is(err, apply.ErrUnreachable):
		f.Reason = policy.ReasonInstallerDenied
	}
	return f
}

// reportInterrupted says which installs a crash has cut off; the core looks at the machine again
// before it tries anything, so this is for people.
func (n *Node) reportInterrupted() {
	open, err := n.db.JournalOpen()
	if err != nil {
		n.log.Warn("install journal not read", "err", err)
		return
	}
	for _, j := range open {
		n.log.Warn("an install was interrupted; the machine is looked at again", "update", j.Update, "revision", j.Revision, "since", j.At.Format(time.RFC3339))
	}
}
