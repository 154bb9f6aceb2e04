package policy

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"patchmesh/content"
)

// The approval log: one entry for every manifest that was published, each naming the entry before it.
// Entries carry the changes, so the manifest of any time can be made again from the log alone, and the
// approvers' signatures under it, so that an entry cannot claim what they did not sign. The roster
// carries a checkpoint, so every machine keeps a witness of how long the log was and how it ended.

// Entry is one line of the approval log.
type Entry struct {
	Format    int       `json:"format"`
	Index     uint64    `json:"index"` // 0 is the first
	Prev      string    `json:"prev"`  // content ID of the entry before; empty for the first
	At        time.Time `json:"at"`
	Role      string    `json:"role,omitempty"` // the delegated role; empty: the main approvers
	Before    uint64    `json:"before"`         // epoch, or serial of the role
	After     uint64    `json:"after"`
	Signers   []string  `json:"signers"` // key ids
	Threshold int       `json:"threshold"`
	Reason    string    `json:"reason"`
	Org       string    `json:"org"`
	Changes   []Change  `json:"changes"`
	IssuedAt  time.Time `json:"issued_at"` // of the manifest
	Granted   uint64    `json:"granted,omitempty"`
	Manifest  string    `json:"manifest"` // content ID of the manifest that the changes lead to
	Signed    []byte    `json:"signed"`   // the signed TUF metadata that names it
}

// Limits of the log.
const (
	EntryFormat   = 1
	MaxEntryBytes = 48 << 20
)

// Checkpoint says how long the log is and how it ends.
type Checkpoint struct {
	Entries uint64 `json:"entries"`
	Head    string `json:"head"` // content ID of the last entry
}

func (c *Checkpoint) check() error {
	if c == nil {
		return nil
	}
	if _, err := content.ParseID(c.Head); err != nil || c.Entries == 0 || c.Entries > maxEpoch {
		return fmt.Errorf("checkpoint of %d entries: %w", c.Entries, ErrFormat)
	}
	return nil
}

// History is a verified beginning of the log: what the next entry continues. Its zero value is the
// log before its first entry.
type History struct {
	entries uint64
	head    string
	at      time.Time
	state   map[string]logged // by role
	main    *metadata.Metadata[metadata.TargetsType]
}

// logged is where one role has got to.
type logged struct {
	decisions
	version  uint64
	manifest []byte
	expires  time.Time
}

// Checkpoint is what a roster should say about this log; nil before the first entry.
func (h *History) Checkpoint() *Checkpoint {
	if h.entries == 0 {
		return nil
	}
	return &Checkpoint{Entries: h.entries, Head: h.head}
}

// Manifest is what was approved at the end of this history, by the main approvers (empty) or a role,
// as the exact bytes that were signed; nil before the first entry.
func (h *History) Manifest(role string) []byte { return h.state[role].manifest }

// Roles are the delegated roles that have signed anything, sorted.
func (h *History) Roles() []string {
	var all []string
	for r := range h.state {
		if r != "" {
			all = append(all, r)
		}
	}
	slices.Sort(all)
	return all
}

// InForce is the manifest in force at the end of this history, as every machine of that time made it
// from the main approvers' word and the roles'; nil before the first entry.
func (h *History) InForce() *Manifest {
	main, err := DecodeManifest(h.state[""].manifest)
	if err != nil {
		return nil
	}
	var roles []RoleState
	for _, l := range main.Delegations {
		r := RoleState{Delegation: l, ExpiresAt: h.state[l.Role].expires}
		if doc, err := DecodeRoleManifest(h.state[l.Role].manifest); err == nil && doc.Granted == l.Granted {
			r.Document, r.Serial, r.Refused = doc, doc.Serial, l.beyond(doc)
		}
		roles = append(roles, r)
	}
	return merge(main, roles, nil)
}

// Next makes the entry for a draft that is about to be published on top of t. A nil draft stands for
// the documents of a role (empty: the main approvers) that t has already: the log's beginning.
func (h *History) Next(t *Trust, d *Draft, role, reason string, at time.Time) (*Entry, error) {
	if d == nil {
		var err error
		if d, err = t.publishedDraft(role); err != nil {
			return nil, err
		}
	}
	e := &Entry{
		Format: EntryFormat, Index: h.entries, Prev: h.head, At: stamp(at), Role: d.role, Before: h.state[d.role].version, After: d.epoch,
		Granted: d.granted, Manifest: d.ManifestID().String(), Signers: append([]string{}, d.Signers(t)...), Reason: reason, Org: t.Org(),
	}
	if e.At.Before(h.at) { // a clock that was set back must not stop approvals
		e.At = h.at
	}
	_, e.Threshold = t.approvers(d.role)
	var err error
	if e.Signed, err = d.targets.ToBytes(false); err != nil {
		return nil, fmt.Errorf("encode targets: %w", err)
	}
	after, issued, err := d.decisions()
	if err != nil {
		return nil, err
	}
	e.IssuedAt, e.Changes = issued, h.state[d.role].diff(after)
	return e, nil
}

