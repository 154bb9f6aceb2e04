package orch

import "time"

// Config is an orchestration as the newest approvals have it.
type Config struct {
	Name       string
	Generation uint64 // grows with each change of it
	Epoch      uint64 // of the approvals
	Since      uint64 // the first generation: one that was dropped and set anew is another one, see Config.first
	Reset      int    // how often approvers have reset it
	// Rolls are the members: the present ones, in order, then earlier lists of which some member may not know
	// yet that they are over. A slot needs a quorum of each.
	Rolls   [][]string
	Slots   int
	Liars   int // members whose votes may be false, see the package
	Ordered bool
	Stop    bool // a member that fails stops all until a reset
	// Member is how long one may hold a slot, and how long one that comes first is waited for. Group is how long
	// the members may take together, from the first slot on; 0: as long as they need.
	Member, Group time.Duration
	// Round is how long votes are waited for; 0: DefaultRound.
	Round time.Duration
}

// DefaultRound is longer than cards need to cross a site.
const DefaultRound = 5 * time.Second

// How long who comes first is waited for where no order is asked for, and how long a member pauses at most
// after it got no quorum: both in rounds.
const (
	patienceRounds = 6
	maxBackoff     = 8
)

// lease is how long a vote stands without a word of the one it is for: beyond the holder's own limit by more than
// two clocks differ in speed.
func (c Config) lease() time.Duration { return c.Member + c.Member/8 + time.Minute }

// first is the number below which a card is one of an orchestration that had the same name before. Its members
// count from there, so that what they said then, and others may have kept, is never newer than what they say now.
func (c Config) first() uint64 { return min(c.Since, maxCount>>32) << 31 }

func (c Config) round() time.Duration {
	if c.Round > 0 {
		return c.Round
	}
	return DefaultRound
}

// patience is how long one that comes first is waited for.
func (c Config) patience() time.Duration {
	if c.Ordered {
		return c.Member
	}
	return patienceRounds * c.round()
}

// beat is how often a member repeats itself while anything is going on, so that others see who is there.
func (c Config) beat() time.Duration {
	return max(time.Minute, time.Duration(len(c.roll()))*300*time.Millisecond)
}

func (c Config) roll() []string {
	if len(c.Rolls) == 0 {
		return nil
	}
	return c.Rolls[0]
}

// Quorum is how many of n members must vote for a slot, so that any two quorums have more than liars in common.
func Quorum(n, liars int) int { return (n+min(liars, max(n-2, 0)))/2 + 1 }

// Share is how many of n members a share stands for: at least one, and all only for 100 %.
func Share(n, percent int) int {
	most := n
	if percent < 100 {
		most = n - 1
	}
	return max(1, min(n*percent/100, most))
}
