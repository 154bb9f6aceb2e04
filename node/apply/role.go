package apply

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"patchmesh/content"
	"patchmesh/policy"
)

// Trust keeps the signed documents that this role believes. Save returns when they are durable.
type Trust interface {
	Load() (policy.Files, error)
	Save(policy.Files) error
}

// Hands do the work on the machine. Errors are *Error where they know a reason.
type Hands interface {
	Detect(ctx context.Context, d *policy.Descriptor) (Outcome, error)
	// Install reads the payload from open and hashes what it copies. It tells each step before it goes on.
	Install(ctx context.Context, d *policy.Descriptor, open func() (io.ReadCloser, error), step func(string) error) (Outcome, error)
	Remove(ctx context.Context, d *policy.Descriptor) (Outcome, error)
}

// Shelf is what lies ready on this machine.
type Shelf interface {
	// Describe gives a descriptor, nil if it is not here.
	Describe(id content.ID) *policy.Descriptor
	// Open reads the payload of a descriptor.
	Open(d *policy.Descriptor) (io.ReadCloser, error)
}

// Journal notes durably what began, before it begins.
type Journal interface {
	JournalBegin(update string, revision int, step string, at time.Time) error
	// JournalStep notes how far what began has come.
	JournalStep(update string, revision int, step string, at time.Time) error
	JournalEnd(update string, revision int, step string, at time.Time) error
}

// Config is what a Role is built from. All fields are needed but Verify, Lately, Early, Restarter, GoingDown and Agent.
type Config struct {
	Trust Trust
	// Verify is policy.OpenTrust, which may remember what it said of the very same bytes; it is called by one goroutine
	// at a time, as Trust is. Nil: an opener of the role's own.
	Verify  func(policy.Files, time.Time) (*policy.Trust, error)
	Hands   Hands
	Shelf   Shelf
	Journal Journal
	Machine policy.Machine // from enrolment; never from a caller
	// Lately is what this role finds out itself about the machine, and the groups that its own folder says it
	// has joined; never from a caller either. May be nil: then no group goes by that.
	Lately func() (*policy.Inventory, []string)
	Now    func() time.Time
	Log    *slog.Logger

	// Early copies the payload of an update as it comes, for Hands to take when it is installed. Nil: nothing is copied early.
	Early func(ctx context.Context, d *policy.Descriptor) error

	Restarter Restarter // nil: this role restarts nothing
	// GoingDown says whether the machine is being shut down, as this role sees it itself. Nil: it is not.
	GoingDown func(context.Context) bool
	Agent     Prover // nil: no launcher has started this process
}

// Role carries out what approvers have signed for this machine, and nothing else. Its methods are
// safe for concurrent use; one change of the machine is made at a time.
type Role struct {
	cfg   Config
	trust sync.Mutex // guards cfg.Trust: a load must not meet a half-made save
	work  sync.Mutex // guards the machine and the payloads on the shelf

	reminded reminded

	looksMu sync.Mutex
	looks   map[content.ID]bool // what may be looked for, by the last plan
	looksAt time.Time
}

// looksFor is how long a plan is good for looking, which changes nothing: a scan of thousands of
// updates would else verify everything thousands of times.
const looksFor = 10 * time.Second

// NewRole builds a role.
func NewRole(cfg Config) *Role {
	if cfg.Verify == nil {
		cfg.Verify = new(policy.Opener).Open
	}
	return &Role{cfg: cfg}
}

// Outcome is what came of an order.
type Outcome struct {
	Present bool   `json:"present,omitempty"` // of Detect
	Version string `json:"version,omitempty"` // what is there now; empty where the kind has no versions
	Restart bool   `json:"restart,omitempty"` // of Install and Remove: it is complete only after a restart
	Log     string `json:"log,omitempty"`     // of Install and Remove: end of what the installer printed, at most 4 KiB
	// Of Detect: why the update is not for this machine, and what was seen; empty: it is.
	Foreign policy.Reason `json:"foreign,omitempty"`
	Detail  string        `json:"detail,omitempty"`
}

// State is what Status tells.
type State struct {
	Org       string    `json:"org"`
	Epoch     uint64    `json:"epoch"`
	Head      int64     `json:"head"`
	ExpiresAt time.Time `json:"expires_at,omitzero"`
	Stale     bool      `json:"stale,omitempty"`
	Machine   string    `json:"machine"`
	Site      string    `json:"site"`
	Groups    []string  `json:"groups"`
}