// publishedDraft is a role's documents in force, as the draft that they once were.
func (t *Trust) publishedDraft(role string) (*Draft, error) {
	if role == "" {
		if t.main == nil {
			return nil, fmt.Errorf("nothing was approved yet: %w", ErrFormat)
		}
		return &Draft{manifest: t.files.Manifest, epoch: t.main.Epoch, org: t.main.Org, targets: t.tm.Targets[metadata.TARGETS]}, nil
	}
	files, err := decodeDelegated(t.files.Delegated)
	if err != nil {
		return nil, err
	}
	r, _ := t.role(role)
	i := slices.IndexFunc(files, func(f delegatedFile) bool { return f.Role == role })
	if i < 0 || r.Document == nil {
		return nil, fmt.Errorf("role %s has decided nothing yet: %w", role, ErrFormat)
	}
	m, err := parseSigned[metadata.TargetsType](role, files[i].Signed, MaxRoleBytes)
	if err != nil {
		return nil, err
	}
	return &Draft{role: role, manifest: files[i].Document, epoch: r.Document.Serial, granted: r.Document.Granted, org: r.Document.Org, targets: m}, nil
}

// decisions are what the draft's manifest says.
func (d *Draft) decisions() (decisions, time.Time, error) {
	if d.role != "" {
		m, err := DecodeRoleManifest(d.manifest)
		if err != nil {
			return decisions{}, time.Time{}, err
		}
		return m.decisions(), m.IssuedAt, nil
	}
	m, err := DecodeManifest(d.manifest)
	if err != nil {
		return decisions{}, time.Time{}, err
	}
	return m.decisions(grantsOf(m, d.targets)), m.IssuedAt, nil
}

// grantsOf puts limits and keys together.
func grantsOf(m *Manifest, targets *metadata.Metadata[metadata.TargetsType]) []RoleGrant {
	var out []RoleGrant
	for _, l := range m.Delegations {
		g := RoleGrant{Delegation: l}
		if r := roleOf(targets.Signed.Delegations, l.Role); r != nil {
			g.KeyIDs, g.Threshold = r.KeyIDs, r.Threshold
		}
		out = append(out, g)
	}
	return out
}

// Encode writes the entry: one line of JSON without the line end.
func (e *Entry) Encode() ([]byte, error) {
	b, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode log entry: %w", err)
	}
	if len(b) > MaxEntryBytes {
		return nil, fmt.Errorf("log entry of %d bytes: %w", len(b), ErrTooLarge)
	}
	return b, nil
}

// DecodeEntry reads one line. ErrFormat, ErrTooLarge. Whether it belongs into a log, Add says.
func DecodeEntry(b []byte) (*Entry, error) {
	var e Entry
	if err := decodeExact(b, MaxEntryBytes, &e); err != nil {
		return nil, fmt.Errorf("log entry: %w", err)
	}
	if e.Format != EntryFormat || len(e.Reason) > maxReasonBytes {
		return nil, fmt.Errorf("log entry of format %d: %w", e.Format, ErrFormat)
	}
	return &e, nil
}

// Add verifies one more line: it follows the one before, its changes lead from what was approved to a
// manifest of the very bytes that it names, and that manifest is what its signatures are about. Roots
// are the organisation's, any order: with them the signatures themselves are verified, without them
// (nil) they are not looked at. On an error the history is as it was.
func (h *History) Add(line []byte, roots []*Trust) (*Entry, error) {
	e, err := DecodeEntry(line)
	if err != nil {
		return nil, err
	}
	was := h.state[e.Role]
	switch {
	case e.Index != h.entries || e.Prev != h.head:
		return nil, fmt.Errorf("log entry %d does not follow the one before it: %w", e.Index, ErrHash)
	case e.Before != was.version || e.After <= e.Before:
		return nil, fmt.Errorf("log entry %d goes from %d to %d, the log was at %d: %w", e.Index, e.Before, e.After, was.version, ErrRollback)
	case e.At.Before(h.at):
		return nil, fmt.Errorf("log entry %d is older than the one before it: %w", e.Index, ErrRollback)
	}
	after, err := was.apply(e.Changes)
	if err != nil {
		return nil, fmt.Errorf("log entry %d: %w", e.Index, err)
	}
	targets, err := parseSigned[metadata.TargetsType]("log entry", e.Signed, MaxTargetsBytes)
	if err != nil {
		return nil, err
	}
	doc, err := e.manifest(after, targets)
	if err != nil {
		return nil, fmt.Errorf("log entry %d: %w", e.Index, err)
	}
	if err := h.checkSigned(e, targets, doc, roots); err != nil {
		return nil, fmt.Errorf("log entry %d: %w", e.Index, err)
	}
	if h.state == nil {
		h.state = map[string]logged{}
	}
	h.state[e.Role] = logged{after, e.After, doc, targets.Signed.Expires}
	if e.Role == "" {
		h.main = targets
	}
	h.entries, h.head, h.at = h.entries+1, content.Sum(line).String(), e.At
	return e, nil
}

