package policy

import (
	"errors"
	"fmt"
	"time"
)

// SeedEntry is where a seed can be reached.
type SeedEntry struct {
	Peer  string   `json:"peer"`
	Site  string   `json:"site"`
	Addrs []string `json:"addrs"` // ip:port
}

// Roster says whose certificates count, who is locked out and where seeds are. A seed signs it.
type Roster struct {
	Format        int         `json:"format"`
	Org           string      `json:"org"`
	Serial        uint64      `json:"serial"` // the version of the roster role
	IssuedAt      time.Time   `json:"issued_at"`
	EnrolmentKeys []string    `json:"enrolment_keys"` // ed25519 public keys, hex
	Seeds         []SeedEntry `json:"seeds"`
	// Revoked machines, by peer id. Gossip names the epochs of the gossip keys, oldest first. Sites
	// says where the machines of a site may be, beyond the subnets that each sees by itself.
	Revoked []Revocation  `json:"revoked"`
	Gossip  []GossipEpoch `json:"gossip,omitempty"`
	Sites   []SiteEntry   `json:"sites,omitempty"`
	// Log says how far the approval log has come, so that every machine witnesses it; nil without one.
	Log *Checkpoint `json:"log,omitempty"`
	// Brakes are stops that a seed has made by itself until approvers decide. Absent where there are none.
	Brakes []Brake `json:"brakes,omitempty"`
	// Late says which decisions were published long after they were drafted. Absent where none was.
	Late []Late `json:"late,omitempty"`
}

// Limits of a roster.
const (
	RosterFormat   = 1
	MaxRosterBytes = 4 << 20
)

// Encode writes the document.
func (r *Roster) Encode() ([]byte, error) {
	r.Format = RosterFormat
	if err := r.check(); err != nil {
		return nil, err
	}
	return encodeAtMost("roster", r, MaxRosterBytes)
}

// DecodeRoster reads a document and checks all of it. ErrFormat, ErrTooLarge.
func DecodeRoster(b []byte) (*Roster, error) {
	var r Roster
	if err := decodeExact(b, MaxRosterBytes, &r); err != nil {
		return nil, fmt.Errorf("roster: %w", err)
	}
	if err := r.check(); err != nil {
		return nil, fmt.Errorf("roster: %w", err)
	}
	return &r, nil
}

func (r *Roster) check() error {
	if err := checkOrg(r.Org); err != nil {
		return err
	}
	if r.Format != RosterFormat || len(r.EnrolmentKeys) > 64 || len(r.Seeds) > 256 {
		return fmt.Errorf("roster format %d with %d seeds: %w", r.Format, len(r.Seeds), ErrFormat)
	}
	for _, k := range r.EnrolmentKeys {
		if err := checkPublicHex(k); err != nil {
			return fmt.Errorf("enrolment key: %w", err)
		}
	}
	for _, s := range r.Seeds {
		if err := checkName("site", s.Site); err != nil {
			return err
		}
		if len(s.Peer) == 0 || len(s.Peer) > 128 || len(s.Addrs) > 32 {
			return fmt.Errorf("seed entry: %w", ErrFormat)
		}
		for _, a := range append([]string{s.Peer}, s.Addrs...) {
			if err := checkText("seed entry", a, 128); err != nil {
				return err
			}
		}
	}
	return errors.Join(checkRevoked(r.Revoked), checkGossip(r.Gossip), checkSites(r.Sites), r.Log.check(), r.checkBrakes(), r.checkLate())
}