// believed loads the documents from disk and verifies them from the root on. Nothing in memory is asked but what was
// said of these very bytes the last time.
func (r *Role) believed() (*policy.Trust, error) {
	r.trust.Lock()
	defer r.trust.Unlock()
	files, err := r.cfg.Trust.Load()
	if err != nil {
		return nil, fmt.Errorf("trusted documents: %w", err)
	}
	t, err := r.cfg.Verify(files, r.cfg.Now())
	if err != nil {
		return nil, fmt.Errorf("trusted documents: %w", err)
	}
	return t, nil
}

// machine is what plans are made from.
func (r *Role) machine() policy.Machine {
	m := r.cfg.Machine
	if r.cfg.Lately != nil {
		m.Inventory, m.Claims = r.cfg.Lately()
	}
	return m
}

// Status tells what this role believes.
func (r *Role) Status() (State, error) {
	t, err := r.believed()
	if err != nil {
		return State{}, asError("status", err)
	}
	m := r.cfg.Machine
	return State{
		Org: t.Org(), Epoch: t.Epoch(), Head: t.HeadVersion(), ExpiresAt: t.ExpiresAt(), Stale: r.stale(t, r.cfg.Now()),
		Machine: m.Name, Site: m.Site, Groups: m.Groups,
	}, nil
}

// stale judges by the staleness budget of this machine's site, as its enrolment names it.
func (r *Role) stale(t *policy.Trust, now time.Time) bool {
	return t.Stale(now.Add(-t.Roster().SiteStale(r.cfg.Machine.Site)))
}

// approved finds the descriptor of an order among what the verified documents approve for this
// machine now. Everything is read from disk again and must verify.
func (r *Role) approved(id content.ID, want Order) (*policy.Descriptor, error) {
	t, err := r.believed()
	if err != nil {
		return nil, err
	}
	if t.Manifest() == nil {
		return nil, refused(policy.ReasonPolicyDeclined, "%s: nothing is approved yet", want)
	}
	d := r.cfg.Shelf.Describe(id)
	if d == nil {
		return nil, refused(policy.ReasonPeerNoneHolds, "%s %s: its description is not here", want, id.Short())
	}
	if d.ID() != id { // a shelf that is wrong must not lend one update's approval to another
		return nil, fmt.Errorf("%s %s: descriptor: %w", want, id.Short(), policy.ErrHash)
	}
	now := r.cfg.Now()
	facts := r.mitigated(t.Manifest(), d, want)
	if want != Detect {
		// Only the user's own process knows who has said yes. That an update may be installed on that word, approvers
		// have signed; of any other than this one no yes is assumed, so that none replaces or delays it.
		facts.Wishes = map[policy.UpdateID]policy.Wish{d.Update: {Revision: d.Revision, Accepted: true}}
		facts.Ordered = d.Update
		facts.SetBack = r.failedRemovals(t.Manifest(), facts, d.Update)
	}
	if want == InstallAtShutdown {
		if facts, err = r.forShutdown(facts); err != nil {
			return nil, err
		}
	}
	plan := policy.MakePlan(t.Manifest(), r.cfg.Shelf.Describe, facts, r.stale(t, now), now)
	r.remember(plan, now)
	for _, v := range plan.Verdicts {
		if v.Descriptor != id || v.Update != d.Update || v.Revision != d.Revision {
			continue
		}
		if allows(v, want) {
			return d, nil
		}
		return nil, refused(because(v), "%s %s: the approvals do not allow it here now: %s", want, d.Update, v.Detail)
	}
	return nil, refused(policy.ReasonPolicyDeclined, "%s %s: the approvals do not ask for it any more", want, d.Update)
}

func (r *Role) remember(p policy.Plan, now time.Time) {
	looks := make(map[content.ID]bool, len(p.Verdicts))
	for _, v := range p.Verdicts {
		looks[v.Descriptor] = allows(v, Detect)
	}
	r.looksMu.Lock()
	defer r.looksMu.Unlock()
	r.looks, r.looksAt = looks, now
}