// manifest makes the bytes again that the entry is about.
func (e *Entry) manifest(d decisions, targets *metadata.Metadata[metadata.TargetsType]) ([]byte, error) {
	var doc []byte
	var err error
	if e.Role == "" {
		m := d.manifest()
		m.Org, m.Epoch, m.IssuedAt = e.Org, e.After, e.IssuedAt
		for _, r := range d.roles {
			m.Delegations = append(m.Delegations, r.Delegation)
		}
		doc, err = spelled(m, e.Manifest, func(null int) {
			m.Groups, m.Approvals, m.Holds = lists(m.Groups, null&1 > 0), lists(m.Approvals, null&2 > 0), lists(m.Holds, null&4 > 0)
		})
	} else {
		m := &RoleManifest{Org: e.Org, Role: e.Role, Granted: e.Granted, Serial: e.After, IssuedAt: e.IssuedAt, Approvals: d.approvals, Holds: d.holds, HoldExceptions: d.exceptions}
		doc, err = spelled(m, e.Manifest, func(null int) { m.Approvals, m.Holds = lists(m.Approvals, null&2 > 0), lists(m.Holds, null&4 > 0) })
	}
	if err != nil {
		return nil, err
	}
	path := ManifestPath
	if e.Role != "" {
		path = RolePath(e.Role)
	}
	if f := targets.Signed.Targets[path]; f == nil || f.VerifyLengthHashes(doc) != nil || uint64(targets.Signed.Version) != e.After {
		return nil, fmt.Errorf("its signatures are about something else: %w", ErrHash)
	}
	return doc, nil
}

// spelled encodes a manifest whose empty lists may each have been null or [] when it was signed: one that was emptied is
// not written like one that never held anything.
func spelled[T interface{ Encode() ([]byte, error) }](m T, want string, set func(null int)) ([]byte, error) {
	for _, null := range []int{0, 7, 1, 2, 3, 4, 5, 6} {
		set(null)
		b, err := m.Encode()
		if err != nil {
			return nil, err
		}
		if content.Sum(b).String() == want {
			return b, nil
		}
	}
	return nil, fmt.Errorf("its changes do not lead to the manifest that it names: %w", ErrHash)
}

func lists[T any](all []T, null bool) []T {
	if len(all) > 0 {
		return all
	}
	if null {
		return nil
	}
	return []T{}
}

// checkSigned verifies the approvers' signatures: the main ones under one of the roots, a role's under
// the delegations that the log had come to.
func (h *History) checkSigned(e *Entry, targets *metadata.Metadata[metadata.TargetsType], doc []byte, roots []*Trust) error {
	if roots == nil {
		return nil
	}
	d := &Draft{role: e.Role, manifest: doc, epoch: e.After, targets: targets}
	for _, r := range roots {
		var err error
		if e.Role == "" {
			err = r.tm.Root.VerifyDelegate(metadata.TARGETS, targets)
		} else if h.main == nil {
			err = ErrFormat
		} else {
			err = h.main.VerifyDelegate(e.Role, targets)
		}
		if err != nil {
			continue
		}
		with := *r
		tm := *r.tm
		tm.Targets = map[string]*metadata.Metadata[metadata.TargetsType]{metadata.TARGETS: h.main}
		with.tm = &tm
		if _, need := with.approvers(e.Role); need == e.Threshold && slices.Equal(d.Signers(&with), e.Signers) {
			return nil
		}
	}
	return fmt.Errorf("not signed by those whom it names, or not by enough of them: %w", ErrThreshold)
}

// sameJSON compares what would be written. What is deeply equal is written alike, and compared in a fraction of the time.
func sameJSON(a, b any) bool {
	if reflect.DeepEqual(a, b) {
		return true
	}
	x, errA := json.Marshal(a)
	y, errB := json.Marshal(b)
	return errA == nil && errB == nil && bytes.Equal(x, y)
}
