package node

import (
	"crypto/ed25519"
	"crypto/rand"
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

	// Keys that were made elsewhere, as PEM; where a list is empty, keys are made here.
	Approvers, RootKeys []string
	RootThreshold       int    // of RootKeys. Zero: 1
	Out                 string // folder for what has to be signed elsewhere. Empty: the data folder
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

	// Waits is a file that has to be signed before anything goes on, with the ids of the keys that are
	// missing; empty once the organisation exists.
	Waits   string   `json:"waits_for_file,omitempty"`
	Missing []string `json:"missing,omitempty"`
	Next    string   `json:"next,omitempty"` // what to do with the file
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
	if len(r.Approvers)+len(r.RootKeys) > 0 {
		return f.beginCeremony(r, made, now)
	}
	roster, err := firstRoster(r, f.id, made, now())
	if err != nil {
		return nil, err
	}
	files, err := policy.NewRepository(r.Org, made.roles, roster, now())
	if err != nil {
		return nil, fmt.Errorf("first documents: %w", err)
	}
	return f.settle(r, made, files, now)
}

// firstRoster names the first seed and its enrolment key, and the first epoch of gossip keys.
func firstRoster(r FoundRequest, id string, made madeRoles, now time.Time) (*policy.Roster, error) {
	epoch, err := gossipEpoch(made.gossip.Seed(), r.Org, []string{r.Site}, firstGossipEpoch, now)
	if err != nil {
		return nil, err
	}
	return &policy.Roster{
		Org: r.Org, EnrolmentKeys: []string{hex.EncodeToString(made.enrol.Public().(ed25519.PublicKey))},
		Seeds: []policy.SeedEntry{{Peer: id, Site: r.Site}}, Gossip: []policy.GossipEpoch{epoch},
	}, nil
}

// firstGossipEpoch is the epoch that an organisation begins with.
const firstGossipEpoch = 1

// settle makes the folder that of the first seed.
func (f *folder) settle(r FoundRequest, made madeRoles, files policy.Files, now func() time.Time) (*Founded, error) {
	if err := f.beginTrust(files, 1); err != nil {
		return nil, err
	}
	var err error
	m := membership{Org: r.Org, Site: r.Site, Name: first(r.Name, hostname()), Groups: []string{}}
	serial, err := f.db.NextSerial()
	if err != nil {
		return nil, err
	}
	if m.Cert, err = enrol.Issue(seedCertificate(m, f.id, serial, now()), made.enrol); err != nil {
		return nil, err
	}
	if m.GossipKey, err = epochGossipKey(made.gossip.Seed(), r.Site, firstGossipEpoch); err != nil {
		return nil, err
	}
	if err := saveMembership(f.db, m); err != nil { // last: what makes the folder a member's
		return nil, err
	}
	return &Founded{
		Org: r.Org, Fingerprint: content.Sum(files.Root).String(), Threshold: r.Threshold, Keys: max(r.Threshold, len(r.Approvers)), SeedID: f.id,
		Encrypted: r.Passphrase != "", DataDir: r.DataDir,
	}, nil
}

func checkFound(r FoundRequest) error {
	switch {
	case strings.TrimSpace(r.Org) == "" || len(r.Org) > 100 || api.Clean(r.Org) != r.Org:
		return api.Errorf(api.ClassUsage, "the organisation needs a name of at most 100 printable bytes").WithHint("add --org NAME")
	case len(r.Approvers) > 0 && r.Threshold > len(r.Approvers):
		return api.Errorf(api.ClassUsage, "a threshold of %d needs as many approver keys, %d were given", r.Threshold, len(r.Approvers))
	case r.RootThreshold > max(1, len(r.RootKeys)):
		return api.Errorf(api.ClassUsage, "a root threshold of %d needs as many root keys, %d were given", r.RootThreshold, len(r.RootKeys))
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
	m := madeRoles{roles: policy.RoleKeys{RootThreshold: max(r.RootThreshold, 1), Threshold: r.Threshold}}
	var failed error
	m.roles.Root, failed = namePEMs(r.RootKeys)
	if failed == nil {
		m.roles.Approvers, failed = namePEMs(r.Approvers)
	}
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
	if len(r.RootKeys) == 0 {
		m.roles.Root = []policy.Signer{signer(create(roleRoot, r.Passphrase))}
	}
	for i := range r.Threshold {
		if len(r.Approvers) > 0 {
			break
		}
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

func hostname() string {
	h, err := os.Hostname()
	if err != nil || !policy.ValidName(h) {
		return "machine"
	}
	return h
}
