package node

import (
	"context"
	"crypto/ed25519"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// The keys that sign membership certificates. The roster lists those that count, the newest last; the
// seed issues with the newest that it holds. Their files are enrol, enrol-2, enrol-3 and so on.
//
// A change is one roster: the new key is durable on disk before it is published, and what was withdrawn
// is deleted after it. Cut in between, a key lies there that no roster names, which opens nothing.
//
// A key that no longer issues goes by itself once the last certificate it has signed has ended. One that
// is withdrawn before that leaves every member with a certificate that nobody takes: each asks the seed
// for the next at once, over the stream that strangers have for it too (renew.go), and believes what it
// gets by the roster that the approvers' chain of documents vouches for, as always.

const (
	enrolUsedKey  = "enrol-keys" // when each key issued last
	maxEnrolKeys  = 16           // in the roster, of 64 that it can hold
	enrolIDDigits = 16
)

var enrolFile = regexp.MustCompile(`^` + roleEnrol + `(-[0-9]{1,9})?$`)

// issuers are the enrolment keys that lie on this seed.
type issuers struct {
	mu   sync.Mutex
	held map[string]heldIssuer // by public key, hex
	last int                   // the greatest number of a file
}

type heldIssuer struct {
	name string
	key  ed25519.PrivateKey
}

func (i *issuers) open(dir string) error {
	all, err := keys.Roles(dir)
	if err != nil {
		return err
	}
	i.held, i.last = map[string]heldIssuer{}, 1
	for _, k := range all {
		if k.Protected || !enrolFile.MatchString(k.Name) {
			continue
		}
		key, err := keys.OpenRole(dir, k.Name, "")
		if err != nil {
			return err
		}
		i.held[hex.EncodeToString(k.Public)] = heldIssuer{k.Name, key}
		i.last = max(i.last, enrolNumber(k.Name))
	}
	if len(i.held) == 0 {
		return fmt.Errorf("key %s: %w", roleEnrol, keys.ErrNotFound)
	}
	return nil
}

// enrolNumber is the place of a key file among the others.
func enrolNumber(name string) int {
	_, text, ok := strings.Cut(name, "-")
	n, err := strconv.Atoi(text)
	if !ok || err != nil {
		return 1
	}
	return n
}

func (i *issuers) get(public string) (heldIssuer, bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	h, ok := i.held[public]
	return h, ok
}

// create makes the next key, durable when it returns.
func (i *issuers) create(dir string) (string, error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	for ; ; i.last++ {
		name := fmt.Sprintf("%s-%d", roleEnrol, i.last+1)
		key, err := keys.CreateRole(dir, name, "", rand.Reader)
		if errors.Is(err, keys.ErrExists) {
			continue
		}
		if err != nil {
			return "", err
		}
		i.last++
		public := hex.EncodeToString(key.Public().(ed25519.PublicKey))
		i.held[public] = heldIssuer{name, key}
		return public, nil
	}
}

// drop deletes every key that is older than the one that issues and that the roster does not list. A newer
// one stays: the roster at hand may be one from a backup.
func (i *issuers) drop(dir string, listed []string, issuing string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := enrolNumber(i.held[issuing].name)
	for public, h := range i.held {
		if slices.Contains(listed, public) || enrolNumber(h.name) >= now {
			continue
		}
		if err := keys.RemoveRole(dir, h.name); err != nil {
			return err
		}
		delete(i.held, public)
	}
	return nil
}

// issuing is the newest key of a roster that lies here; empty if none does.
func (s *seed) issuing(listed []string) string {
	for _, public := range slices.Backward(listed) {
		if _, ok := s.issuers.get(public); ok {
			return public
		}
	}
	return ""
}

// issuer is the key that signs certificates now.
func (s *seed) issuer() (ed25519.PrivateKey, error) {
	h, ok := s.issuers.get(s.issuing(s.believer.current().Roster().EnrolmentKeys))
	if !ok {
		return nil, api.Errorf(api.ClassRefused, "this seed holds none of the enrolment keys that the roster lists").
			WithHint("'patchmesh enrol rotate' makes a new one")
	}
	return h.key, nil
}

// EnrolKeys implements api.Service.
func (n *Node) EnrolKeys(context.Context) (*api.EnrolKeys, error) {
	return onSeed(n.seed, func(s *seed) (*api.EnrolKeys, error) { return s.enrolKeys() })
}

// ChangeEnrolKeys implements api.Service.
func (n *Node) ChangeEnrolKeys(_ context.Context, r api.EnrolKeyChange) (*api.EnrolKeys, error) {
	return onSeed(n.seed, func(s *seed) (*api.EnrolKeys, error) { return s.changeEnrolKeys(r) })
}

func (s *seed) enrolKeys() (*api.EnrolKeys, error) {
	used, err := s.enrolUsed()
	if err != nil {
		return nil, err
	}
	listed := s.believer.current().Roster().EnrolmentKeys
	issuing := s.issuing(listed)
	out := &api.EnrolKeys{Keys: []api.EnrolKey{}}
	for _, public := range listed {
		k := api.EnrolKey{ID: public[:enrolIDDigits], Key: public, Issuing: public == issuing}
		_, k.Held = s.issuers.get(public)
		if at, ok := used[public]; ok && k.Held && !k.Issuing {
			k.Until = at.Add(certLife)
		}
		out.Keys = append(out.Keys, k)
	}
	return out, nil
}

// changeEnrolKeys makes a new issuer key, takes others out, or both in one roster.
func (s *seed) changeEnrolKeys(r api.EnrolKeyChange) (*api.EnrolKeys, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.whole(); err != nil {
		return nil, err
	}
	t := s.believer.current()
	listed := t.Roster().EnrolmentKeys
	gone, err := s.toWithdraw(r, listed)
	if err != nil {
		return nil, err
	}
	next := slices.DeleteFunc(slices.Clone(listed), func(k string) bool { return slices.Contains(gone, k) })
	if r.Rotate {
		if len(next) >= maxEnrolKeys {
			return nil, api.Errorf(api.ClassRefused, "%d enrolment keys count already", len(next)).
				WithHint("those that no longer issue go by themselves; 'patchmesh enrol withdraw KEY' takes one out at once")
		}
		public, err := s.issuers.create(filepath.Join(s.dir, "keys"))
		if err != nil {
			return nil, err
		}
		next = append(next, public)
	}
	roster := *t.Roster()
	roster.EnrolmentKeys = next
	if len(gone) > 0 { // whoever was let in with a stolen key knows the gossip keys too
		roster.Gossip = s.nextGossip(roster.Gossip, rotateOnRevoke)
	}
	if err := s.publish(t, nil, &roster); err != nil {
		return nil, err
	}
	if err := s.tidyEnrolKeys(); err != nil {
		return nil, err
	}
	out, err := s.enrolKeys()
	if err != nil {
		return nil, err
	}
	for _, k := range gone {
		out.Withdrawn = append(out.Withdrawn, k[:enrolIDDigits])
	}
	return out, nil
}

// toWithdraw names the keys that a change takes out.
func (s *seed) toWithdraw(r api.EnrolKeyChange, listed []string) ([]string, error) {
	switch {
	case r.Rotate && r.WithdrawKey != "", r.WithdrawKey == "" && !r.Rotate:
		return nil, api.Errorf(api.ClassUsage, "a change of the enrolment keys is a new key, or the withdrawal of one that is named")
	case r.Rotate && r.Withdraw:
		return listed, nil
	case r.Rotate:
		return nil, nil
	}
	var found []string
	for _, k := range listed {
		if strings.HasPrefix(k, strings.ToLower(r.WithdrawKey)) {
			found = append(found, k)
		}
	}
	switch {
	case len(found) == 0 || len(r.WithdrawKey) < 8:
		return nil, api.Errorf(api.ClassNotFound, "no enrolment key begins with %q", api.Clean(r.WithdrawKey)).
			WithHint("'patchmesh enrol keys' lists them; name at least 8 digits")
	case len(found) > 1:
		return nil, api.Errorf(api.ClassUsage, "%d enrolment keys begin with %q", len(found), api.Clean(r.WithdrawKey)).WithHint("name more digits")
	case found[0] == s.issuing(listed):
		return nil, api.Errorf(api.ClassRefused, "%s is the key that certificates are issued with", found[0][:enrolIDDigits]).
			WithHint("'patchmesh enrol rotate --withdraw' makes a new one and withdraws all others")
	}
	return found, nil
}

// enrolUsed says when each key of this seed that no longer issues was replaced.
func (s *seed) enrolUsed() (map[string]time.Time, error) {
	used := map[string]time.Time{}
	b, err := s.db.Value(enrolUsedKey)
	if errors.Is(err, state.ErrNotFound) || err == nil && len(b) == 0 {
		return used, nil
	}
	if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(b, &used); err != nil {
		return nil, fmt.Errorf("enrolment keys that were replaced: %w", err)
	}
	return used, nil
}

// tidyEnrolKeys notes since when keys do not issue any more, and deletes those that no roster lists; s.mu
// is held. A note that a crash has lost is made late: the key then counts longer, never shorter.
func (s *seed) tidyEnrolKeys() error {
	listed := s.believer.current().Roster().EnrolmentKeys
	issuing := s.issuing(listed)
	if issuing == "" {
		return nil
	}
	used, err := s.enrolUsed()
	if err != nil {
		return err
	}
	next := map[string]time.Time{}
	for _, k := range listed {
		if _, held := s.issuers.get(k); !held || k == issuing {
			continue
		}
		if next[k] = used[k]; next[k].IsZero() {
			next[k] = s.now().UTC()
		}
	}
	if !sameTimes(used, next) {
		b, err := json.Marshal(next)
		if err != nil {
			return err
		}
		if err := s.db.PutValue(enrolUsedKey, b); err != nil {
			return err
		}
	}
	return s.issuers.drop(filepath.Join(s.dir, "keys"), listed, issuing)
}

func sameTimes(a, b map[string]time.Time) bool {
	if len(a) != len(b) {
		return false
	}
	for k, at := range a {
		if !b[k].Equal(at) {
			return false
		}
	}
	return true
}

// retireEnrolKeys takes keys out of the roster of whose certificates none is good any more.
func (s *seed) retireEnrolKeys() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	t := s.believer.current()
	if t.Manifest() == nil || len(t.Roster().EnrolmentKeys) < 2 {
		return nil
	}
	if err := s.tidyEnrolKeys(); err != nil {
		return err
	}
	used, err := s.enrolUsed()
	if err != nil {
		return err
	}
	roster := *t.Roster()
	roster.EnrolmentKeys = slices.DeleteFunc(slices.Clone(roster.EnrolmentKeys), func(k string) bool {
		at, ok := used[k]
		return ok && s.now().Sub(at) > certLife+lapseGrace
	})
	if len(roster.EnrolmentKeys) == len(t.Roster().EnrolmentKeys) {
		return nil
	}
	if err := s.publish(t, nil, &roster); err != nil {
		return err
	}
	return s.tidyEnrolKeys()
}

// issuerCounts says whether certificates of an enrolment key are good. Without a roster nobody can tell.
func issuerCounts(r *policy.Roster, issuer string) bool {
	return len(r.EnrolmentKeys) == 0 || slices.Contains(r.EnrolmentKeys, issuer)
}