func (r *Role) mayLook(id content.ID) bool {
	r.looksMu.Lock()
	defer r.looksMu.Unlock()
	age := r.cfg.Now().Sub(r.looksAt)
	return age >= 0 && age < looksFor && r.looks[id]
}

// allows compares an order with the verdict. To look is allowed for whatever is approved in any way.
func allows(v policy.Verdict, want Order) bool {
	switch want {
	case Detect:
		return v.Compliance != policy.NotApplicable || v.Verb != policy.VerbNone
	case Install, InstallAtShutdown:
		return v.Verb == policy.VerbInstall
	case Remove:
		return v.Verb == policy.VerbRemove
	}
	return false
}

func because(v policy.Verdict) policy.Reason {
	if v.Reason != "" {
		return v.Reason
	}
	if v.Await != 0 { // a window has closed while the order was under way
		return policy.ReasonPolicyDeferred
	}
	return policy.ReasonPolicyDeclined
}

// Do carries out an order if the approvals ask for it. Errors are *Error.
func (r *Role) Do(ctx context.Context, id content.ID, want Order) (Outcome, error) {
	do := r.change
	if want == Detect {
		do = r.look
	}
	out, err := do(ctx, id, want)
	if err != nil {
		return Outcome{}, asError(fmt.Sprintf("%s %s", want, id.Short()), err)
	}
	return out, nil
}

// look changes nothing, so that a plan of a moment ago does.
func (r *Role) look(ctx context.Context, id content.ID, want Order) (Outcome, error) {
	var d *policy.Descriptor
	if r.mayLook(id) {
		d = r.cfg.Shelf.Describe(id)
	}
	if d == nil || d.ID() != id {
		var err error
		if d, err = r.approved(id, want); err != nil {
			return Outcome{}, err
		}
	}
	return r.cfg.Hands.Detect(ctx, d)
}

// change installs or removes, alone, with a note before and after. An order that there is not is refused: no verdict
// allows it. Where another installation is under way the approvals are looked up before the wait and after it: a hold
// may have arrived meanwhile.
func (r *Role) change(ctx context.Context, id content.ID, want Order) (Outcome, error) {
	if !r.work.TryLock() {
		if _, err := r.approved(id, want); err != nil {
			return Outcome{}, err
		}
		r.work.Lock()
	}
	defer r.work.Unlock()
	if err := ctx.Err(); err != nil {
		return Outcome{}, err
	}
	d, err := r.approved(id, want)
	if err != nil {
		return Outcome{}, err
	}
	if err := r.cfg.Journal.JournalBegin(string(d.Update), d.Revision, want.String(), r.cfg.Now()); err != nil {
		return Outcome{}, err
	}
	var out Outcome
	if want == Remove {
		out, err = r.cfg.Hands.Remove(ctx, d)
	} else {
		out, err = r.cfg.Hands.Install(ctx, d, func() (io.ReadCloser, error) { return r.cfg.Shelf.Open(d) }, func(step string) error {
			return r.cfg.Journal.JournalStep(string(d.Update), d.Revision, step, r.cfg.Now())
		})
	}
	step := "done"
	if err != nil {
		step = failedStep + err.Error()
	}
	if jerr := r.cfg.Journal.JournalEnd(string(d.Update), d.Revision, step, r.cfg.Now()); jerr != nil && err == nil {
		err = jerr
	}
	return out, err
}

// OfferMetadata walks from what is trusted to the offered head. ask is called for every document that
// is not here; nil says that the other side has none. Only a whole verified set is saved, and none
// that is older than the one in force. Then it asks for the descriptors of what is approved here,
// and of what stands between in its chains; those that the other side lacks are left for another time.
func (r *Role) OfferMetadata(head []byte, ask func(Need) ([]byte, error), keep func(content.ID, []byte) error) error {
	t, err := r.takeHead(head, ask)
	if err != nil {
		return asError("offered metadata", err)
	}
	if t.Manifest() == nil {
		return nil
	}
	now := r.cfg.Now()
	nothing := func(content.ID) *policy.Descriptor { return nil }
	plan := policy.MakePlan(t.Manifest(), nothing, r.machine(), r.stale(t, now), now)
	wanted := make([]policy.Approval, 0, len(plan.Verdicts))
	for _, v := range plan.Verdicts {
		wanted = append(wanted, t.Manifest().Approvals[v.Approval])
	}
	if _, err := r.takeDescriptors(wanted, ask, keep); err != nil {
		return err
	}
	for range t.Manifest().Approvals { // whoever orders knows the chains through what is for other machines too, and would be refused
		got, err := r.takeDescriptors(t.Manifest().Between(plan, r.cfg.Shelf.Describe), ask, keep)
		if err != nil || got == 0 {
			return err
		}
	}
	return nil
}

