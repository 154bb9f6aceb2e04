package policy

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/sha512"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"filippo.io/edwards25519"
	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/sigstore/sigstore/pkg/signature"
	"github.com/theupdateframework/go-tuf/v2/metadata"
)

// torsion is the eight points of low order, as encoded by RFC 8032, and the six other spellings of
// them that a careless decoder takes.
var torsion = []string{
	"0100000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0000000000000000000000000000000000000000000000000000000000000080",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
	"26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
	"c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	// from here on: other spellings
	"0100000000000000000000000000000000000000000000000000000000000080",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
}

const canonicalTorsion = 8

// encodedPoint is a point with one of its encodings, and its discrete logarithm apart from the torsion.
type encodedPoint struct {
	enc    []byte
	point  *edwards25519.Point
	scalar *edwards25519.Scalar
}

// spelledPoints are all low-order encodings alone, and a point of prime order with each torsion added.
func spelledPoints(t *testing.T, name string) []encodedPoint {
	var out []encodedPoint
	sum := sha512.Sum512([]byte(name))
	s, err := edwards25519.NewScalar().SetUniformBytes(sum[:])
	if err != nil {
		t.Fatal(err)
	}
	for i, text := range torsion {
		enc := mustHex(t, text)
		p, err := edwards25519.NewIdentityPoint().SetBytes(enc)
		if err != nil {
			t.Fatalf("%s: %v", text, err)
		}
		out = append(out, encodedPoint{enc, p, edwards25519.NewScalar()})
		if i < canonicalTorsion {
			q := edwards25519.NewIdentityPoint().ScalarBaseMult(s)
			q.Add(q, p)
			out = append(out, encodedPoint{q.Bytes(), q, s})
		}
	}
	return out
}

// forgery signs a message as an attacker does who picks both points: with the plain equation where he
// can, whatever torsion remains. other computes the challenge over the other spelling of the points.
func forgery(t *testing.T, a, r encodedPoint, msg []byte, other bool) []byte {
	h := sha512.New()
	if other {
		h.Write(r.point.Bytes())
		h.Write(a.point.Bytes())
	} else {
		h.Write(r.enc)
		h.Write(a.enc)
	}
	h.Write(msg)
	k, err := edwards25519.NewScalar().SetUniformBytes(h.Sum(nil))
	if err != nil {
		t.Fatal(err)
	}
	s := edwards25519.NewScalar().MultiplyAdd(k, a.scalar, r.scalar)
	return append(bytes.Clone(r.enc), s.Bytes()...)
}

// mayVerify is our rule, computed from the curve alone: the key is of large order and encodedPoint as RFC
// 8032 says, S is below the group order, and R is encodedPoint exactly as [S]B-[k]A is.
func mayVerify(t *testing.T, key, sig, msg []byte) bool {
	if len(sig) != 64 || len(key) != 32 || weak(key) {
		return false
	}
	a, err := edwards25519.NewIdentityPoint().SetBytes(key)
	if err != nil {
		return false
	}
	s, err := edwards25519.NewScalar().SetCanonicalBytes(sig[32:])
	if err != nil {
		return false
	}
	sum := sha512.Sum512(append(append(bytes.Clone(sig[:32]), key...), msg...))
	k, err := edwards25519.NewScalar().SetUniformBytes(sum[:])
	if err != nil {
		t.Fatal(err)
	}
	r := edwards25519.NewIdentityPoint().VarTimeDoubleScalarBaseMult(k, edwards25519.NewIdentityPoint().Negate(a), s)
	return bytes.Equal(r.Bytes(), sig[:32])
}

// weak keys are of low order, or another spelling of some point.
func weak(key []byte) bool {
	p, err := edwards25519.NewIdentityPoint().SetBytes(key)
	if err != nil {
		return false // no point at all: nothing verifies under it
	}
	return !bytes.Equal(p.Bytes(), key) || edwards25519.NewIdentityPoint().MultByCofactor(p).Equal(edwards25519.NewIdentityPoint()) == 1
}

// keyBench is a mesh whose timestamp is signed by one given key.
type keyBench struct {
	t    *testing.T
	m    *mesh
	head *metadata.Metadata[metadata.TimestampType]
}

