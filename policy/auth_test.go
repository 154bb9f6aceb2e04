package policy

import (
	"fmt"
	"testing"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// S-AUTH: who can make a machine install. The documents come straight to the machine, past every
// check of the tools that make them, from somebody who holds all online keys.

// authCase is one row of the truth table.
type authCase struct {
	role      string // empty: the main approvers
	threshold int
	signers   string // none, one, two, strangers (two keys of the other role)
	group     string // the group that the approval names
}

// wants is the truth: enough distinct keys of the very role, and a group within its limits.
func (c authCase) wants() (believed, installs bool) {
	made := map[string]int{"none": 0, "one": 1, "two": 2, "strangers": 0}[c.signers]
	believed = made >= c.threshold
	return believed, believed && (c.role == "" || c.group == "canary")
}

func authCases() []authCase {
	var all []authCase
	for _, role := range []string{"", "canary"} {
		for _, threshold := range []int{1, 2} {
			for _, signers := range []string{"none", "one", "two", "strangers"} {
				for _, group := range []string{"canary", "office", GroupAll, GroupUnassigned} {
					all = append(all, authCase{role, threshold, signers, group})
				}
			}
		}
	}
	return all
}

func TestAuthTruthTable(t *testing.T) {
	cases := authCases()
	if len(cases) != 64 {
		t.Fatalf("%d cases, want 64", len(cases))
	}
	groupsOf := map[string][]string{"canary": {"canary"}, "office": {"office"}, GroupAll: {"office"}, GroupUnassigned: nil}
	for _, c := range cases {
		t.Run(fmt.Sprintf("%s-%d-%s-%s", c.role, c.threshold, c.signers, c.group), func(t *testing.T) {
			m := newMesh(t, "acme", c.threshold, 2)
			roleKeys := []Signer{key(t, "canary 1"), key(t, "canary 2")}
			m.grant(t0, canaryLimits(), c.threshold, roleKeys...)
			own, other := m.keys.Approvers, roleKeys
			if c.role != "" {
				own, other = other, own
			}
			signers := map[string][]Signer{"none": nil, "one": own[:1], "two": own[:2], "strangers": other[:2]}[c.signers]
			got, err := walk(m.trust, c.forged(t, m, signers), t0)
			believed, installs := c.wants()
			if c.role == "" && (err == nil) != believed {
				t.Fatalf("believed: %v, want %v", err, believed)
			}
			if err != nil {
				got = m.trust
			}
			v := verbs(got.Manifest(), t0, groupsOf[c.group], "tool")
			if (v["tool"] == VerbInstall) != installs {
				t.Fatalf("plan %v, want an install: %v", v, installs)
			}
		})
	}
}

// forged is the approval of the case, as documents.
func (c authCase) forged(t *testing.T, m *mesh, signers []Signer) Files {
	t.Helper()
	if c.role != "" {
		r, _ := m.trust.role(c.role)
		rm := &RoleManifest{Org: "acme", Role: c.role, Granted: r.Granted, Serial: 1, IssuedAt: t0, Approvals: []Approval{approval("tool", c.group, ActionInstall)}, Holds: []Hold{}}
		return m.forgeRoles(m.trust.Files(), t0, []delegatedFile{signRole(t, rm, t0.Add(day), signers...)})
	}
	man, err := DecodeManifest(m.trust.Files().Manifest)
	if err != nil {
		t.Fatal(err)
	}
	man.Epoch++
	man.Approvals = []Approval{approval("tool", c.group, ActionInstall)}
	f := m.trust.Files()
	if f.Manifest, err = man.Encode(); err != nil {
		t.Fatal(err)
	}
	targets := metadata.Targets(t0.Add(day))
	targets.Signed.Version = int64(man.Epoch)
	targets.Signed.Delegations = m.trust.delegations()
	targets.Signed.Targets[ManifestPath] = targetFile(f.Manifest)
	f.Targets = signed(t, targets, signers...)
	return m.forge(f, t0, nil, nil)
}
