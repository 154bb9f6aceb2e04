package policy

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"fmt"
	"hash"
	"path"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// maxTUFRoles bounds the targets roles that one search visits (5.6.7.1).
const maxTUFRoles = 128

// TUFTarget is a target that a chain of delegations vouches for.
type TUFTarget struct {
	Name      string // as it was asked for
	File      string // its name below the target URL, escaped, with the hash in front if the repository has it so
	SizeBytes int64
	hashes    metadata.Hashes
}

// tufSearch is one search for a target: a pre-order walk of the delegations, depth first.
type tufSearch struct {
	name    string
	todo    []tufEdge // the last one is next
	visited map[string]bool
	found   *TUFTarget
}

// tufEdge is one delegation: the role, and the keys that this delegator wants of it.
type tufEdge struct {
	role string
	by   roleKeys
}

// Find begins the search for a target, once the top-level metadata is up to date: do the steps of
// Next until there are none, then look at Target. It may be called again after that.
func (c *TUFClient) Find(name string) {
	switch {
	case c.err != nil:
	case !c.current || c.step != nil:
		c.fail(fmt.Errorf("find %.60q before the metadata is up to date: %w", name, ErrFormat))
	default:
		top := tufEdge{role: metadata.TARGETS, by: rootKeys(c.root, metadata.TARGETS)}
		c.search = &tufSearch{name: name, todo: []tufEdge{top}, visited: map[string]bool{}}
		c.walk()
	}
}

// Target is the outcome of the last Find; ErrMissing if no delegation leads to such a target.
func (c *TUFClient) Target() (*TUFTarget, error) {
	switch {
	case c.err != nil:
		return nil, c.err
	case c.search == nil || c.step != nil:
		return nil, fmt.Errorf("no search has ended: %w", ErrFormat)
	case c.search.found == nil:
		return nil, fmt.Errorf("target %.200q: %w", c.search.name, ErrMissing)
	}
	return c.search.found, nil
}

// walk visits the next role of the search (5.6.7).
func (c *TUFClient) walk() {
	s := c.search
	for len(s.todo) > 0 {
		edge := s.todo[len(s.todo)-1]
		s.todo = s.todo[:len(s.todo)-1]
		if s.visited[edge.role] {
			continue
		}
		if len(s.visited) >= maxTUFRoles {
			return
		}
		s.visited[edge.role] = true
		c.role(edge.role, edge.by, func(t *tufDoc[metadata.TargetsType]) {
			if f := t.signed.Targets[s.name]; f != nil {
				s.found = c.target(s.name, f)
				return
			}
			s.descend(t)
			c.walk()
		})
		return
	}
}

// descend puts the delegations that speak of the target in front of what is left to visit. Behind a
// terminating one nothing else is.
func (s *tufSearch) descend(t *tufDoc[metadata.TargetsType]) {
	var next []tufEdge
	for _, d := range delegationsFor(t, s.name) {
		next = append(next, d.tufEdge)
		if d.terminating {
			s.todo = nil
			break
		}
	}
	for i := len(next) - 1; i >= 0; i-- {
		s.todo = append(s.todo, next[i])
	}
}

type tufDelegation struct {
	tufEdge
	terminating bool
}

// delegationsFor lists the delegations that cover a target, in order of appearance.
func delegationsFor(t *tufDoc[metadata.TargetsType], name string) []tufDelegation {
	d := t.signed.Delegations
	if d == nil {
		return nil
	}
	if bins := d.SuccinctRoles; bins != nil {
		return []tufDelegation{{tufEdge{binOf(bins, name), roleKeys{t.keys, bins.KeyIDs, bins.Threshold}}, true}}
	}
	var out []tufDelegation
	for _, r := range d.Roles {
		if covers(r, name) {
			out = append(out, tufDelegation{tufEdge{r.Name, roleKeys{t.keys, r.KeyIDs, r.Threshold}}, r.Terminating})
		}
	}
	return out
}

