package policy

import (
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// Floor is the least that a machine will ever believe again: versions that it has trusted once. It
// outlives the documents themselves, so that a machine whose documents were lost or exchanged for
// older ones does not begin again from nothing. The zero value binds nothing.
type Floor struct {
	Root      int64            `json:"root"`
	Timestamp int64            `json:"timestamp"`
	Snapshot  int64            `json:"snapshot"`
	Targets   map[string]int64 `json:"targets"` // by role: targets (whose version is the epoch) and what it delegates to
	Online    []string         `json:"online"`  // "role key-id" of the keys that signed timestamp and snapshot, sorted
}

// maxFloorNames bounds the lists of a floor that is read from disk.
const maxFloorNames = 4096

// Floor is what this trust sets as the least from now on.
func (t *Trust) Floor() Floor {
	f := Floor{Root: t.RootVersion(), Timestamp: t.HeadVersion(), Targets: map[string]int64{}, Online: onlineIDs(t.tm.Root)}
	if t.tm.Snapshot != nil {
		f.Snapshot = t.tm.Snapshot.Signed.Version
	}
	for role, m := range t.tm.Targets {
		f.Targets[role] = m.Signed.Version
	}
	return f
}

func onlineIDs(root *metadata.Metadata[metadata.RootType]) []string {
	var out []string
	for _, name := range onlineRoles {
		for _, id := range root.Signed.Roles[name].KeyIDs {
			out = append(out, name+" "+id)
		}
	}
	slices.Sort(out)
	return out
}

// Check refuses a trust that falls below the floor, or whose online versions run far ahead of it:
// ErrRollback, ErrFormat. A newer root that withdraws an online key frees the versions of the online
// roles (TUF specification 5.3.11), as in a Refresh; the approvers' epoch is never freed.
func (f Floor) Check(t *Trust) error {
	now := t.Floor()
	if now.Root < f.Root {
		return fmt.Errorf("root %d, the floor is %d: %w", now.Root, f.Root, ErrRollback)
	}
	if was, is := f.Targets[metadata.TARGETS], now.Targets[metadata.TARGETS]; is < was {
		return fmt.Errorf("epoch %d, the floor is %d: %w", is, was, ErrRollback)
	}
	if slices.ContainsFunc(f.Online, func(k string) bool { return !slices.Contains(now.Online, k) }) {
		if now.Root > f.Root {
			return nil
		}
		return fmt.Errorf("two roots of version %d: %w", f.Root, ErrRollback)
	}
	for _, v := range []struct {
		what    string
		was, is int64
	}{
		{"timestamp", f.Timestamp, now.Timestamp}, {"snapshot", f.Snapshot, now.Snapshot},
		{RosterRole, f.Targets[RosterRole], now.Targets[RosterRole]},
	} {
		if v.is < v.was {
			return fmt.Errorf("%s %d, the floor is %d: %w", v.what, v.is, v.was, ErrRollback)
		}
		if v.was > 0 {
			if err := checkJump(v.what, v.was, v.is); err != nil {
				return err
			}
		}
	}
	return f.checkDelegated(now)
}

// checkDelegated holds every other role to its version as long as it is there: approvers may drop a
// role, nobody may bring an older one back beside them.
func (f Floor) checkDelegated(now Floor) error {
	for role, is := range now.Targets {
		if is < f.Targets[role] {
			return fmt.Errorf("role %.40q %d, the floor is %d: %w", role, is, f.Targets[role], ErrRollback)
		}
	}
	return nil
}

// Valid says whether a floor that was read can be one: ErrFormat if not.
func (f Floor) Valid() error {
	if f.Root < 1 || f.Timestamp < 0 || f.Snapshot < 0 || len(f.Targets) > maxFloorNames || len(f.Online) > maxFloorNames {
		return fmt.Errorf("floor of root %d: %w", f.Root, ErrFormat)
	}
	for role, v := range f.Targets {
		if v < 1 {
			return fmt.Errorf("floor of role %.40q is %d: %w", role, v, ErrFormat)
		}
	}
	return nil
}

// Equal compares two floors.
func (f Floor) Equal(o Floor) bool {
	return f.Root == o.Root && f.Timestamp == o.Timestamp && f.Snapshot == o.Snapshot &&
		maps.Equal(f.Targets, o.Targets) && slices.Equal(f.Online, o.Online)
}

// issuedField carries the instant at which a seed signed a timestamp. TUF states only when it
// expires: how old it is, and so how late its successor, could not be told otherwise.
const issuedField = "x-patchmesh-issued"

// HeadIssuedAt is when the timestamp in force was signed, as it says itself; zero if it does not say.
func (t *Trust) HeadIssuedAt() time.Time {
	if t.tm.Timestamp == nil {
		return time.Time{}
	}
	text, _ := t.tm.Timestamp.Signed.UnrecognizedFields[issuedField].(string)
	at, err := time.Parse(time.RFC3339, text)
	if err != nil || at.After(t.ExpiresAt()) {
		return time.Time{}
	}
	return at
}

// AgeingAt is when half of the timestamp's life is over: by then a newer one should have come. since
// is when this machine took it up, for one that does not say when it was signed. Zero before the first.
func (t *Trust) AgeingAt(since time.Time) time.Time {
	end := t.ExpiresAt()
	if at := t.HeadIssuedAt(); !at.IsZero() {
		since = at
	}
	if end.IsZero() || since.IsZero() || since.After(end) {
		return end
	}
	return since.Add(end.Sub(since) / 2)
}
