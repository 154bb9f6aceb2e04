package node

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// How long the timestamps of this seed are good for. It is the staleness budget of the whole mesh: a freeze
// is noticed after half of it and ends new installs after all of it. A mesh with sites that hear of news by
// stick needs more than the week that is the default; an approver cannot be asked for it, since online keys
// sign timestamps.

const (
	trustLifeKey  = "trust-life" // seconds, as text
	leastLife     = 24 * time.Hour
	mostTrustLife = 90 * 24 * time.Hour
)

// keptLife is how long this seed's timestamps shall be good for; the default where nobody has said.
func keptLife(db *state.DB) (time.Duration, error) {
	b, err := db.Value(trustLifeKey)
	if errors.Is(err, state.ErrNotFound) || err == nil && len(b) == 0 {
		return policy.DefaultLife().Timestamp, nil
	}
	if err != nil {
		return 0, err
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	life := time.Duration(n) * time.Second
	if err != nil || n > int64(mostTrustLife/time.Second) || life < leastLife {
		return 0, fmt.Errorf("life of approvals %.40q: %w", b, policy.ErrFormat)
	}
	return life, nil
}

// lasting gives the keys that life. A snapshot lives as long as the timestamp that names it: who comes with
// both on a stick is refused else while the timestamp is good.
func lasting(k policy.OnlineKeys, life time.Duration) policy.OnlineKeys {
	k.Life.Timestamp, k.Life.Snapshot = life, max(life, policy.DefaultLife().Snapshot)
	return k
}

// TrustLife implements api.Service.
func (n *Node) TrustLife(_ context.Context, r api.TrustLife) (*api.TrustLife, error) {
	return onSeed(n.seed, func(s *seed) (*api.TrustLife, error) { return s.trustLife(r) })
}

func (s *seed) trustLife(r api.TrustLife) (*api.TrustLife, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if r.Seconds != 0 {
		if r.Seconds < int64(leastLife/time.Second) || r.Seconds > int64(mostTrustLife/time.Second) {
			return nil, api.Errorf(api.ClassUsage, "approvals can last %.0f hours to %.0f days without news", leastLife.Hours(), mostTrustLife.Hours()/24).
				WithHint("a freeze is noticed after half of it: as short as the slowest site allows")
		}
		if err := s.whole(); err != nil {
			return nil, err
		}
		// Kept first: cut off here, the next renewal has it.
		if err := s.db.PutValue(trustLifeKey, []byte(strconv.FormatInt(r.Seconds, 10))); err != nil {
			return nil, err
		}
		s.online = lasting(s.online, time.Duration(r.Seconds)*time.Second)
		if err := s.publish(s.believer.current(), nil, nil); err != nil {
			return nil, err
		}
	}
	return &api.TrustLife{Seconds: int64(s.online.Life.Timestamp / time.Second), ExpiresAt: s.believer.current().ExpiresAt()}, nil
}

// life is how long the timestamps of this seed are good for.
func (s *seed) life() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.online.Life.Timestamp
}
