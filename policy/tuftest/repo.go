package tuftest

import (
	"crypto/sha256"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Start is when every case begins.
var Start = time.Date(2030, 6, 1, 12, 0, 0, 0, time.UTC)

// Object is a JSON object.
type Object = map[string]any

// Repo is a TUF repository. A case changes what is in Signed and Signers and publishes; a client
// sees only what was published.
type Repo struct {
	Signed    map[string]Object    // the next version of each role, unsigned
	Signers   map[string][]*Signer // who signs it
	Artifacts map[string][]byte    // what is served, whatever the metadata says
	HashMeta  bool                 // state length and hash of metadata too

	mu        sync.Mutex
	published map[string][][]byte
	asked     []string // "root 2", "timestamp", in order
	artifacts []string // targets asked for, with their hash
}

// NewRepo makes a repository with the top-level roles, version 1, consistent snapshots and one
// Ed25519 key each.
func NewRepo() *Repo {
	r := &Repo{
		Signed: map[string]Object{}, Signers: map[string][]*Signer{}, Artifacts: map[string][]byte{}, published: map[string][][]byte{},
	}
	common := func(kind string) Object {
		return Object{"_type": kind, "spec_version": "1.0.31", "version": 1, "expires": Date(Start.AddDate(0, 0, 30))}
	}
	root := common("root")
	root["consistent_snapshot"], root["keys"], root["roles"] = true, Object{}, Object{}
	r.Signed["root"] = root
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		root["roles"].(Object)[role] = Object{"keyids": []string{}, "threshold": 1}
		r.AddKey(role, NewSigner(Ed25519))
	}
	r.Signed["timestamp"] = common("timestamp")
	r.Signed["timestamp"]["meta"] = Object{"snapshot.json": Object{"version": 1}}
	r.Signed["snapshot"] = common("snapshot")
	r.Signed["snapshot"]["meta"] = Object{}
	r.Signed["targets"] = NewTargets()
	r.Publish("targets", "snapshot", "timestamp", "root")
	return r
}

// NewTargets is an empty targets document.
func NewTargets() Object {
	return Object{"_type": "targets", "spec_version": "1.0.31", "version": 1, "expires": Date(Start.AddDate(0, 0, 30)), "targets": Object{}}
}

// Date writes an instant.
func Date(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }

// Role is the entry of a top-level role in the root.
func (r *Repo) Role(role string) Object {
	return r.Signed["root"]["roles"].(Object)[role].(Object)
}

// AddKey adds a key to a top-level role and to its signers.
func (r *Repo) AddKey(role string, s *Signer) {
	r.TrustKey(role, s)
	r.Signers[role] = append(r.Signers[role], s)
}

// TrustKey adds a key to a top-level role only.
func (r *Repo) TrustKey(role string, s *Signer) {
	r.Signed["root"]["keys"].(Object)[s.ID] = s.Public
	entry := r.Role(role)
	entry["keyids"] = append(entry["keyids"].([]string), s.ID)
}

// SetKeys gives a top-level role these keys, threshold and signers.
func (r *Repo) SetKeys(role string, keys []*Signer, threshold int, signers []*Signer) {
	r.Role(role)["keyids"], r.Role(role)["threshold"] = []string{}, threshold
	for _, k := range keys {
		r.TrustKey(role, k)
	}
	r.Signers[role] = signers
}

// RotateKeys replaces the keys of a top-level role by one new one.
func (r *Repo) RotateKeys(role string) {
	k := NewSigner(Ed25519)
	r.SetKeys(role, []*Signer{k}, 1, []*Signer{k})
}

// Delegate adds a delegation with one new key, last in order. fields are added to it.
func (r *Repo) Delegate(delegator, role string, fields Object) *Signer {
	d, _ := r.Signed[delegator]["delegations"].(Object)
	if d == nil {
		d = Object{"keys": Object{}, "roles": []any{}}
		r.Signed[delegator]["delegations"] = d
	}
	k := NewSigner(Ed25519)
	d["keys"].(Object)[k.ID] = k.Public
	entry := Object{"name": role, "keyids": []string{k.ID}, "threshold": 1, "terminating": false}
	for name, v := range fields {
		entry[name] = v
	}
	d["roles"] = append(d["roles"].([]any), entry)
	r.Signers[role] = append(r.Signers[role], k)
	if r.Signed[role] == nil {
		r.Signed[role] = NewTargets()
	}
	return k
}

// AddTarget adds an artifact to a role, with hashes of the given kinds (none: sha256).
func (r *Repo) AddTarget(role, name string, body []byte, kinds ...string) {
	if len(kinds) == 0 {
		kinds = []string{"sha256"}
	}
	hashes := Object{}
	for _, k := range kinds {
		hashes[k] = Hash(k, body)
	}
	r.Signed[role]["targets"].(Object)[name] = Object{"length": len(body), "hashes": hashes}
	r.Artifacts[name] = body
}