func covers(r metadata.DelegatedRole, name string) bool {
	for _, p := range r.Paths {
		if matchTUFPath(p, name) {
			return true
		}
	}
	if len(r.PathHashPrefixes) == 0 {
		return false
	}
	sum := sha256.Sum256([]byte(name))
	for _, p := range r.PathHashPrefixes {
		if strings.HasPrefix(hex.EncodeToString(sum[:]), strings.ToLower(p)) {
			return true
		}
	}
	return false
}

// binOf names the bin of a target among 2^BitLength of them: the leftmost bits of the SHA-256 of its
// path, in hex, padded to the length of the last bin's number (TAP 15).
func binOf(bins *metadata.SuccinctRoles, name string) string {
	sum := sha256.Sum256([]byte(name))
	number := uint64(sum[0])<<24 | uint64(sum[1])<<16 | uint64(sum[2])<<8 | uint64(sum[3])
	digits := len(fmt.Sprintf("%x", uint64(1)<<bins.BitLength-1))
	return fmt.Sprintf("%s-%0*x", bins.NamePrefix, digits, number>>(32-bins.BitLength))
}

// matchTUFPath matches a path against a shell pattern, segment by segment: no wildcard and no set
// reaches across a slash (section 4.5, PATHPATTERN). A pattern that is broken matches nothing.
func matchTUFPath(pattern, name string) bool {
	patterns, parts := strings.Split(pattern, "/"), strings.Split(name, "/")
	if len(patterns) != len(parts) {
		return false
	}
	for i, p := range patterns {
		if !strings.Contains(p, `\`) {
			p = strings.ReplaceAll(p, "[!", "[^") // the shell's way to write what path.Match writes with ^
		}
		if ok, err := path.Match(p, parts[i]); err != nil || !ok {
			return false
		}
	}
	return true
}

// role brings a targets role up to what the snapshot names and verifies it for one delegator.
func (c *TUFClient) role(role string, by roleKeys, then func(*tufDoc[metadata.TargetsType])) {
	meta := c.snapshot.signed.Meta[role+".json"]
	if meta == nil {
		c.fail(fmt.Errorf("targets role %.60q is not in the snapshot: %w", role, ErrMissing))
		return
	}
	limit, err := tufLimit(role, meta, MaxTargetsBytes)
	if err != nil {
		c.fail(err)
		return
	}
	use := func(b []byte) bool {
		t, err := c.checkTargets(role, by, meta, b)
		if err != nil {
			return false
		}
		c.targets[role] = b
		then(t)
		return true
	}
	get := func() {
		c.fetch(c.fileName(role, meta.Version), limit, func(b []byte) { c.fetchedTargets(role, by, meta, b, then) })
	}
	if b := c.targets[role]; b != nil {
		if !use(b) {
			get()
		}
		return
	}
	c.load(role, func(b []byte) {
		if b == nil || !use(b) {
			get()
		}
	})
}

// fetchedTargets verifies and saves a targets role from the mirror.
func (c *TUFClient) fetchedTargets(role string, by roleKeys, meta *metadata.MetaFiles, b []byte, then func(*tufDoc[metadata.TargetsType])) {
	if b == nil {
		c.fail(fmt.Errorf("targets role %.60q, version %d: %w", role, meta.Version, ErrMissing))
		return
	}
	t, err := c.checkTargets(role, by, meta, b)
	if err != nil {
		c.fail(err)
		return
	}
	c.targets[role] = b
	c.save(role, b, func() { then(t) })
}

// checkTargets verifies a targets role for one delegator (5.6.2 to 5.6.5). It is asked again for
// every delegator that names the role: what one of them trusts says nothing about the others.
func (c *TUFClient) checkTargets(role string, by roleKeys, meta *metadata.MetaFiles, b []byte) (*tufDoc[metadata.TargetsType], error) {
	if err := meta.VerifyLengthHashes(b); err != nil {
		return nil, fmt.Errorf("targets role %.60q: %w: %w", role, ErrHash, err)
	}
	t, err := decodeTUFTargets(role, b)
	if err != nil {
		return nil, err
	}
	if err := by.check(fmt.Sprintf("targets role %.60q", role), t.payload, t.sigs, c.all); err != nil {
		return nil, err
	}
	if t.version != meta.Version {
		return nil, fmt.Errorf("targets role %.60q is version %d, the snapshot names %d: %w", role, t.version, meta.Version, ErrRollback)
	}
	if t.expired(c.now) {
		return nil, fmt.Errorf("targets role %.60q of %s: %w", role, t.expires.Format(time.DateOnly), ErrExpired)
	}
	return t, nil
}

// target names the file of a target on the mirror (5.7.3).
func (c *TUFClient) target(name string, f *metadata.TargetFiles) *TUFTarget {
	dir, base := path.Split(name)
	if c.root.signed.ConsistentSnapshot {
		sum := f.Hashes["sha256"]
		if sum == nil {
			sum = f.Hashes["sha512"]
		}
		base = sum.String() + "." + base
	}
	parts := strings.Split(dir+base, "/")
	for i, p := range parts {
		parts[i] = EscapeTUFName(p)
	}
	return &TUFTarget{Name: name, File: strings.Join(parts, "/"), SizeBytes: f.Length, hashes: f.Hashes}
}

// TUFVerifier takes the bytes of a target as they come and says at the end whether they are the ones.
type TUFVerifier struct {
	target *TUFTarget
	size   int64
	sums   map[string]hash.Hash
}

// Verifier begins to check the bytes of a target. ErrHash if a hash is signed that nobody here can
// compute: what cannot be checked is not taken.
func (t *TUFTarget) Verifier() (*TUFVerifier, error) {
	v := &TUFVerifier{target: t, sums: map[string]hash.Hash{}}
	for name := range t.hashes {
		switch name {
		case "sha256":
			v.sums[name] = sha256.New()
		case "sha512":
			v.sums[name] = sha512.New()
		default:
			return nil, fmt.Errorf("target %.200q has a hash of the unknown kind %.20q: %w", t.Name, name, ErrHash)
		}
	}
	return v, nil
}

// Write takes more bytes. It fails as soon as there are more than the metadata says.
func (v *TUFVerifier) Write(b []byte) (int, error) {
	if v.size += int64(len(b)); v.size > v.target.SizeBytes {
		return 0, fmt.Errorf("target %.200q is longer than %d bytes: %w", v.target.Name, v.target.SizeBytes, ErrTooLarge)
	}
	for _, h := range v.sums {
		h.Write(b)
	}
	return len(b), nil
}

// Check says whether what was written is the target; ErrHash if not.
func (v *TUFVerifier) Check() error {
	if v.size != v.target.SizeBytes {
		return fmt.Errorf("target %.200q has %d of %d bytes: %w", v.target.Name, v.size, v.target.SizeBytes, ErrHash)
	}
	if len(v.sums) == 0 {
		return fmt.Errorf("target %.200q has no hash: %w", v.target.Name, ErrHash)
	}
	for name, h := range v.sums {
		if !bytes.Equal(h.Sum(nil), v.target.hashes[name]) {
			return fmt.Errorf("target %.200q does not match its %s: %w", v.target.Name, name, ErrHash)
		}
	}
	return nil
}

// EscapeTUFName writes a name so that it is one segment of a URL whatever is in it: all but letters,
// digits and - . _ ~ become %XX (RFC 3986, section 2.3).
func EscapeTUFName(name string) string {
	var b strings.Builder
	for i := range len(name) {
		switch c := name[i]; {
		case c >= 'a' && c <= 'z', c >= 'A' && c <= 'Z', c >= '0' && c <= '9', strings.IndexByte("-._~", c) >= 0:
			b.WriteByte(c)
		default:
			fmt.Fprintf(&b, "%%%02X", c)
		}
	}
	return b.String()
}
