package policy

import (
	"fmt"
	"time"
)

// RoleKeys are all keys that a new organisation begins with.
type RoleKeys struct {
	Root, Approvers          []Signer
	Online                   OnlineKeys
	RootThreshold, Threshold int
}

// OnlineKeys are those that a seed holds without a passphrase: they can freshen, not approve.
type OnlineKeys struct {
	Timestamp, Snapshot, Roster Signer

	Life Life // zero fields: those of DefaultLife
}

// Life is how long each role's signature counts.
type Life struct{ Root, Targets, Role, Roster, Snapshot, Timestamp time.Duration }

const day = 24 * time.Hour

// DefaultLife follows security.md, section c.1: a machine that hears nothing new for a week says so,
// approvers sign at least once a quarter, root keys once a year. A seed renews the online roles by
// itself; the roster lives longer than there, since it is renewed at half its life.
func DefaultLife() Life {
	return Life{Root: 365 * day, Targets: 90 * day, Role: 30 * day, Roster: 90 * day, Snapshot: 14 * day, Timestamp: 7 * day}
}

// life fills what is not set.
func (k OnlineKeys) life() Life {
	l, d := k.Life, DefaultLife()
	for _, f := range []struct{ is, other *time.Duration }{
		{&l.Root, &d.Root}, {&l.Targets, &d.Targets}, {&l.Role, &d.Role}, {&l.Roster, &d.Roster}, {&l.Snapshot, &d.Snapshot}, {&l.Timestamp, &d.Timestamp},
	} {
		if *f.is <= 0 {
			*f.is = *f.other
		}
	}
	return l
}

// expiry is an instant as TUF writes it: UTC, whole seconds.
func expiry(now time.Time, life time.Duration) time.Time { return stamp(now.Add(life)) }

func stamp(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }

// NewRepository makes the first documents of an organisation: root version 1 and an empty manifest
// of epoch 1, signed by all keys given.
func NewRepository(org string, k RoleKeys, roster *Roster, now time.Time) (Files, error) {
	root, err := newRoot(org, 1, k, now)
	if err != nil {
		return Files{}, err
	}
	b, err := signRoot(root, k.Root)
	if err != nil {
		return Files{}, err
	}
	t, err := NewTrust(b)
	if err != nil {
		return Files{}, err
	}
	d, err := FirstDraft(t, k.Online, now)
	if err != nil {
		return Files{}, err
	}
	for _, s := range k.Approvers {
		if err := d.Sign(s); err != nil {
			return Files{}, err
		}
	}
	return t.Publish(d, roster, k.Online, now)
}

// FirstRoot makes root version 1 of an organisation whose keys are elsewhere, unsigned: public halves
// will do, see NamePublic. SignRoot adds signatures, FirstRootStatus counts them.
func FirstRoot(org string, k RoleKeys, now time.Time) ([]byte, error) {
	root, err := newRoot(org, 1, k, now)
	if err != nil {
		return nil, err
	}
	if err := checkRoot(root); err != nil {
		return nil, fmt.Errorf("root: %w", err)
	}
	b, err := root.ToBytes(false)
	if err != nil {
		return nil, fmt.Errorf("encode root: %w", err)
	}
	return b, nil
}

// FirstDraft is the manifest of epoch 1 of an organisation that has nothing but its root yet. It decides about no
// update; its settings are UsualDeadlines.
// Approvers sign it, then Publish takes it together with the first roster.
func FirstDraft(t *Trust, online OnlineKeys, now time.Time) (*Draft, error) {
	if online.Roster.key == nil {
		return nil, fmt.Errorf("role %s has an empty key: %w", RosterRole, ErrFormat)
	}
	m := &Manifest{Org: t.Org(), Epoch: 1, IssuedAt: stamp(now), Settings: UsualDeadlines()}
	return newDraft(m, delegate(online.Roster), expiry(now, online.life().Targets))
}
