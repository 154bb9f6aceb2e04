package keys

import (
	"bytes"
	"crypto/ed25519"
	"crypto/rand"
	"crypto/sha512"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"filippo.io/age"
	"github.com/libp2p/go-libp2p/core/peer"
)

// zeros is a source of "randomness" that makes keys known.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { clear(b); return len(b), nil }

func TestNodeIdentityStaysTheSame(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := LoadNode(dir); !errors.Is(err, ErrNotFound) {
		t.Errorf("before the first: %v, want ErrNotFound", err)
	}
	first, err := LoadOrCreateNode(dir, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	second, err := LoadOrCreateNode(dir, zeros{})
	if err != nil || !first.Equal(second) {
		t.Fatalf("the identity changed (%v)", err)
	}
	if left := list(t, dir); left != "node.key" {
		t.Errorf("the folder holds %s", left)
	}
	if runtime.GOOS != "windows" {
		if fi, _ := os.Stat(filepath.Join(dir, "node.key")); fi.Mode().Perm() != 0o600 {
			t.Errorf("mode %v", fi.Mode())
		}
		if fi, _ := os.Stat(dir); fi.Mode().Perm() != 0o700 {
			t.Errorf("folder mode %v", fi.Mode())
		}
	}
}

func TestPeerIDIsWhatLibp2pSays(t *testing.T) {
	key := ed25519.NewKeyFromSeed(make([]byte, 32))
	id, err := peer.Decode(peerID(t, key.Public().(ed25519.PublicKey)))
	if err != nil {
		t.Fatal(err)
	}
	pub, err := id.ExtractPublicKey()
	if err != nil {
		t.Fatal(err)
	}
	raw, err := pub.Raw()
	if err != nil || !bytes.Equal(raw, key.Public().(ed25519.PublicKey)) {
		t.Errorf("the peer ID holds %x, %v", raw, err)
	}
	if got, err := PeerID(nil); !errors.Is(err, ErrFormat) {
		t.Errorf("PeerID of nothing is %q, %v", got, err)
	}
}

func TestKeysThatOthersCanReadAreRefused(t *testing.T) {
	if runtime.GOOS == "windows" {
		return // access lists, not modes
	}
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := LoadOrCreateNode(dir, rand.Reader); err != nil {
		t.Fatal(err)
	}
	if _, err := CreateRole(dir, "approver", "", rand.Reader); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o602, 0o610, 0o666} {
		chmod(t, filepath.Join(dir, "node.key"), mode)
		chmod(t, filepath.Join(dir, "approver.key"), mode)
		if _, err := LoadOrCreateNode(dir, rand.Reader); !errors.Is(err, ErrExposed) || !strings.Contains(err.Error(), "node.key") {
			t.Errorf("node key with mode %o: %v, want ErrExposed that names it", mode, err)
		}
		if _, err := OpenRole(dir, "approver", ""); !errors.Is(err, ErrExposed) {
			t.Errorf("role key with mode %o: %v, want ErrExposed", mode, err)
		}
	}
	chmod(t, filepath.Join(dir, "node.key"), 0o400)
	if _, err := LoadNode(dir); err != nil {
		t.Errorf("read-only key: %v", err)
	}
	chmod(t, dir, 0o755)
	if _, err := LoadNode(dir); !errors.Is(err, ErrExposed) {
		t.Errorf("open folder: %v, want ErrExposed", err)
	}
	if _, err := CreateRole(dir, "other", "", rand.Reader); !errors.Is(err, ErrExposed) {
		t.Errorf("new key in an open folder: %v, want ErrExposed", err)
	}
}

func TestDamagedKeysAreRefusedAndStay(t *testing.T) {
	rsa := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{0x30, 0}})
	for name, body := range map[string]string{
		"empty": "", "text": "hello", "other block": string(rsa), "huge": strings.Repeat("x", maxFileBytes+1),
	} {
		dir := filepath.Join(t.TempDir(), "keys")
		path := filepath.Join(dir, "node.key")
		if err := errors.Join(os.Mkdir(dir, 0o700), os.WriteFile(path, []byte(body), 0o600)); err != nil {
			t.Fatal(err)
		}
		if _, err := LoadOrCreateNode(dir, rand.Reader); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
		if b, err := os.ReadFile(path); err != nil || string(b) != body {
			t.Errorf("%s: the file was touched", name)
		}
	}
}

