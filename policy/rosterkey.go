package policy

import (
	"encoding/hex"
	"fmt"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// The roster's key is delegated by the approvers' document, which a seed drafts: so approvers never
// sign another key along with it, a thief on the seed would only have to slip one in. It changes when a
// threshold of root keys asks for it: the root then names the key, and from then on no approvers'
// document counts that gives the roster to any other. So what the old key signs is worthless under the
// new root, whatever else a thief holds and however old the approvals are that are shown along with it.

// rosterField carries the public key, in hex, inside the signed root. A root without it leaves the
// key as it was when the organisation was founded.
const rosterField = "x-patchmesh-roster"

// rosterKeyOf is the roster's public key that a root names, in hex; empty if it names none.
func rosterKeyOf(root *metadata.Metadata[metadata.RootType]) string {
	key, _ := root.Signed.UnrecognizedFields[rosterField].(string)
	return key
}

// checkRosterKey is part of checkRoot: a key that could be the roster's.
func checkRosterKey(root *metadata.Metadata[metadata.RootType]) error {
	if _, ok := root.Signed.UnrecognizedFields[rosterField]; !ok {
		return nil
	}
	key := rosterKeyOf(root)
	if err := checkPublicHex(key); err != nil {
		return fmt.Errorf("roster key: %w", err)
	}
	k := &metadata.Key{}
	k.Value.PublicKey = key
	if canApprove(root, k) {
		return fmt.Errorf("the roster key could approve too: %w", ErrWeakKey)
	}
	return nil
}

// checkRosterBound refuses targets that give the roster to another key than the root names.
func checkRosterBound(root *metadata.Metadata[metadata.RootType], d *metadata.Delegations) error {
	named := rosterKeyOf(root)
	if named == "" {
		return nil
	}
	role := d.Roles[0]
	if len(role.KeyIDs) != 1 || role.Threshold != 1 || d.Keys[role.KeyIDs[0]].Value.PublicKey != named {
		return fmt.Errorf("targets give the roster to another key than root %d names: %w", root.Signed.Version, ErrUnknownKey)
	}
	return nil
}

// namedRoster is the key that a root names, as a Signer that can sign nothing; false if it names none.
func namedRoster(root *metadata.Metadata[metadata.RootType]) (Signer, bool) {
	b, err := hex.DecodeString(rosterKeyOf(root))
	if err != nil || len(b) == 0 {
		return Signer{}, false
	}
	s, err := NamePublic(b)
	return s, err == nil
}

// followRoster gives the roster to the key that the root names, if it names one.
func (g *granting) followRoster() {
	if s, ok := namedRoster(g.t.tm.Root); ok {
		g.d.Keys[s.id] = s.key
		g.d.Roles[0].KeyIDs, g.d.Roles[0].Threshold = []string{s.id}, 1
	}
}

// rosterMoved says whether the roster in force was signed by a key that no longer counts under the
// approvers' document that is about to be published.
func (p *publication) rosterMoved(old *metadata.Metadata[metadata.TargetsType]) bool {
	return p.main != nil && p.main.VerifyDelegate(RosterRole, old) != nil
}