func newKeyBench(t *testing.T) *keyBench {
	m := newMesh(t, "acme", 1, 1)
	return &keyBench{t, m, reparse[metadata.TimestampType](t, m.trust.Files().Timestamp)}
}

// message is what a signature on the head covers.
func (b *keyBench) message(version int64) []byte {
	b.head.Signed.Version = version
	msg, err := cjson.EncodeCanonical(b.head.Signed)
	if err != nil {
		b.t.Fatal(err)
	}
	return msg
}

// judge says what a machine makes of a root that names the key, and of a head that it signed.
func (b *keyBench) judge(key, sig []byte, version int64) (weakKey, taken bool) {
	b.t.Helper()
	root := reparse[metadata.RootType](b.t, b.m.trust.Files().Root)
	k := &metadata.Key{Type: metadata.KeyTypeEd25519, Scheme: metadata.KeySchemeEd25519}
	k.Value.PublicKey = hex.EncodeToString(key)
	root.Signed.Keys["k"] = k
	root.Signed.Roles[metadata.TIMESTAMP].KeyIDs = []string{"k"}
	tr, err := NewTrust(signed(b.t, root, b.m.keys.Root...))
	if errors.Is(err, ErrWeakKey) {
		return true, false
	}
	if err != nil {
		b.t.Fatalf("key %x: %v", key, err)
	}
	b.head.Signed.Version = version
	b.head.Signatures = []metadata.Signature{{KeyID: "k", Signature: sig}}
	ts, err := b.head.ToBytes(false)
	if err != nil {
		b.t.Fatal(err)
	}
	newer, _, err := tr.CheckHead(ts, t0)
	return false, newer && err == nil
}

// S-KEYS, points: every spelling of every low-order component in key and signature, over messages for
// which the torsion cancels and for which it does not.
func TestEd25519PointsAreJudgedByOneStrictRule(t *testing.T) {
	b := newKeyBench(t)
	count, weakKeys, takenCount := 0, 0, 0
	for _, a := range spelledPoints(t, "key") {
		for _, r := range spelledPoints(t, "nonce") {
			for version := int64(2); version < 4; version++ {
				msg := b.message(version)
				for _, other := range []bool{false, true} {
					if other && bytes.Equal(a.enc, a.point.Bytes()) && bytes.Equal(r.enc, r.point.Bytes()) {
						continue // there is no other spelling
					}
					count++
					sig := forgery(t, a, r, msg, other)
					refusedKey, taken := b.judge(a.enc, sig, version)
					if refusedKey != weak(a.enc) {
						t.Fatalf("key %x: refused %v", a.enc, refusedKey)
					}
					if want := mayVerify(t, a.enc, sig, msg); taken != want {
						t.Fatalf("key %x, signature %x: taken %v, want %v", a.enc, sig, taken, want)
					}
					if refusedKey {
						weakKeys++
					}
					if taken {
						takenCount++
					}
				}
			}
		}
	}
	t.Logf("%d vectors: %d keys refused, %d signatures taken", count, weakKeys, takenCount)
	if count < 914 || takenCount == 0 || weakKeys == 0 {
		t.Fatal("the vectors are not what they were")
	}
}

