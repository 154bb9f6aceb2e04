package enrol

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/crypto"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/record"

	"patchmesh/content"
)

// bench is one honest enrolment, and what an attacker knows of it: everything but the private keys.
type bench struct {
	t            *testing.T
	tok          Token
	box          []byte
	node         ed25519.PrivateKey
	id           string
	join, renew  *Pending
	opened       *Opened
	issuer       ed25519.PrivateKey
	cases        int
	otherPending *Pending
}

func newBench(t *testing.T) *bench {
	tok, box := newToken(t)
	b := &bench{t: t, tok: tok, box: box, node: newKey(t), issuer: newKey(t)}
	var err error
	if b.id, err = peerOf(b.node.Public().(ed25519.PublicKey)); err != nil {
		t.Fatal(err)
	}
	if b.join, err = NewRequest(tok, b.node, "till-3", []string{"uuid:x"}, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if b.otherPending, err = NewRequest(tok, b.node, "till-3", []string{"uuid:x"}, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if b.renew, err = NewRenewal(tok.Box, b.node, 1, 0, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if b.opened, err = OpenRequest(box, b.join.Request); err != nil {
		t.Fatal(err)
	}
	return b
}

// refused expects one of our own errors for one hostile input.
func (b *bench) refused(name string, err error, want ...error) {
	b.t.Helper()
	b.cases++
	for _, w := range want {
		if errors.Is(err, w) {
			return
		}
	}
	b.t.Errorf("%s: %v, want %v", name, err, want)
}

func (b *bench) open(name string, request []byte, want ...error) {
	b.t.Helper()
	_, err := OpenRequest(b.box, request)
	b.refused(name, err, want...)
}

// sealed is a request whose inside the attacker chose: he knows the public key of the box.
func (b *bench) sealed(kind Kind, body any, sign func(said, ephemeral []byte) []byte) []byte {
	b.t.Helper()
	p, err := NewRenewal(b.tok.Box, b.node, 1, 0, rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	said := encode(b.t, body)
	if sign == nil {
		sign = func(said, ephemeral []byte) []byte {
			return ed25519.Sign(b.node, toSign(kind, ephemeral, b.tok.Box, said))
		}
	}
	a, err := agree(p.secret, b.tok.Box, p.ephemeral, b.tok.Box, purposeRequest+string(kind))
	if err != nil {
		b.t.Fatal(err)
	}
	plain := encode(b.t, signedBody{Body: said, Sig: sign(said, p.ephemeral)})
	return encode(b.t, requestDoc{Version: formatVersion, Kind: kind, Ephemeral: p.ephemeral, Sealed: seal(a, plain)})
}

// The honest shape of what the table below changes must pass, or the table would prove nothing.
func TestSEnrolCraftedRequestIsTakenWhenItIsHonest(t *testing.T) {
	b := newBench(t)
	if o, err := OpenRequest(b.box, b.sealed(KindJoin, requestBody{Peer: b.id, Secret: b.tok.Secret, Name: "n"}, nil)); err != nil || o.Peer != b.id {
		t.Fatalf("%+v, %v", o, err)
	}
	if o, err := OpenRequest(b.box, b.sealed(KindRenew, requestBody{Peer: b.id, Serial: 4}, nil)); err != nil || o.Serial != 4 {
		t.Fatalf("%+v, %v", o, err)
	}
}

func TestSEnrolHostileInputs(t *testing.T) {
	b := newBench(t)
	b.tokens()
	b.envelopes()
	b.bodies()
	b.answers()
	b.certificates()
	if b.cases < 100 {
		t.Errorf("%d hostile cases, the promise is 100", b.cases)
	}
	t.Logf("%d hostile cases", b.cases)
}

func (b *bench) tokens() {
	text, err := b.tok.Encode()
	if err != nil {
		b.t.Fatal(err)
	}
	parse := func(name, s string) {
		b.t.Helper()
		_, err := ParseToken(s)
		b.refused("token: "+name, err, ErrFormat, ErrTypo)
	}
	withSum := func(body []byte) string {
		sum := sha256.Sum256(body)
		return tokenPrefix + base64.RawURLEncoding.EncodeToString(append(body, sum[:checkBytes]...))
	}
	for _, n := range []int{0, 1, 4, 5, 6, 20, 60, len(text) / 2, len(text) - 2, len(text) - 1} {
		parse(fmt.Sprint("cut to ", n), text[:n])
	}
	for i := len(tokenPrefix); i < len(text); i += len(text) / 8 {
		x := byte('Q')
		if text[i] == x {
			x = 'R'
		}
		parse(fmt.Sprint("changed at ", i), text[:i]+string(x)+text[i+1:])
	}
	parse("another format", "pmj9-"+text[len(tokenPrefix):])
	parse("oversized", tokenPrefix+strings.Repeat("A", maxToken))
	parse("space inside", text[:30]+" "+text[30:])
	parse("twice", text+text)
	for name, change := range map[string]func(*Token){
		"no secret":        func(k *Token) { k.Secret = nil },
		"short secret":     func(k *Token) { k.Secret = k.Secret[:31] },
		"long secret":      func(k *Token) { k.Secret = append(bytes.Clone(k.Secret), 1) },
		"no box":           func(k *Token) { k.Box = nil },
		"short box":        func(k *Token) { k.Box = k.Box[:31] },
		"no seed":          func(k *Token) { k.SeedPeer = "" },
		"huge seed":        func(k *Token) { k.SeedPeer = strings.Repeat("x", 129) },
		"no root":          func(k *Token) { k.RootDigest = content.ID{} },
		"too many places":  func(k *Token) { k.Addrs = make([]string, 17) },
		"huge site":        func(k *Token) { k.Site = strings.Repeat("s", 65) },
		"first trust open": func(k *Token) { k.RootDigest, k.SeedPeer = content.ID{}, "" },
	} {
		k := b.tok
		change(&k)
		parse(name, withSum(encode(b.t, k)))
	}
	honest := encode(b.t, b.tok)
	parse("unknown field", withSum(bytes.Replace(honest, []byte(`{`), []byte(`{"groups":["admins"],`), 1)))
	parse("two documents", withSum(append(bytes.Clone(honest), honest...)))
	parse("no document", withSum([]byte("hello")))
}

func (b *bench) envelopes() {
	req := b.join.Request
	for _, n := range []int{0, 1, 10, len(req) / 4, len(req) / 2, len(req) - 10, len(req) - 1} {
		b.open(fmt.Sprint("request cut to ", n), req[:n], ErrFormat)
	}
	var doc requestDoc
	if err := json.Unmarshal(req, &doc); err != nil {
		b.t.Fatal(err)
	}
	for i := 0; i < len(doc.Sealed); i += len(doc.Sealed) / 12 {
		d := doc
		d.Sealed = bytes.Clone(doc.Sealed)
		d.Sealed[i] ^= 1
		b.open(fmt.Sprint("sealed byte ", i), encode(b.t, d), ErrSealed)
	}
	for name, change := range map[string]func(*requestDoc){
		"no version":         func(d *requestDoc) { d.Version = 0 },
		"older version":      func(d *requestDoc) { d.Version = 1 },
		"newer version":      func(d *requestDoc) { d.Version = 3 },
		"no kind":            func(d *requestDoc) { d.Kind = "" },
		"unknown kind":       func(d *requestDoc) { d.Kind = "root" },
		"join as renewal":    func(d *requestDoc) { d.Kind = KindRenew },
		"no ephemeral key":   func(d *requestDoc) { d.Ephemeral = nil },
		"short ephemeral":    func(d *requestDoc) { d.Ephemeral = d.Ephemeral[:31] },
		"low order 0":        func(d *requestDoc) { d.Ephemeral = make([]byte, 32) },
		"low order 1":        func(d *requestDoc) { d.Ephemeral = append([]byte{1}, make([]byte, 31)...) },
		"another's key":      func(d *requestDoc) { d.Ephemeral = b.otherPending.ephemeral },
		"nothing sealed":     func(d *requestDoc) { d.Sealed = nil },
		"only a tag":         func(d *requestDoc) { d.Sealed = make([]byte, 16) },
		"more than is taken": func(d *requestDoc) { d.Sealed = make([]byte, MaxRequestBytes) },
	} {
		d := doc
		change(&d)
		b.open(name, encode(b.t, d), ErrFormat, ErrSealed)
	}
	b.open("unknown field", bytes.Replace(req, []byte(`{`), []byte(`{"admin":true,`), 1), ErrFormat)
	b.open("two documents", append(bytes.Clone(req), req...), ErrFormat)
	b.open("renewal as join", bytes.Replace(b.renew.Request, []byte(`"renew"`), []byte(`"join"`), 1), ErrSealed)
	_, err := OpenRequest(bytes.Repeat([]byte{8}, 32), req)
	b.refused("wrong box", err, ErrSealed)
}

func (b *bench) bodies() {
	honest := requestBody{Peer: b.id, Secret: b.tok.Secret, Name: "till-3"}
	victim, _ := peerOf(newKey(b.t).Public().(ed25519.PublicKey))
	_, rsaPub, err := crypto.GenerateSecp256k1Key(rand.Reader)
	if err != nil {
		b.t.Fatal(err)
	}
	foreign, _ := peer.IDFromPublicKey(rsaPub)
	own, _ := peer.Decode(b.id)
	for name, change := range map[string]func(*requestBody){
		"foreign key":           func(r *requestBody) { r.Peer = victim },
		"nobody":                func(r *requestBody) { r.Peer = "" },
		"another kind of key":   func(r *requestBody) { r.Peer = foreign.String() },
		"second text of a name": func(r *requestBody) { r.Peer = peer.ToCid(own).String() },
		"cut peer":              func(r *requestBody) { r.Peer = r.Peer[:len(r.Peer)-1] },
		"huge peer":             func(r *requestBody) { r.Peer = strings.Repeat("1", 129) },
		"no secret":             func(r *requestBody) { r.Secret = nil },
		"short secret":          func(r *requestBody) { r.Secret = r.Secret[:31] },
		"long secret":           func(r *requestBody) { r.Secret = append(bytes.Clone(r.Secret), 0) },
		"huge name":             func(r *requestBody) { r.Name = strings.Repeat("n", 65) },
		"serial":                func(r *requestBody) { r.Serial = 1 },
		"documents":             func(r *requestBody) { r.Root = 1 },
		"hardware: five":        func(r *requestBody) { r.Hardware = []string{"a:1", "b:1", "c:1", "d:1", "e:1"} },
		"hardware: no kind":     func(r *requestBody) { r.Hardware = []string{":1"} },
		"hardware: no value":    func(r *requestBody) { r.Hardware = []string{"uuid:"} },
		"hardware: no colon":    func(r *requestBody) { r.Hardware = []string{"uuid"} },
		"hardware: huge":        func(r *requestBody) { r.Hardware = []string{"uuid:" + strings.Repeat("x", 96)} },
		"hardware: twice":       func(r *requestBody) { r.Hardware = []string{"uuid:1", "uuid:2"} },
	} {
		r := honest
		change(&r)
		b.open("join: "+name, b.sealed(KindJoin, r, nil), ErrFormat, ErrWrongPeer)
	}
	for name, r := range map[string]requestBody{
		"secret": {Peer: b.id, Secret: b.tok.Secret}, "name": {Peer: b.id, Name: "root"}, "hardware": {Peer: b.id, Hardware: []string{"a:1"}}, "foreign key": {Peer: victim}, "root": {Peer: b.id, Root: -1},
	} {
		b.open("renewal: "+name, b.sealed(KindRenew, r, nil), ErrFormat, ErrWrongPeer)
	}
	// T26: a request that asks for more. There is no field for it, and an unknown one is refused.
	for field, value := range map[string]any{
		"site": "hq", "groups": []string{"admins"}, "g": []string{"admins"}, "seed": true, "d": true, "cert": "AA==", "serial": 1,
		"not_after": "2099-01-01T00:00:00Z", "a": "2099-01-01T00:00:00Z", "org": "other", "role": "root", "t": "hq",
	} {
		b.open("asks for "+field, b.sealed(KindJoin, map[string]any{"p": b.id, "s": b.tok.Secret, "n": "x", field: value}, nil), ErrFormat)
	}
	signedFor := func(kind Kind, ephemeral, box []byte) func(said, eph []byte) []byte {
		return func(said, eph []byte) []byte {
			if ephemeral != nil {
				eph = ephemeral
			}
			return ed25519.Sign(b.node, toSign(kind, eph, box, said))
		}
	}
	for name, sign := range map[string]func(said, eph []byte) []byte{
		"no signature":                   func(_, _ []byte) []byte { return nil },
		"signed for another request":     signedFor(KindJoin, b.join.ephemeral, b.tok.Box),
		"signed for another kind":        signedFor(KindRenew, nil, b.tok.Box),
		"carried over from another seed": signedFor(KindJoin, nil, bytes.Repeat([]byte{3}, 32)),
		"signed by another key":          func(said, eph []byte) []byte { return ed25519.Sign(b.issuer, toSign(KindJoin, eph, b.tok.Box, said)) },
	} {
		b.open(name, b.sealed(KindJoin, honest, sign), ErrWrongPeer)
	}
}

func (b *bench) answers() {
	good, err := b.opened.Answer(Answer{Status: StatusMember, Org: "acme"})
	if err != nil {
		b.t.Fatal(err)
	}
	open := func(name string, answer []byte, want ...error) {
		b.t.Helper()
		_, err := b.join.Open(answer)
		b.refused("answer: "+name, err, want...)
	}
	for _, n := range []int{0, 1, saltBytes - 1, saltBytes, saltBytes + 15, len(good) / 2, len(good) - 1} {
		open(fmt.Sprint("cut to ", n), good[:n], ErrFormat, ErrSealed)
	}
	for _, i := range []int{0, saltBytes - 1, saltBytes, len(good) / 2, len(good) - 1} {
		x := bytes.Clone(good)
		x[i] ^= 0x80
		open(fmt.Sprint("byte ", i), x, ErrSealed)
	}
	other, err := OpenRequest(b.box, b.otherPending.Request)
	if err != nil {
		b.t.Fatal(err)
	}
	swapped, err := other.Answer(Answer{Status: StatusMember, Org: "acme"})
	if err != nil {
		b.t.Fatal(err)
	}
	open("of another request of the same machine", swapped, ErrSealed)
	ren, err := OpenRequest(b.box, b.renew.Request)
	if err != nil {
		b.t.Fatal(err)
	}
	ren.secret, ren.ephemeral = b.opened.secret, b.opened.ephemeral // even with the same keys
	wrongKind, err := ren.Answer(Answer{Status: StatusMember})
	if err != nil {
		b.t.Fatal(err)
	}
	open("of another kind", wrongKind, ErrSealed)
	open("by a liar", append(make([]byte, saltBytes), bytes.Repeat([]byte{1}, 200)...), ErrSealed)
	open("the request itself", b.join.Request, ErrSealed)
	open("oversized", make([]byte, MaxAnswerBytes+1), ErrFormat)
	for name, a := range map[string]Answer{
		"no status": {}, "unknown status": {Status: "root"}, "endless reason": {Status: StatusRefused, Reason: strings.Repeat("x", maxReasonText+1)},
		"endless number": {Status: StatusWaiting, RequestID: strings.Repeat("1", 65)},
	} {
		sealed, err := b.opened.Answer(a)
		if err != nil {
			b.t.Fatal(err)
		}
		open(name, sealed, ErrFormat)
	}
}

// foreignRecord is a signed record of another kind that carries a certificate's text.
type foreignRecord struct{ Certificate }

func (*foreignRecord) Domain() string { return "libp2p-peer-record" }

func (b *bench) certificates() {
	c := Certificate{Serial: 1, Org: "acme", Site: "s", Name: "n", Peer: b.id, NotBefore: now, NotAfter: now.Add(time.Hour)}
	keys := []ed25519.PublicKey{b.issuer.Public().(ed25519.PublicKey)}
	good, err := Issue(c, b.issuer)
	if err != nil {
		b.t.Fatal(err)
	}
	if again, err := Issue(c, b.issuer); err != nil || !bytes.Equal(again, good) {
		b.t.Errorf("one row gives two certificates (%v)", err)
	}
	victim, _ := peerOf(newKey(b.t).Public().(ed25519.PublicKey))
	check := func(name string, cert []byte, id string, at time.Time, want ...error) {
		b.t.Helper()
		_, err := Check(cert, keys, id, at)
		b.refused("certificate: "+name, err, want...)
	}
	check("of another key", good, victim, now, ErrWrongPeer)
	check("of nobody", good, "", now, ErrWrongPeer)
	check("at its end", good, b.id, now.Add(time.Hour), ErrExpired)
	check("long after", good, b.id, now.Add(1e6*time.Hour), ErrExpired)
	check("before its time", good, b.id, now.Add(-time.Second), ErrExpired)
	own, _ := Issue(c, b.node)
	check("self-made", own, b.id, now, ErrUntrustedIssuer)
	check("empty", nil, b.id, now, ErrFormat)
	check("oversized", make([]byte, 2*MaxCertBytes+1), b.id, now, ErrFormat)
	for _, i := range []int{0, 10, len(good) / 3, len(good) / 2, len(good) - 1} {
		x := bytes.Clone(good)
		x[i] ^= 1
		check(fmt.Sprint("byte ", i), x, b.id, now, ErrFormat, ErrUntrustedIssuer)
	}
	k, err := crypto.UnmarshalEd25519PrivateKey(b.issuer)
	if err != nil {
		b.t.Fatal(err)
	}
	env, err := record.Seal(&foreignRecord{c}, k)
	if err != nil {
		b.t.Fatal(err)
	}
	raw, _ := env.Marshal()
	check("a record of another kind by the same key", raw, b.id, now, ErrFormat)
}