func TestRoleKeysWithAndWithoutPassphrase(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	plain, err := CreateRole(dir, "snapshot", "", rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	secret, err := createRole(dir, "approver", "correct horse", rand.Reader, 10)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := OpenRole(dir, "snapshot", ""); err != nil || !got.Equal(plain) {
		t.Errorf("plain key: %v", err)
	}
	if got, err := OpenRole(dir, "snapshot", "needless"); err != nil || !got.Equal(plain) {
		t.Errorf("plain key with a passphrase: %v", err)
	}
	if got, err := OpenRole(dir, "approver", "correct horse"); err != nil || !got.Equal(secret) {
		t.Errorf("protected key: %v", err)
	}
	if _, err := OpenRole(dir, "approver", ""); !errors.Is(err, ErrNeedsPassphrase) {
		t.Errorf("without: %v, want ErrNeedsPassphrase", err)
	}
	if _, err := OpenRole(dir, "approver", "wrong"); !errors.Is(err, ErrPassphrase) {
		t.Errorf("wrong: %v, want ErrPassphrase", err)
	}
	if _, err := OpenRole(dir, "absent", ""); !errors.Is(err, ErrNotFound) {
		t.Errorf("absent: %v, want ErrNotFound", err)
	}
	if pub, err := PublicRole(dir, "approver"); err != nil || !pub.Equal(secret.Public()) {
		t.Errorf("public key: %v", err)
	}
	if _, err := LoadOrCreateNode(dir, rand.Reader); err != nil {
		t.Fatal(err)
	}
	roles, err := Roles(dir)
	if err != nil || len(roles) != 2 || roles[0].Name != "approver" || !roles[0].Protected ||
		roles[1].Name != "snapshot" || roles[1].Protected || !roles[1].Public.Equal(plain.Public()) {
		t.Errorf("roles %+v, %v", roles, err)
	}
	if left := list(t, dir); left != "approver.key.age approver.pub node.key snapshot.key snapshot.pub" {
		t.Errorf("the folder holds %s", left)
	}
	body, err := os.ReadFile(filepath.Join(dir, "approver.key.age"))
	if err != nil || bytes.Contains(body, []byte("PRIVATE")) || bytes.Contains(body, secret.Seed()) {
		t.Errorf("the protected file is not encrypted (%v)", err)
	}
}

func TestKeysAreNeverOverwritten(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	first, err := createRole(dir, "approver", "secret", rand.Reader, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, pass := range []string{"", "secret", "other"} {
		if _, err := createRole(dir, "approver", pass, rand.Reader, 10); !errors.Is(err, ErrExists) {
			t.Errorf("with passphrase %q: %v, want ErrExists", pass, err)
		}
	}
	if got, err := OpenRole(dir, "approver", "secret"); err != nil || !got.Equal(first) {
		t.Errorf("the first key is gone: %v", err)
	}
}

func TestNamesThatAreNoNames(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	for _, name := range []string{"", "node", "../x", "a/b", "A", "x.key", "ä", strings.Repeat("a", 65), "a\x00"} {
		if _, err := CreateRole(dir, name, "", rand.Reader); !errors.Is(err, ErrName) {
			t.Errorf("CreateRole(%q): %v, want ErrName", name, err)
		}
		if _, err := OpenRole(dir, name, ""); !errors.Is(err, ErrName) {
			t.Errorf("OpenRole(%q): %v, want ErrName", name, err)
		}
		if _, err := PublicRole(dir, name); !errors.Is(err, ErrName) {
			t.Errorf("PublicRole(%q): %v, want ErrName", name, err)
		}
	}
}

func TestASwappedPublicKeyIsNoticed(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	for _, name := range []string{"a", "b"} {
		if _, err := CreateRole(dir, name, "", rand.Reader); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Rename(filepath.Join(dir, "b.pub"), filepath.Join(dir, "a.pub")); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRole(dir, "a", ""); !errors.Is(err, ErrFormat) {
		t.Errorf("%v, want ErrFormat", err)
	}
}

// A file whose scrypt parameters would take minutes is a way to stop a seed.
func TestExpensiveProtectedFileIsRefusedQuickly(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	if _, err := createRole(dir, "a", "x", rand.Reader, 10); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "a.key.age")
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, bytes.Replace(b, []byte(" 10\n"), []byte(" 30\n"), 1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := OpenRole(dir, "a", "x"); err == nil || errors.Is(err, ErrPassphrase) {
		t.Errorf("%v, want a refusal that is no wrong passphrase", err)
	}
}

func TestStockAgeReadsAProtectedKey(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "keys")
	key, err := createRole(dir, "a", "x", rand.Reader, 10)
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(dir, "a.key.age"))
	if err != nil {
		t.Fatal(err)
	}
	id, _ := age.NewScryptIdentity("x")
	r, err := age.Decrypt(bytes.NewReader(b), id)
	if err != nil {
		t.Fatal(err)
	}
	var text bytes.Buffer
	text.ReadFrom(r)
	block, _ := pem.Decode(text.Bytes())
	got, err := x509.ParsePKCS8PrivateKey(block.Bytes)
	if err != nil || !key.Equal(got.(ed25519.PrivateKey)) {
		t.Errorf("%v", err)
	}
}

func TestWeakPublicKeysAreRefused(t *testing.T) {
	good := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	if err := CheckPublic(good); err != nil {
		t.Errorf("an ordinary key: %v", err)
	}
	for _, low := range lowOrder {
		for _, sign := range []byte{0, 0x80} {
			pub := bytes.Clone(low)
			pub[31] |= sign
			if err := CheckPublic(pub); !errors.Is(err, ErrFormat) {
				t.Errorf("%x: %v, want ErrFormat", pub, err)
			}
		}
	}
	for low := range byte(19) { // 2^255-19 .. 2^255-1
		pub := bytes.Repeat([]byte{0xff}, 32)
		pub[0], pub[31] = 0xed+low, 0x7f
		if err := CheckPublic(pub); !errors.Is(err, ErrFormat) {
			t.Errorf("%x: %v, want ErrFormat", pub, err)
		}
	}
	if err := CheckPublic(good[:31]); !errors.Is(err, ErrFormat) {
		t.Errorf("short key: %v", err)
	}
}

// The table is worth nothing with a typing error in it: each entry must have the power that makes it
// dangerous. With A of order 8 or less, R = -[h]A and S = 0 verify for about every eighth message.
func TestLowOrderTableIsRight(t *testing.T) {
	for _, pub := range lowOrder {
		forged := false
		for n := 0; n < 200 && !forged; n++ {
			msg := sha512.Sum512([]byte{byte(n)})
			for _, r := range lowOrder {
				for _, sign := range []byte{0, 0x80} {
					sig := make([]byte, 64)
					copy(sig, r)
					sig[31] |= sign
					forged = forged || ed25519.Verify(pub, msg[:], sig)
				}
			}
		}
		if !forged {
			t.Errorf("%x does not act like a point of low order", pub)
		}
	}
}

func FuzzParsePublic(f *testing.F) {
	pub, err := EncodePublic(ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(pub)
	f.Add([]byte("-----BEGIN PUBLIC KEY-----\nMAA=\n-----END PUBLIC KEY-----\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		if key, err := ParsePublic(b); err == nil {
			if again, err := EncodePublic(key); err != nil || len(again) == 0 {
				t.Fatalf("%v", err)
			}
		}
		parsePrivate(b)
	})
}

func peerID(t testing.TB, pub ed25519.PublicKey) string {
	t.Helper()
	id, err := PeerID(pub)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}

func list(t *testing.T, dir string) string {
	t.Helper()
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	var names []string
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return strings.Join(names, " ")
}

func TestPublicKeyOfPeerID(t *testing.T) {
	pub := ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)
	id := peerID(t, pub)
	if got, err := PublicKey(id); err != nil || !got.Equal(pub) {
		t.Errorf("%x, %v", got, err)
	}
	decoded, _ := peer.Decode(id)
	for _, bad := range []string{"", "x", id[:len(id)-1], id + "1", peer.ToCid(decoded).String(),
		"QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N", peerID(t, lowOrder[1]), strings.Repeat("1", 1000)} {
		if got, err := PublicKey(bad); !errors.Is(err, ErrFormat) {
			t.Errorf("PublicKey(%q) = %x, %v, want ErrFormat", bad, got, err)
		}
	}
}

func FuzzPublicKey(f *testing.F) {
	f.Add(peerID(f, ed25519.NewKeyFromSeed(make([]byte, 32)).Public().(ed25519.PublicKey)))
	f.Fuzz(func(t *testing.T, id string) {
		if pub, err := PublicKey(id); err == nil && peerID(t, pub) != id {
			t.Fatalf("%q has a second name", id)
		}
	})
}
