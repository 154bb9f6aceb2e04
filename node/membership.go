package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"patchmesh/node/api"
	"patchmesh/node/state"
)

// Names of the role keys in a seed's keys folder.
const (
	roleRoot      = "root"
	roleApprover  = "approver"
	roleTimestamp = "timestamp"
	roleSnapshot  = "snapshot"
	roleRoster    = "roster"
	roleEnrol     = "enrol"
	roleBox       = "box"
	roleGossip    = "gossip"
)

// DefaultSite is where machines are that were invited without a site; SeedSite is the seed's own.
const (
	DefaultSite = "main"
	SeedSite    = "hq"
)

// membership is what this node is in the mesh. It is written by init or join; a renewal changes the certificate.
type membership struct {
	Org       string   `json:"org"`
	Site      string   `json:"site"`
	Name      string   `json:"name"`
	Groups    []string `json:"groups"`
	Cert      []byte   `json:"cert"`
	GossipKey []byte   `json:"gossip_key"` // of this site, 32 bytes
	Peers     []string `json:"peers"`      // given by hand when joining
	Box       []byte   `json:"box"`        // of the seed: what renewals are sealed to; empty on the seed itself
}

const membershipKey = "membership"

func saveMembership(db *state.DB, m membership) error {
	b, err := json.Marshal(m)
	if err != nil {
		return fmt.Errorf("encode membership: %w", err)
	}
	return db.PutValue(membershipKey, b)
}

// loadMembership is ClassUsage for a data folder that is in no mesh yet.
func loadMembership(dir string, db *state.DB) (membership, error) {
	var m membership
	b, err := db.Value(membershipKey)
	if errors.Is(err, state.ErrNotFound) || (err == nil && len(b) == 0) {
		return m, notAMember(dir)
	}
	if err != nil {
		return m, err
	}
	if err := json.Unmarshal(b, &m); err != nil {
		return m, fmt.Errorf("membership in %s: %w", dir, err)
	}
	return m, nil
}

func notAMember(dir string) error {
	return api.Errorf(api.ClassUsage, "%s belongs to no mesh yet", dir).
		WithHint("'patchmesh join TOKEN --data %s' enrols a machine, 'patchmesh init --org NAME --data %s' begins a mesh", dir, dir)
}

// isSeedDir says whether the folder holds the online keys of a seed.
func isSeedDir(dir string) bool {
	_, err := os.Stat(filepath.Join(dir, "keys", roleTimestamp+".pub"))
	return err == nil
}