// Hash is a digest in hex. A kind that does not exist has that of sha512.
func Hash(kind string, b []byte) string {
	if kind == "sha256" {
		sum := sha256.Sum256(b)
		return hex.EncodeToString(sum[:])
	}
	sum := sha512.Sum512(b)
	return hex.EncodeToString(sum[:])
}

// Publish signs the next version of roles, in order, and shows it. The first publication of a role
// keeps its version, the others raise it.
func (r *Repo) Publish(roles ...string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, role := range roles {
		if _, again := r.published[role]; again {
			r.Signed[role]["version"] = r.Signed[role]["version"].(int) + 1
		}
		b := r.sign(role)
		r.published[role] = append(r.published[role], b)
		entry := Object{"version": r.Signed[role]["version"]}
		if r.HashMeta {
			entry["length"], entry["hashes"] = len(b), Object{"sha256": Hash("sha256", b)}
		}
		switch role {
		case "root", "timestamp":
		case "snapshot":
			r.Signed["timestamp"]["meta"] = Object{"snapshot.json": entry}
		default:
			r.Signed["snapshot"]["meta"].(Object)[role+".json"] = entry
		}
	}
}

func (r *Repo) sign(role string) []byte {
	payload := canonical(r.Signed[role])
	sigs := []any{}
	for _, s := range r.Signers[role] {
		sigs = append(sigs, Object{"keyid": s.ID, "sig": hex.EncodeToString(s.sign(payload))})
	}
	b, err := json.Marshal(Object{"signed": r.Signed[role], "signatures": sigs})
	must(err)
	return b
}

// Unpublish forgets what was shown of a role; the next Publish keeps the version that is set then.
func (r *Repo) Unpublish(role string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.published, role)
}

// Newest is what was published of a role last; Edit replaces it, unsigned changes and all.
func (r *Repo) Newest(role string) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.published[role][len(r.published[role])-1]
}

// Edit replaces the newest publication of a role.
func (r *Repo) Edit(role string, b []byte) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.published[role][len(r.published[role])-1] = b
}

// EditTree decodes the newest publication, lets f change it and puts it back with its signatures.
func (r *Repo) EditTree(role string, f func(Object)) {
	var tree Object
	must(json.Unmarshal(r.Newest(role), &tree))
	f(tree)
	b, err := json.Marshal(tree)
	must(err)
	r.Edit(role, b)
}

// Version is a published root or other role; nil if there is no such.
func (r *Repo) Version(role string, version int) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if version < 1 || version > len(r.published[role]) {
		return nil
	}
	return r.published[role][version-1]
}

// Metadata answers a client that asks for a file of metadata; nil if there is none.
func (r *Repo) Metadata(file string) []byte {
	name, ok := strings.CutSuffix(file, ".json")
	if !ok || strings.ContainsAny(file, "/?#") { // a role's name is one escaped segment, whatever is in it
		return nil
	}
	number, role, numbered := strings.Cut(name, ".")
	consistent, _ := r.Signed["root"]["consistent_snapshot"].(bool)
	if numbered = numbered && (role == "root" || consistent); !numbered {
		role = name
	}
	real, err := url.PathUnescape(role)
	if err != nil {
		return nil
	}
	r.mu.Lock()
	if numbered {
		r.asked = append(r.asked, real+" "+number)
	} else {
		r.asked = append(r.asked, real)
	}
	all := r.published[real]
	r.mu.Unlock()
	if !numbered {
		if len(all) == 0 {
			return nil
		}
		return all[len(all)-1]
	}
	version, err := strconv.Atoi(number)
	if err != nil {
		return nil
	}
	return r.Version(real, version)
}

// Target answers a client that asks for an artifact; nil if there is none under that hash.
func (r *Repo) Target(file string) []byte {
	name, err := url.PathUnescape(file)
	if err != nil {
		return nil
	}
	hash := ""
	if consistent, _ := r.Signed["root"]["consistent_snapshot"].(bool); consistent {
		dir, base := path.Split(name)
		hash, base, _ = strings.Cut(base, ".")
		name = dir + base
	}
	r.mu.Lock()
	r.artifacts = append(r.artifacts, name+" "+hash)
	r.mu.Unlock()
	return r.Artifacts[name]
}

// Asked lists the metadata that was asked for since the last call.
func (r *Repo) Asked() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.asked
	r.asked = nil
	return out
}

// AskedTargets lists the artifacts that were asked for so far, each with its hash.
func (r *Repo) AskedTargets() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.artifacts)
}

// ServeHTTP shows the repository below /metadata/ and /targets/.
func (r *Repo) ServeHTTP(w http.ResponseWriter, q *http.Request) {
	var b []byte
	if file, ok := strings.CutPrefix(q.URL.EscapedPath(), "/metadata/"); ok {
		b = r.Metadata(file)
	} else if file, ok := strings.CutPrefix(q.URL.EscapedPath(), "/targets/"); ok {
		b = r.Target(file)
	}
	if b == nil {
		http.Error(w, fmt.Sprintf("no %s", q.URL.Path), http.StatusNotFound)
		return
	}
	_, _ = w.Write(b)
}