// S-KEYS, signatures: whatever is changed in a good one, it is no signature any more.
func TestChangedEd25519SignaturesAreRefused(t *testing.T) {
	b := newKeyBench(t)
	priv := ed25519.NewKeyFromSeed(bytes.Repeat([]byte{7}, 32))
	pub := []byte(priv.Public().(ed25519.PublicKey))
	msg := b.message(2)
	good := ed25519.Sign(priv, msg)
	if _, taken := b.judge(pub, good, 2); !taken {
		t.Fatal("the good signature was refused")
	}
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	var bad [][]byte
	for i := range 512 { // every bit
		sig := bytes.Clone(good)
		sig[i/8] ^= 1 << (i % 8)
		bad = append(bad, sig)
	}
	for n := int64(1); n <= 14; n++ { // S plus multiples of the group order: the same number, another text
		s := new(big.Int).SetBytes(reverse(good[32:]))
		s.Add(s, new(big.Int).Mul(order, big.NewInt(n)))
		if s.BitLen() <= 256 {
			bad = append(bad, append(bytes.Clone(good[:32]), reverse(s.FillBytes(make([]byte, 32)))...))
		}
	}
	for n := range len(good) { // cut short, and longer
		bad = append(bad, good[:n], append(bytes.Clone(good), good[:n+1]...))
	}
	special := [][]byte{make([]byte, 32), bytes.Repeat([]byte{0xff}, 32), reverse(order.FillBytes(make([]byte, 32)))}
	for _, text := range torsion {
		special = append(special, mustHex(t, text))
	}
	for _, r := range special {
		for _, s := range special {
			bad = append(bad, append(bytes.Clone(r), s...))
		}
		bad = append(bad, append(bytes.Clone(r), good[32:]...), append(bytes.Clone(good[:32]), r...))
	}
	for _, sig := range bad {
		if _, taken := b.judge(pub, sig, 2); taken {
			t.Fatalf("taken: %x", sig)
		}
	}
	if _, taken := b.judge(pub, good, 3); taken {
		t.Fatal("a signature counts for another message")
	}
	t.Logf("%d signatures", len(bad))
}

func reverse(b []byte) []byte {
	out := bytes.Clone(b)
	for i, j := 0, len(out)-1; i < j; i, j = i+1, j-1 {
		out[i], out[j] = out[j], out[i]
	}
	return out
}

// TestPublishedEd25519Vectors runs the collections that everybody tests with, where somebody has put
// them: ed25519vectors.json of C2SP/CCTV (914) and ed25519_test.json of C2SP/wycheproof (151).
func TestPublishedEd25519Vectors(t *testing.T) {
	dir := os.Getenv("PATCHMESH_VECTORS")
	if dir == "" {
		t.Skip("PATCHMESH_VECTORS does not name a folder with ed25519vectors.json and ed25519_test.json")
	}
	var cctv []struct{ Key, Sig, Msg string }
	readJSON(t, filepath.Join(dir, "ed25519vectors.json"), &cctv)
	for i, v := range cctv {
		key, sig := mustHex(t, v.Key), mustHex(t, v.Sig)
		if got, want := verifies(key, sig, []byte(v.Msg)), mayVerify(t, key, sig, []byte(v.Msg)); got != want {
			t.Errorf("CCTV %d: %v, want %v", i, got, want)
		}
	}
	var wycheproof struct {
		TestGroups []struct {
			PublicKey struct{ Pk string }
			Tests     []struct {
				Msg, Sig, Result string
				TcID             int
			}
		}
	}
	readJSON(t, filepath.Join(dir, "ed25519_test.json"), &wycheproof)
	n := 0
	for _, g := range wycheproof.TestGroups {
		for _, v := range g.Tests {
			n++
			if got := verifies(mustHex(t, g.PublicKey.Pk), mustHex(t, v.Sig), mustHex(t, v.Msg)); got != (v.Result == "valid") {
				t.Errorf("Wycheproof %d: %v, want %s", v.TcID, got, v.Result)
			}
		}
	}
	t.Logf("%d and %d vectors", len(cctv), n)
}

func readJSON(t *testing.T, path string, into any) {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(b, into); err != nil {
		t.Fatal(err)
	}
}

// verifies is what happens to a key and a signature on their way through this package and go-tuf.
func verifies(key, sig, msg []byte) bool {
	if checkPublicHex(hex.EncodeToString(key)) != nil {
		return false
	}
	v, err := signature.LoadVerifier(ed25519.PublicKey(key), crypto.Hash(0))
	return err == nil && v.VerifySignature(bytes.NewReader(sig), bytes.NewReader(msg)) == nil
}

