package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"patchmesh/content"
)

// Parcel is a draft on its way to an approver without a network: with everything that it takes to
// verify from a pinned root, or from what the approver's machine has seen before, what the draft is
// about and what it changes.
type Parcel struct {
	Format      int             `json:"format"`
	Roots       [][]byte        `json:"roots"` // newer roots, from version 2 on or from wherever the seed has them
	Root        []byte          `json:"root"`  // version 1, which the fingerprint names
	Timestamp   []byte          `json:"timestamp"`
	Snapshot    []byte          `json:"snapshot"`
	Targets     []byte          `json:"targets"`
	RosterRole  []byte          `json:"roster_role"`
	Roster      []byte          `json:"roster"`
	Manifest    []byte          `json:"manifest"`
	Delegated   []byte          `json:"delegated"`
	Descriptors [][]byte        `json:"descriptors"`         // of updates that the draft approves: for their titles
	NextRoot    []byte          `json:"next_root,omitempty"` // the root that the draft will be published under, if it waits for it
	Draft       json.RawMessage `json:"draft"`
}

// Limits of a parcel.
const (
	parcelFormat   = 1
	MaxParcelBytes = 160 << 20
	maxParcelRoots = maxRoots
)

// NewParcel packs a draft with the trusted set that it follows. roots are all roots from version 1 on;
// next is the root that waits for the draft, nil as a rule.
func NewParcel(t *Trust, d *Draft, roots, descriptors [][]byte, next []byte) ([]byte, error) {
	if len(roots) == 0 {
		return nil, fmt.Errorf("parcel without the first root: %w", ErrFormat)
	}
	draft, err := d.Encode()
	if err != nil {
		return nil, err
	}
	f := t.files
	b, err := json.Marshal(Parcel{
		Format: parcelFormat, Root: roots[0], Roots: roots[1:], Timestamp: f.Timestamp, Snapshot: f.Snapshot, Targets: f.Targets,
		RosterRole: f.RosterRole, Roster: f.Roster, Manifest: f.Manifest, Delegated: f.Delegated, Descriptors: descriptors, NextRoot: next, Draft: draft,
	})
	if err != nil {
		return nil, fmt.Errorf("encode parcel: %w", err)
	}
	return b, nil
}

// DecodeParcel reads a parcel. Nothing in it is believed before Open.
func DecodeParcel(b []byte) (*Parcel, error) {
	var p Parcel
	if err := decodeStrict(b, MaxParcelBytes, &p); err != nil {
		return nil, fmt.Errorf("parcel: %w", err)
	}
	if p.Format != parcelFormat || len(p.Roots) > maxParcelRoots {
		return nil, fmt.Errorf("parcel format %d with %d roots: %w", p.Format, len(p.Roots), ErrFormat)
	}
	return &p, nil
}

// Opened is a verified parcel.
type Opened struct {
	Trust *Trust // what is in force, to be kept for the next time
	By    *Trust // what signatures under the draft count by: Trust, or as it will be under the next root
	Draft *Draft
}

// Open verifies the parcel from what the approver trusts: a pinned root, or the set that this machine
// saw last. A next root counts if enough keys of the root in force and of its own have signed it.
// ErrRollback if the parcel is older than what was seen, ErrThreshold for a next root with too few
// signatures.
func (p *Parcel) Open(from *Trust, now time.Time) (*Opened, error) {
	t, err := p.trust(from, now)
	if err != nil {
		return nil, err
	}
	d, err := DecodeDraft(p.Draft)
	if err != nil {
		return nil, err
	}
	o := &Opened{Trust: t, By: t, Draft: d}
	if len(p.NextRoot) > 0 && d.role == "" {
		st, err := t.RootStatus(p.NextRoot)
		if err != nil {
			return nil, err
		}
		if !st.Complete {
			return nil, fmt.Errorf("next root: %w", ErrThreshold)
		}
		if o.By, err = t.WithRoot(p.NextRoot); err != nil {
			return nil, err
		}
	}
	return o, d.Check(o.By)
}

func (p *Parcel) trust(from *Trust, now time.Time) (*Trust, error) {
	if len(p.Timestamp) == 0 && from.main == nil {
		return from, p.checkFirst() // an organisation is being founded: there is nothing but its root
	}
	files := Files{
		Timestamp: p.Timestamp, Snapshot: p.Snapshot, Targets: p.Targets, RosterRole: p.RosterRole, Roster: p.Roster,
		Manifest: p.Manifest, Delegated: p.Delegated,
	}
	r := from.Refresh(p.Timestamp, now)
	for need, more := r.Need(); more; need, more = r.Need() {
		b := files.Find(need.ID)
		if need.RootVersion > 0 {
			b = nil
			if i := need.RootVersion - 2; i >= 0 && i < int64(len(p.Roots)) {
				b = p.Roots[i]
			}
		}
		if err := r.Supply(b); err != nil {
			return nil, err
		}
	}
	return r.Result()
}

// checkFirst lets only an empty first manifest be signed with nothing to compare it to. Anything else
// without its trusted set would show an approver a draft out of all context.
func (p *Parcel) checkFirst() error {
	d, err := DecodeDraft(p.Draft)
	if err != nil {
		return err
	}
	after, _, err := d.decisions()
	if err != nil {
		return err
	}
	if d.role != "" || d.epoch != 1 || len(after.groups)+len(after.approvals)+len(after.holds)+len(after.roles) > 0 {
		return fmt.Errorf("draft of epoch %d comes without what it follows: %w", d.epoch, ErrRollback)
	}
	return nil
}

// Described are the documents of descriptors in the parcel, by the id that their bytes have.
func (p *Parcel) Described() map[content.ID][]byte {
	out := map[content.ID][]byte{}
	for _, b := range p.Descriptors {
		out[content.Sum(b)] = b
	}
	return out
}

// WithDraft is the parcel with the draft as it is now, for the way back.
func (p *Parcel) WithDraft(d *Draft) ([]byte, error) {
	b, err := d.Encode()
	if err != nil {
		return nil, err
	}
	back := *p
	back.Draft = b
	return json.Marshal(back)
}

// TakeSignatures adds the signatures of another copy of the same draft that count under t; it says how
// many. ErrFormat if the other is not the same draft.
func (d *Draft) TakeSignatures(t *Trust, other *Draft) (int, error) {
	a, b := *d.targets, *other.targets
	a.Signatures, b.Signatures = nil, nil
	if d.role != other.role || !sameBytes(d.manifest, other.manifest) || !sameJSON(a.Signed, b.Signed) {
		return 0, fmt.Errorf("the drafts differ in more than their signatures: %w", ErrFormat)
	}
	have := d.Signers(t)
	added := 0
	for _, id := range other.Signers(t) {
		for _, s := range other.targets.Signatures {
			if s.KeyID == id && !slices.Contains(have, id) && len(d.targets.Signatures) < maxSignatures {
				d.targets.Signatures = append(d.targets.Signatures, s)
				added++
				break
			}
		}
	}
	return added, nil
}
