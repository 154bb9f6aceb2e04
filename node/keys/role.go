package keys

import (
	"bytes"
	"crypto/ed25519"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"filippo.io/age"
)

const (
	plainSuffix     = ".key"
	protectedSuffix = ".key.age"
	publicSuffix    = ".pub"

	// scryptLogN makes one guess at a passphrase cost 2^18 rounds; maxScryptLogN keeps a hostile file
	// from costing minutes.
	scryptLogN    = 18
	maxScryptLogN = 20
	maxRoles      = 1000
)

var roleName = regexp.MustCompile(`^[a-z0-9-]{1,64}$`)

// RoleInfo is one role key in a folder.
type RoleInfo struct {
	Name      string
	Protected bool // needs a passphrase
	Public    ed25519.PublicKey
}

// CreateRole makes a key with 32 bytes of rand; an empty passphrase leaves it unprotected. ErrExists,
// ErrName.
func CreateRole(dir, name, passphrase string, rand io.Reader) (ed25519.PrivateKey, error) {
	return createRole(dir, name, passphrase, rand, scryptLogN)
}

func createRole(dir, name, passphrase string, rand io.Reader, logN int) (ed25519.PrivateKey, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	if err := prepareFolder(dir); err != nil {
		return nil, err
	}
	// Both private names are looked at, so that a protected key gets no unprotected sister.
	for _, suffix := range []string{plainSuffix, protectedSuffix} {
		if _, err := os.Lstat(filepath.Join(dir, name+suffix)); !errors.Is(err, fs.ErrNotExist) {
			return nil, fmt.Errorf("key %s: %w", name, ErrExists)
		}
	}
	key, err := generate(rand)
	if err != nil {
		return nil, err
	}
	body, err := encodePrivate(key)
	if err != nil {
		return nil, fmt.Errorf("encode key %s: %w", name, err)
	}
	suffix := plainSuffix
	if passphrase != "" {
		suffix = protectedSuffix
		if body, err = protect(body, passphrase, logN); err != nil {
			return nil, fmt.Errorf("protect key %s: %w", name, err)
		}
	}
	public, err := EncodePublic(key.Public().(ed25519.PublicKey))
	if err != nil {
		return nil, fmt.Errorf("encode key %s: %w", name, err)
	}
	// A public key left by a crash between the two writes belongs to no private key: it may go.
	pubPath := filepath.Join(dir, name+publicSuffix)
	if err := os.Remove(pubPath); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("replace public key: %w", err)
	}
	// The public key first: a private key is never there without it.
	if err := writeNew(pubPath, public, 0o600); err != nil {
		return nil, err
	}
	if err := writeNew(filepath.Join(dir, name+suffix), body, 0o600); err != nil {
		return nil, err
	}
	return key, nil
}

// OpenRole reads a private key. The passphrase is looked at only if the key is protected. ErrName,
// ErrNotFound, ErrNeedsPassphrase, ErrPassphrase, ErrExposed, ErrFormat.
func OpenRole(dir, name, passphrase string) (ed25519.PrivateKey, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name+protectedSuffix)
	body, err := readSecret(path)
	switch {
	case errors.Is(err, ErrNotFound):
		path = filepath.Join(dir, name+plainSuffix)
		body, err = readSecret(path)
	case err == nil && passphrase == "":
		return nil, fmt.Errorf("key %s: %w", name, ErrNeedsPassphrase)
	case err == nil:
		body, err = unprotect(body, passphrase)
	}
	if err != nil {
		return nil, fmt.Errorf("open key %s: %w", name, err)
	}
	key, err := parsePrivate(body)
	if err != nil {
		return nil, fmt.Errorf("read key %s: %w", path, err)
	}
	// The public half on disk is what people show and compare: it must be this key's.
	if pub, err := PublicRole(dir, name); err == nil && !pub.Equal(key.Public()) {
		return nil, fmt.Errorf("key %s: %s is not its public key: %w", name, name+publicSuffix, ErrFormat)
	}
	return key, nil
}

// PublicRole reads a public key; no passphrase is needed. ErrName, ErrNotFound, ErrFormat.
func PublicRole(dir, name string) (ed25519.PublicKey, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, name+publicSuffix)
	f, err := os.Open(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("public key %s: %w", name, ErrNotFound)
	}
	if err != nil {
		return nil, fmt.Errorf("read public key: %w", err)
	}
	defer f.Close()
	b, err := readLimited(path, f)
	if err != nil {
		return nil, err
	}
	pub, err := ParsePublic(b)
	if err != nil {
		return nil, fmt.Errorf("read public key %s: %w", path, err)
	}
	return pub, nil
}

// Roles lists the role keys of a folder by name; a folder that does not exist has none.
func Roles(dir string) ([]RoleInfo, error) {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list keys: %w", err)
	}
	var roles []RoleInfo
	for _, e := range entries { // sorted by name
		name, protected := strings.CutSuffix(e.Name(), protectedSuffix)
		if !protected {
			var plain bool
			if name, plain = strings.CutSuffix(e.Name(), plainSuffix); !plain || e.Name() == nodeFile {
				continue
			}
		}
		if checkName(name) != nil || len(roles) == maxRoles {
			continue
		}
		pub, err := PublicRole(dir, name)
		if err != nil {
			return nil, err
		}
		roles = append(roles, RoleInfo{Name: name, Protected: protected, Public: pub})
	}
	return roles, nil
}

// checkName keeps names to what is a file name everywhere; "node" is this machine's own.
func checkName(name string) error {
	if !roleName.MatchString(name) || name+plainSuffix == nodeFile {
		return fmt.Errorf("key name %q: %w", name, ErrName)
	}
	return nil
}

func protect(body []byte, passphrase string, logN int) ([]byte, error) {
	r, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return nil, err
	}
	r.SetWorkFactor(logN)
	var out bytes.Buffer
	w, err := age.Encrypt(&out, r)
	if err != nil {
		return nil, err
	}
	if _, err := w.Write(body); err != nil {
		return nil, err
	}
	if err := w.Close(); err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func unprotect(body []byte, passphrase string) ([]byte, error) {
	id, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return nil, err
	}
	id.SetMaxWorkFactor(maxScryptLogN)
	r, err := age.Decrypt(bytes.NewReader(body), id)
	if err != nil {
		var wrong *age.NoIdentityMatchError
		if errors.As(err, &wrong) {
			return nil, ErrPassphrase
		}
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	out, err := io.ReadAll(io.LimitReader(r, maxFileBytes))
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return out, nil
}