// S-KEYS, thresholds: tables of roles with the same key under other ids and spellings, weak keys, keys
// that are missing and signatures of all kinds. One approver counts once, and only if the root is sound.
func TestThresholdTables(t *testing.T) {
	m := newMesh(t, "acme", 1, 1)
	accepted, tables := 0, 200
	for seed := range tables {
		rng := rand.New(rand.NewPCG(uint64(seed), 9))
		root := reparse[metadata.RootType](t, m.trust.Files().Root)
		role := root.Signed.Roles[metadata.TARGETS]
		role.KeyIDs, role.Threshold = nil, 1+rng.IntN(4)
		var approvers []Signer
		sound := true
		for i := range 1 + rng.IntN(5) {
			s := key(t, fmt.Sprintf("table %d approver %d", seed, i))
			approvers = append(approvers, s)
			root.Signed.Keys[s.id] = s.key
			role.KeyIDs = append(role.KeyIDs, s.id)
		}
		distinct := len(approvers)
		alias := func(id, public string) {
			k := *approvers[0].key
			k.Value.PublicKey = public
			root.Signed.Keys[id] = &k
			role.KeyIDs = append(role.KeyIDs, id)
			sound = false
		}
		switch rng.IntN(8) {
		case 0:
			alias("again", approvers[0].key.Value.PublicKey)
		case 1:
			alias("capitals", strings.ToUpper(approvers[0].key.Value.PublicKey))
		case 2:
			alias("low order", torsion[rng.IntN(len(torsion))])
		case 3:
			role.KeyIDs = append(role.KeyIDs, "missing")
			sound = false
		case 4:
			role.KeyIDs = append(role.KeyIDs, role.KeyIDs[0]) // the same id twice: go-tuf and we count it once
		}
		sound = sound && distinct >= role.Threshold
		b := signed(t, root, m.keys.Root...)
		tr, err := NewTrust(b)
		if (err == nil) != sound {
			t.Fatalf("table %d: root %v, sound %v", seed, err, sound)
		}
		if err != nil {
			continue
		}
		signers, count := tableSigners(t, rng, approvers)
		targets := reparse[metadata.TargetsType](t, m.trust.Files().Targets)
		targets.ClearSignatures()
		for _, s := range signers {
			if _, err := targets.Sign(s.sig); err != nil {
				t.Fatal(err)
			}
		}
		forge(rng, targets, role.KeyIDs)
		f := m.trust.Files()
		if f.Targets, err = targets.ToBytes(false); err != nil {
			t.Fatal(err)
		}
		f = m.forge(f, t0, nil, nil)
		got, err := walk(tr, f, t0)
		want := count >= role.Threshold && !doubled(targets.Signatures)
		if (err == nil) != want || (got != nil) != want {
			t.Fatalf("table %d: %d of %d distinct approvers signed, %d needed: %v", seed, count, distinct, role.Threshold, err)
		}
		if want {
			accepted++
		}
	}
	t.Logf("%d tables, %d accepted", tables, accepted)
	if accepted == 0 {
		t.Fatal("no table was accepted")
	}
}

// tableSigners picks who signs, and how many of them count.
func tableSigners(t *testing.T, rng *rand.Rand, approvers []Signer) (signers []Signer, count int) {
	for _, s := range approvers {
		if rng.IntN(3) > 0 {
			signers = append(signers, s)
			count++
		}
	}
	for i := range rng.IntN(3) {
		signers = append(signers, key(t, fmt.Sprintf("stranger %d", i)))
	}
	return signers, count
}

// forge adds what proves nothing: garbage under ids that count, or a signature a second time.
func forge(rng *rand.Rand, targets *metadata.Metadata[metadata.TargetsType], ids []string) {
	switch rng.IntN(4) {
	case 0:
		for _, id := range ids {
			if !hasSignature(targets.Signatures, id) {
				targets.Signatures = append(targets.Signatures, metadata.Signature{KeyID: id, Signature: make([]byte, 64)})
				return
			}
		}
	case 1:
		if len(targets.Signatures) > 0 {
			targets.Signatures = append(targets.Signatures, targets.Signatures[0])
		}
	}
}

func hasSignature(sigs []metadata.Signature, id string) bool {
	for _, s := range sigs {
		if s.KeyID == id {
			return true
		}
	}
	return false
}

func doubled(sigs []metadata.Signature) bool {
	seen := map[string]bool{}
	for _, s := range sigs {
		if seen[s.KeyID] {
			return true
		}
		seen[s.KeyID] = true
	}
	return false
}
