package policy

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"

	"patchmesh/content"
)

// canaryLimits lets a role install and hold on the group canary.
func canaryLimits() Delegation {
	return Delegation{Role: "canary", Groups: []string{"canary"}, Actions: []string{"install", MayHold}}
}

// grant gives a role to named keys by the main approvers' signatures.
func (m *mesh) grant(now time.Time, limits Delegation, threshold int, keys ...Signer) Files {
	m.t.Helper()
	f, err := m.regrant(now, []Grant{{Delegation: limits, Keys: keys, Threshold: threshold}}, nil)
	if err != nil {
		m.t.Fatal(err)
	}
	return f
}

func (m *mesh) regrant(now time.Time, grants []Grant, drop []string) (Files, error) {
	m.t.Helper()
	man, err := DecodeManifest(m.trust.Files().Manifest)
	if err != nil {
		m.t.Fatal(err)
	}
	man.Epoch++
	if len(man.Groups) == 0 {
		man.Groups = []Group{{Name: "canary"}, {Name: "office"}}
	}
	d, err := m.trust.DraftGrants(man, grants, drop, now)
	if err != nil {
		return Files{}, err
	}
	return m.publish(now, d, m.keys.Approvers[:m.keys.Threshold]...)
}

// roleNext publishes what a role decides next, signed by these keys.
func (m *mesh) roleNext(now time.Time, role string, edit func(*RoleManifest), signers ...Signer) (Files, error) {
	m.t.Helper()
	rm, err := m.trust.RoleManifest(role)
	if err != nil {
		return Files{}, err
	}
	if edit != nil {
		edit(rm)
	}
	d, err := NewRoleDraft(m.trust, rm, now)
	if err != nil {
		return Files{}, err
	}
	return m.publish(now, d, signers...)
}

func (m *mesh) mustRole(now time.Time, role string, edit func(*RoleManifest), signers ...Signer) Files {
	m.t.Helper()
	f, err := m.roleNext(now, role, edit, signers...)
	if err != nil {
		m.t.Fatal(err)
	}
	return f
}

func (m *mesh) publish(now time.Time, d *Draft, signers ...Signer) (Files, error) {
	m.t.Helper()
	for _, s := range signers {
		if err := d.Sign(s); err != nil {
			m.t.Fatal(err)
		}
	}
	f, err := m.trust.Publish(d, nil, m.keys.Online, now)
	if err == nil {
		m.trust = m.open(f)
		f = m.trust.Files()
	}
	return f, err
}

// approval asks for an update on a group.
func approval(update, group string, action Action) Approval {
	return Approval{Update: UpdateID(update), Revision: 1, Descriptor: descriptorOf(update).ID(), DescriptorBytes: 100, Group: group, Action: action, At: t0}
}

func descriptorOf(update string) *Descriptor {
	d := *fileDescriptor()
	d.Update = UpdateID(update)
	return &d
}

// describeAll knows the descriptors of these updates.
func describeAll(updates ...string) func(content.ID) *Descriptor {
	known := map[content.ID]*Descriptor{}
	for _, u := range updates {
		known[descriptorOf(u).ID()] = descriptorOf(u)
	}
	return func(id content.ID) *Descriptor { return known[id] }
}

// verbs is what a machine in these groups does about each update.
func verbs(m *Manifest, now time.Time, groups []string, updates ...string) map[string]Verb {
	out := map[string]Verb{}
	if m == nil {
		return out
	}
	for _, v := range MakePlan(m, describeAll(updates...), Machine{Groups: groups, Installers: []string{"file"}}, false, now).Verdicts {
		out[string(v.Update)] = v.Verb
	}
	return out
}

// approveRole and holdRole are edits of a role's document.
func approveRole(update, group string, action Action) func(*RoleManifest) {
	return func(rm *RoleManifest) { rm.Approvals = append(rm.Approvals, approval(update, group, action)) }
}

func holdRole(id, group string) func(*RoleManifest) {
	return func(rm *RoleManifest) {
		rm.Holds = append(rm.Holds, Hold{ID: id, Update: AllUpdates, Group: group, Kind: "pause", Reason: "because", At: t0})
	}
}

// signRole makes any document of a role, whatever its limits, signed by whoever.
func signRole(t testing.TB, rm *RoleManifest, expires time.Time, signers ...Signer) delegatedFile {
	t.Helper()
	rm.Format = RoleManifestFormat
	b, err := json.Marshal(rm)
	if err != nil {
		t.Fatal(err)
	}
	return signRoleBytes(t, rm.Role, int64(rm.Serial), b, expires, signers...)
}

func signRoleBytes(t testing.TB, role string, version int64, b []byte, expires time.Time, signers ...Signer) delegatedFile {
	t.Helper()
	m := metadata.Targets(expires)
	m.Signed.Version = version
	m.Signed.Targets[RolePath(role)] = targetFile(b)
	return delegatedFile{Role: role, Signed: signed(t, m, signers...), Document: b}
}

// forgeRoles is forge with these documents of roles in place of those of f, named by the snapshot.
func (m *mesh) forgeRoles(f Files, now time.Time, roles []delegatedFile) Files {
	m.t.Helper()
	f.Delegated = encodeDelegated(roles)
	return m.forge(f, now, func(s *metadata.SnapshotType) {
		for _, r := range roles {
			s.Meta[r.Role+".json"] = metaFile(versionOf(r.Signed), r.Signed)
		}
	}, nil)
}

func versionOf(b []byte) int64 {
	var d struct{ Signed struct{ Version int64 } }
	if json.Unmarshal(b, &d) != nil {
		return 1
	}
	return d.Signed.Version
}
