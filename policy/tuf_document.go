package policy

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// tufDoc is one decoded document of any TUF repository. No signature has been checked; what is
// signed has been decoded from the very tree that payload was written from.
type tufDoc[T metadata.Roles] struct {
	raw     []byte
	signed  T
	version int64
	expires time.Time
	keys    map[string]any // root: keys; targets: keys of its delegations
	payload []byte         // canonical form of the signed part
	sigs    map[string][]byte
}

// tufLayout is the one form of a date in TUF (specification, section 4.2.3).
const tufLayout = "2006-01-02T15:04:05Z"

// decodeTUF reads a document of the given type. what names it in errors.
func decodeTUF[T metadata.Roles](what, kind string, b []byte, limit int) (*tufDoc[T], error) {
	if len(b) > limit {
		return nil, fmt.Errorf("%s of %d bytes, at most %d: %w", what, len(b), limit, ErrTooLarge)
	}
	d := &tufDoc[T]{raw: b}
	if err := d.decode(kind); err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return d, nil
}

func (d *tufDoc[T]) decode(kind string) error {
	tree, err := parseTree(d.raw)
	if err != nil {
		return err
	}
	envelope, _ := tree.(map[string]any)
	signed, ok := envelope["signed"].(map[string]any)
	if !ok {
		return fmt.Errorf("nothing is signed: %w", ErrFormat)
	}
	if d.sigs, err = signaturesOf(envelope["signatures"]); err != nil {
		return err
	}
	if signed["_type"] != kind {
		return fmt.Errorf("of type %.20q, not %s: %w", signed["_type"], kind, ErrFormat)
	}
	if err := d.readCommon(signed); err != nil {
		return err
	}
	if d.payload, err = canonical(signed); err != nil {
		return err
	}
	if err := plainNames(signed); err != nil {
		return err
	}
	// go-tuf writes through the nil pointers that a null would leave in these places.
	delegations, _ := signed["delegations"].(map[string]any)
	for _, v := range []any{signed["keys"], signed["roles"], signed["meta"], signed["targets"], delegations["keys"], delegations["roles"]} {
		if !objectsOnly(v) {
			return fmt.Errorf("something else where objects belong: %w", ErrFormat)
		}
	}
	again, err := json.Marshal(signed)
	if err == nil {
		err = json.Unmarshal(again, &d.signed)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	d.keys, _ = signed["keys"].(map[string]any)
	if delegations != nil {
		d.keys, _ = delegations["keys"].(map[string]any)
	}
	return nil
}

// fieldNames are the fields of signed parts that are decoded into go-tuf's types.
var fieldNames = []string{"_type", "spec_version", "consistent_snapshot", "version", "expires", "keys", "roles", "meta", "targets", "delegations"}

// plainNames refuses "Meta" beside or instead of "meta": the JSON decoder would take the one for the
// other, and the checks above would have looked at the wrong one.
func plainNames(signed map[string]any) error {
	for name := range signed {
		for _, f := range fieldNames {
			if name != f && strings.EqualFold(name, f) {
				return fmt.Errorf("field %.40q: %w", name, ErrFormat)
			}
		}
	}
	return nil
}

// readCommon checks the fields that every role has.
func (d *tufDoc[T]) readCommon(signed map[string]any) error {
	if v, _ := signed["spec_version"].(string); v != "1" && !strings.HasPrefix(v, "1.") {
		return fmt.Errorf("written to specification %.20q: %w", v, ErrFormat)
	}
	n, _ := signed["version"].(json.Number)
	version, err := n.Int64()
	if err != nil || version < 1 {
		return fmt.Errorf("version %.20q: %w", n.String(), ErrFormat)
	}
	at, _ := signed["expires"].(string)
	expires, err := time.Parse(tufLayout, at)
	if err != nil {
		return fmt.Errorf("expires at %.30q: %w", at, ErrFormat)
	}
	d.version, d.expires = version, expires
	return nil
}

// signaturesOf reads the signatures. A key id that stands there twice is refused (specification,
// section 4.2.1); a signature that is not hex holds for nothing and is no error.
func signaturesOf(v any) (map[string][]byte, error) {
	list, ok := v.([]any)
	if !ok || !objectsOnly(v) {
		return nil, fmt.Errorf("no list of signatures: %w", ErrFormat)
	}
	if len(list) > maxSignatures {
		return nil, fmt.Errorf("%d signatures: %w", len(list), ErrTooLarge)
	}
	sigs := map[string][]byte{}
	for _, x := range list {
		object, _ := x.(map[string]any)
		id, okID := object["keyid"].(string)
		text, okSig := object["sig"].(string)
		if !okID || !okSig {
			return nil, fmt.Errorf("a signature without key id or value: %w", ErrFormat)
		}
		if _, twice := sigs[id]; twice {
			return nil, fmt.Errorf("two signatures of key %.16s: %w", id, ErrFormat)
		}
		sig, err := hex.DecodeString(text)
		if err != nil {
			sig = nil
		}
		sigs[id] = sig
	}
	return sigs, nil
}

// expired: the specification wants the expiry to be later than the time at which the update began.
func (d *tufDoc[T]) expired(now time.Time) bool { return !d.expires.After(now) }

// decodeTUFRoot reads a root and checks that it names the four roles with thresholds that make sense.
func decodeTUFRoot(what string, b []byte) (*tufDoc[metadata.RootType], error) {
	root, err := decodeTUF[metadata.RootType](what, metadata.ROOT, b, MaxRootBytes)
	if err != nil {
		return nil, err
	}
	for _, name := range metadata.TOP_LEVEL_ROLE_NAMES {
		if r := root.signed.Roles[name]; r == nil || r.Threshold < 1 {
			return nil, fmt.Errorf("%s: role %s has no keys or no threshold: %w", what, name, ErrFormat)
		}
	}
	return root, nil
}

// rootKeys is who signs a top-level role under a root.
func rootKeys(root *tufDoc[metadata.RootType], role string) roleKeys {
	r := root.signed.Roles[role]
	return roleKeys{keys: root.keys, ids: r.KeyIDs, threshold: r.Threshold}
}

// checkMeta refuses entries that nobody can mean: a version below 1 or a negative length.
func checkMeta(what string, meta map[string]*metadata.MetaFiles) error {
	for name, m := range meta {
		if m.Version < 1 || m.Length < 0 {
			return fmt.Errorf("%s: %.60q has version %d and length %d: %w", what, name, m.Version, m.Length, ErrFormat)
		}
	}
	return nil
}

// decodeTUFTimestamp reads a timestamp, which names one snapshot.
func decodeTUFTimestamp(b []byte) (*tufDoc[metadata.TimestampType], error) {
	ts, err := decodeTUF[metadata.TimestampType]("timestamp", metadata.TIMESTAMP, b, MaxTimestampBytes)
	if err != nil {
		return nil, err
	}
	if ts.signed.Meta[snapshotFile] == nil {
		return nil, fmt.Errorf("timestamp names no snapshot: %w", ErrFormat)
	}
	return ts, checkMeta("timestamp", ts.signed.Meta)
}

// decodeTUFSnapshot reads a snapshot, which names the top-level targets.
func decodeTUFSnapshot(b []byte) (*tufDoc[metadata.SnapshotType], error) {
	snap, err := decodeTUF[metadata.SnapshotType]("snapshot", metadata.SNAPSHOT, b, MaxSnapshotBytes)
	if err != nil {
		return nil, err
	}
	if snap.signed.Meta[targetsFile] == nil {
		return nil, fmt.Errorf("snapshot names no targets: %w", ErrFormat)
	}
	return snap, checkMeta("snapshot", snap.signed.Meta)
}

// decodeTUFTargets reads targets and checks its delegations: no role twice, none that takes the name
// of a top-level role (its file would replace that one's), not both ways to name paths at once.
func decodeTUFTargets(role string, b []byte) (*tufDoc[metadata.TargetsType], error) {
	what := fmt.Sprintf("targets role %.60q", role)
	t, err := decodeTUF[metadata.TargetsType](what, metadata.TARGETS, b, MaxTargetsBytes)
	if err != nil {
		return nil, err
	}
	for name, f := range t.signed.Targets {
		if f.Length < 0 {
			return nil, fmt.Errorf("%s: target %.60q of %d bytes: %w", what, name, f.Length, ErrFormat)
		}
	}
	d := t.signed.Delegations
	if d == nil {
		return t, nil
	}
	if d.Roles != nil && d.SuccinctRoles != nil {
		return nil, fmt.Errorf("%s delegates in two ways at once: %w", what, ErrFormat)
	}
	taken := map[string]bool{"": true}
	for _, name := range metadata.TOP_LEVEL_ROLE_NAMES {
		taken[name] = true
	}
	for _, r := range d.Roles {
		if taken[r.Name] {
			return nil, fmt.Errorf("%s delegates to %.60q twice or under a name that is taken: %w", what, r.Name, ErrFormat)
		}
		if r.Paths != nil && r.PathHashPrefixes != nil {
			return nil, fmt.Errorf("%s delegates to %.60q by paths and by hashes: %w", what, r.Name, ErrFormat)
		}
		taken[r.Name] = true
	}
	return t, nil
}
