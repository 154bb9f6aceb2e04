package node

import (
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/node/keys"
	"patchmesh/policy"
)

// FoundRequest describes a new organisation.
type FoundRequest struct {
	DataDir    string
	Org        string
	Threshold  int        // approver signatures needed; keys made here. Zero: 1
	Passphrase api.Secret // for root and approver keys; empty leaves them readable
	Site       string     // of the seed itself. Empty: SeedSite
	Name       string
}

// Founded is what came of it.
type Founded struct {
	Org         string `json:"org"`
	Fingerprint string `json:"root_fingerprint"` // content id of root version 1
	Threshold   int    `json:"threshold"`
	Keys        int    `json:"approver_keys"`
	SeedID      string `json:"seed_id"`
	Encrypted   bool   `json:"encrypted"`
	DataDir     string `json:"data_dir"`
}

// Found makes an organisation: all keys, the first signed documents, the seed's data folder.
func Found(r FoundRequest, now func() time.Time) (*Founded, error) {
	r.Threshold, r.Site = max(r.Threshold, 1), first(r.Site, SeedSite)
	if err := checkFound(r); err != nil {
		return nil, err
	}
	f, err := newFolder(r.DataDir, now)
	if err != nil {
		return nil, err
	}
	defer f.close()
	if isSeedDir(r.DataDir) {
		return nil, api.Errorf(api.ClassUsage, "%s holds keys of an organisation already", r.DataDir).WithHint("choose an empty folder with --data")
	}
	made, err := makeRoles(filepath.Join(r.DataDir, "keys"), r)
	if err != nil {
		return nil, err
	}
	roster := &policy.Roster{
		Org: r.Org, EnrolmentKeys: []string{hex.EncodeToString(made.enrol.Public().(ed25519.PublicKey))},
		Seeds: []policy.SeedEntry{{Peer: f.id, Site: r.Site}},
	}
	files, err := policy.NewRepository(r.Org, made.roles, roster, now())
	if err != nil {
		return nil, fmt.Errorf("first documents: %w", err)
	}
	if err := f.beginTrust(files); err != nil {
		return nil, err
	}
	m := membership{Org: r.Org, Site: r.Site, Name: first(r.Name, hostname()), Groups: []string{}}
	if m.Cert, err = enrol.Issue(enrol.Certificate{
		Serial: 1, Org: r.Org, Site: r.Site, Name: m.Name, Peer: f.id, Seed: true, NotBefore: now().Add(-time.Hour), NotAfter: now().Add(10 * certLife),
	}, made.enrol); err != nil {
		return nil, err
	}
	if m.GossipKey, err = siteGossipKey(made.gossip.Seed(), r.Site); err != nil {
		return nil, err
	}
	if err := saveMembership(f.db, m); err != nil { // last: what makes the folder a member's
		return nil, err
	}
	return &Founded{
		Org: r.Org, Fingerprint: content.Sum(files.Root).String(), Threshold: r.Threshold, Keys: r.Threshold, SeedID: f.id,
		Encrypted: r.Passphrase != "", DataDir: r.DataDir,
	}, nil
}

func checkFound(r FoundRequest) error {
	switch {
	case strings.TrimSpace(r.Org) == "" || len(r.Org) > 100 || api.Clean(r.Org) != r.Org:
		return api.Errorf(api.ClassUsage, "the organisation needs a name of at most 100 printable bytes").WithHint("add --org NAME")
	case r.Threshold > 16:
		return api.Errorf(api.ClassUsage, "a threshold of %d is more than 16", r.Threshold)
	case !policy.ValidName(r.Site):
		return api.Errorf(api.ClassUsage, "%q is no valid site name", r.Site)
	}
	return nil
}

// madeRoles are the keys just made.
type madeRoles struct {
	roles         policy.RoleKeys
	enrol, gossip ed25519.PrivateKey
}

// makeRoles writes all keys: those that can approve under the passphrase, the online ones readable by
// the seed alone.
func makeRoles(dir string, r FoundRequest) (madeRoles, error) {
	m := madeRoles{roles: policy.RoleKeys{RootThreshold: 1, Threshold: r.Threshold}}
	var failed error
	create := func(name string, passphrase api.Secret) ed25519.PrivateKey {
		if failed != nil {
			return nil
		}
		var k ed25519.PrivateKey
		k, failed = keys.CreateRole(dir, name, passphrase.Reveal(), rand.Reader)
		return k
	}
	signer := func(k ed25519.PrivateKey) policy.Signer {
		if failed != nil {
			return policy.Signer{}
		}
		var s policy.Signer
		s, failed = policy.NewSigner(k)
		return s
	}
	m.roles.Root = []policy.Signer{signer(create(roleRoot, r.Passphrase))}
	for i := range r.Threshold {
		m.roles.Approvers = append(m.roles.Approvers, signer(create(fmt.Sprintf("%s-%d", roleApprover, i+1), r.Passphrase)))
	}
	m.roles.Online.Snapshot = signer(create(roleSnapshot, ""))
	m.roles.Online.Roster = signer(create(roleRoster, ""))
	m.enrol = create(roleEnrol, "")
	create(roleBox, "")
	m.gossip = create(roleGossip, "")
	m.roles.Online.Timestamp = signer(create(roleTimestamp, "")) // last: its presence makes the folder a seed's
	return m, failed
}

// siteGossipKey derives the gossip key of a site from the organisation's secret (RFC 5869), so that
// a machine of one site cannot read or join the gossip of another.
func siteGossipKey(secret []byte, site string) ([]byte, error) {
	return hkdf.Key(sha256.New, secret, nil, "patchmesh gossip site "+site, 32)
}

func hostname() string {
	h, err := os.Hostname()
	if err != nil || !policy.ValidName(h) {
		return "machine"
	}
	return h
}