// takeDescriptors asks for those that are not here, and says how many came.
func (r *Role) takeDescriptors(wanted []policy.Approval, ask func(Need) ([]byte, error), keep func(content.ID, []byte) error) (got int, err error) {
	for _, a := range wanted {
		if r.cfg.Shelf.Describe(a.Descriptor) != nil {
			continue
		}
		b, err := ask(Need{ID: a.Descriptor, MaxBytes: max(1, min(a.DescriptorBytes, policy.MaxDescriptorBytes))})
		if err != nil {
			return got, asError("offered descriptor", err)
		}
		if b == nil {
			continue
		}
		if err := takeDescriptor(a.Descriptor, b, keep); err != nil {
			return got, asError("offered descriptor", err)
		}
		got++
	}
	return got, nil
}

func takeDescriptor(id content.ID, b []byte, keep func(content.ID, []byte) error) error {
	if content.Sum(b) != id {
		return policy.ErrHash
	}
	if _, err := policy.DecodeDescriptor(b); err != nil {
		return err
	}
	return keep(id, b)
}

// maxOutrun bounds how often one order verifies its documents anew because another order has saved
// others meanwhile: each time the set in force is newer, so two orders at once need it once.
const maxOutrun = 4

// takeHead refreshes the trusted set, and begins anew from what is in force if another order was faster:
// mostly it has brought the very same documents.
func (r *Role) takeHead(head []byte, ask func(Need) ([]byte, error)) (*policy.Trust, error) {
	for try := 1; ; try++ {
		t, err := r.takeHeadOnce(head, ask)
		if !errors.Is(err, errOutrun) || try == maxOutrun {
			return t, err
		}
	}
}

// takeHeadOnce holds no lock while it asks: a caller that answers slowly must not stop orders. The lock is
// taken for the save, after a look that nobody was faster.
func (r *Role) takeHeadOnce(head []byte, ask func(Need) ([]byte, error)) (*policy.Trust, error) {
	t, err := r.believed()
	if err != nil {
		return nil, err
	}
	if bytes.Equal(head, t.Files().Timestamp) {
		return t, nil
	}
	walk := t.RefreshLate(head, r.cfg.Now(), t.Roster().SiteStale(r.cfg.Machine.Site))
	for need, more := walk.Need(); more; need, more = walk.Need() { // policy bounds the newer roots, and what follows them is a handful
		b, err := ask(Need{RootVersion: need.RootVersion, ID: need.ID, MaxBytes: need.MaxBytes})
		if err != nil {
			return nil, err
		}
		if b == nil && need.RootVersion == 0 {
			return nil, refused(policy.ReasonPeerNoneHolds, "offered metadata: %s is missing", need.Role)
		}
		if err := walk.Supply(b); err != nil {
			return nil, fmt.Errorf("%s: %w", need.Role, err)
		}
	}
	next, err := walk.Result()
	if err != nil {
		return nil, err
	}
	return next, r.adopt(t, next)
}

// errOutrun: the trusted set has changed since it was read.
var errOutrun = refused(policy.ReasonPeerNoneHolds, "offered metadata: other offers were faster; offer again")

// adopt saves next if the set that it was verified against is still the one in force.
func (r *Role) adopt(was, next *policy.Trust) error {
	r.trust.Lock()
	defer r.trust.Unlock()
	now, err := r.cfg.Trust.Load()
	if err != nil {
		return fmt.Errorf("trusted documents: %w", err)
	}
	if !bytes.Equal(now.Timestamp, was.Files().Timestamp) || !bytes.Equal(now.Root, was.Files().Root) {
		return errOutrun
	}
	if err := r.cfg.Trust.Save(next.Files()); err != nil {
		return err
	}
	r.cfg.Log.Info("approvals taken up", "epoch", next.Epoch(), "head", next.HeadVersion(), "root", next.RootVersion())
	return nil
}
