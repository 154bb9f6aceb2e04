package node

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/keys"
	"patchmesh/node/trustdir"
	"patchmesh/policy"
)

// Signing on an approver's own machine: a file comes in on a stick, is verified from what this machine
// trusts, shown, signed and carried back. Nothing here needs a node, a data folder or a network.

// SignFile is a draft file that has been verified and can be signed.
type SignFile struct {
	View *api.DraftView

	path   string
	parcel *policy.Parcel
	trust  *policy.Trust // in force
	by     *policy.Trust // what signatures count by
	draft  *policy.Draft
	keep   *trustdir.Dir // where the approver's own copy of the trusted metadata lives; nil: nowhere
}

// OpenSignFile reads a draft file. trustDir, if it is not empty, is the approver's own copy of the
// trusted metadata: it is begun from the fingerprint if it is new, and moves on with every file, so
// that an old one is noticed. Without it the fingerprint of root version 1 is all there is to verify
// from. ClassRefused if anything does not hold.
func OpenSignFile(path, trustDir, fingerprint string, now time.Time) (*SignFile, error) {
	b, err := readFileLimited(path, policy.MaxParcelBytes)
	if err != nil {
		return nil, err
	}
	p, err := policy.DecodeParcel(b)
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "%s is no draft: %v", path, err).WithHint("'patchmesh draft export' on the seed writes one")
	}
	f := &SignFile{path: path, parcel: p}
	from, err := f.begin(trustDir, fingerprint, now)
	if err != nil {
		return nil, err
	}
	o, err := p.Open(from, now)
	if err != nil {
		e := api.Errorf(api.ClassRefused, "%s cannot be believed: %v", path, err)
		if errors.Is(err, policy.ErrExpired) {
			return nil, e.WithHint("it is too old: export it again, and see that this machine's clock is right")
		}
		return nil, e.WithHint("do not sign it; find out who gave it to you")
	}
	f.trust, f.by, f.draft = o.Trust, o.By, o.Draft
	described := p.Described()
	if f.View, err = viewDraft(f.by, f.draft, func(id content.ID) []byte { return described[id] }); err != nil {
		return nil, err
	}
	if len(p.NextRoot) > 0 {
		err = underRoot(f.View, f.trust, p.NextRoot)
	}
	return f, err
}

// begin finds what to verify from.
func (f *SignFile) begin(trustDir, fingerprint string, now time.Time) (*policy.Trust, error) {
	if trustDir != "" {
		dir, err := trustdir.Open(trustDir)
		if err != nil {
			return nil, err
		}
		f.keep = dir
		files, err := dir.Load()
		switch {
		case err == nil:
			return policy.OpenTrust(files, now)
		case !errors.Is(err, trustdir.ErrEmpty):
			return nil, trustTrouble(trustDir, err)
		}
	}
	if fingerprint == "" {
		return nil, api.Errorf(api.ClassUsage, "what should the draft be verified from?").
			WithHint("give --root FINGERPRINT, the root fingerprint that 'patchmesh init' and 'patchmesh trust show' print, and --trust DIR to remember it")
	}
	if got := content.Sum(f.parcel.Root).String(); got != fingerprint {
		return nil, api.Errorf(api.ClassRefused, "the draft belongs to an organisation with root %s, not %s", got, api.Clean(fingerprint))
	}
	return policy.NewTrust(f.parcel.Root)
}

// Sign adds the signature of the key in a file (NAME.key or NAME.key.age) and writes the draft file
// back in place.
func (f *SignFile) Sign(keyPath string, passphrase api.Secret) (*api.DraftView, error) {
	s, err := openKeyFile(keyPath, passphrase)
	if err != nil {
		return nil, err
	}
	before, _, _ := f.draft.Status(f.by)
	had := f.draft.Signers(f.by)
	if err := f.draft.Sign(s); err != nil {
		return nil, err
	}
	if after, _, _ := f.draft.Status(f.by); after == before && !slices.Contains(had, s.KeyID()) {
		return nil, api.Errorf(api.ClassRefused, "key %s is no approver for this draft", s.KeyID()).WithHint("missing are: %s", strings.Join(f.View.Missing, ", "))
	}
	b, err := f.parcel.WithDraft(f.draft)
	if err != nil {
		return nil, err
	}
	if err := replaceFile(f.path, b); err != nil {
		return nil, err
	}
	if f.keep != nil {
		if err := f.keep.Save(f.trust.Files()); err != nil {
			return nil, err
		}
	}
	v := *f.View
	v.Signatures, v.Threshold, v.Missing = f.draft.Status(f.by)
	return &v, nil
}

// openKeyFile opens a key by the path of its file.
func openKeyFile(path string, passphrase api.Secret) (policy.Signer, error) {
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(path), ".age"), ".key")
	if name == filepath.Base(path) {
		return policy.Signer{}, api.Errorf(api.ClassUsage, "%s is no key file", path).WithHint("key files are called NAME.key or NAME.key.age")
	}
	return openSigner(filepath.Dir(path), name, passphrase)
}

// KeyInfo is one key, for people.
type KeyInfo struct {
	Name      string `json:"name"`
	ID        string `json:"key_id"`
	Protected bool   `json:"protected"`
	Public    string `json:"public"` // path of the public key
	PEM       string `json:"pem"`
}

// NewKey makes a key in a folder; an empty passphrase leaves it readable. ClassUsage if it exists.
func NewKey(dir, name string, passphrase api.Secret) (*KeyInfo, error) {
	_, err := keys.CreateRole(dir, name, passphrase.Reveal(), rand.Reader)
	switch {
	case errors.Is(err, keys.ErrName):
		return nil, api.Errorf(api.ClassUsage, "%v", err)
	case errors.Is(err, keys.ErrExists):
		return nil, api.Errorf(api.ClassUsage, "a key %s is in %s already", name, dir).WithHint("keys are never overwritten; choose another name")
	case err != nil:
		return nil, err
	}
	all, err := ShowKeys(dir)
	if err != nil {
		return nil, err
	}
	for _, k := range all {
		if k.Name == name {
			return &k, nil
		}
	}
	return nil, fmt.Errorf("key %s was made and is not there", name)
}

// ShowKeys lists the keys of a folder.
func ShowKeys(dir string) ([]KeyInfo, error) {
	roles, err := keys.Roles(dir)
	if err != nil {
		return nil, err
	}
	out := []KeyInfo{}
	for _, r := range roles {
		s, err := policy.NamePublic(r.Public)
		if err != nil {
			return nil, fmt.Errorf("key %s: %w", r.Name, err)
		}
		pem, err := keys.EncodePublic(r.Public)
		if err != nil {
			return nil, err
		}
		out = append(out, KeyInfo{Name: r.Name, ID: s.KeyID(), Protected: r.Protected, Public: filepath.Join(dir, r.Name+".pub"), PEM: string(pem)})
	}
	return out, nil
}

// SignRootFile adds a root key's signature to a root in a file, in place.
func SignRootFile(path, keyPath string, passphrase api.Secret) (*api.RootView, error) {
	b, err := readFileLimited(path, policy.MaxRootBytes)
	if err != nil {
		return nil, err
	}
	if _, err := policy.FirstRootStatus(b); err != nil {
		return nil, api.Errorf(api.ClassRefused, "%s is no root: %v", path, err)
	}
	s, err := openKeyFile(keyPath, passphrase)
	if err != nil {
		return nil, err
	}
	if b, err = policy.SignRoot(b, s); err != nil {
		return nil, err
	}
	if err := replaceFile(path, b); err != nil {
		return nil, err
	}
	st, err := policy.FirstRootStatus(b)
	if err != nil {
		return nil, err
	}
	return viewRoot(nil, st), nil
}

// ShowRootFile reads a root in a file, to be looked at before it is signed.
func ShowRootFile(path string) (*api.RootView, error) {
	b, err := readFileLimited(path, policy.MaxRootBytes)
	if err != nil {
		return nil, err
	}
	st, err := policy.FirstRootStatus(b)
	if err != nil {
		return nil, api.Errorf(api.ClassRefused, "%s is no root: %v", path, err)
	}
	return viewRoot(b, st), nil
}

// readFileLimited reads a file that somebody brought along.
func readFileLimited(path string, most int64) ([]byte, error) {
	f, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, api.Errorf(api.ClassNotFound, "no file %s", path)
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	if fi, err := f.Stat(); err != nil || !fi.Mode().IsRegular() {
		return nil, api.Errorf(api.ClassRefused, "%s is not a regular file", path)
	}
	b, err := io.ReadAll(io.LimitReader(f, most+1))
	if err != nil {
		return nil, fmt.Errorf("read %s: %w", path, err)
	}
	if int64(len(b)) > most {
		return nil, api.Errorf(api.ClassRefused, "%s has more than %d bytes", path, most)
	}
	return b, nil
}

// replaceFile writes a file beside the old one, syncs it and renames it over: a stick that is pulled
// out too early holds the old file or the new one.
func replaceFile(path string, b []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".patchmesh-*")
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	defer os.Remove(f.Name())
	_, err = io.Copy(f, bytes.NewReader(b))
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", path, err)
	}
	return nil
}

// WriteFile writes a file durably, in place of an older one; for drafts and roots that travel.
func WriteFile(path string, b []byte) error { return replaceFile(path, b) }

// ReadDraftFile reads a draft file for import.
func ReadDraftFile(path string) ([]byte, error) { return readFileLimited(path, policy.MaxParcelBytes) }

// ReadRootFile reads a root for publishing.
func ReadRootFile(path string) ([]byte, error) { return readFileLimited(path, policy.MaxRootBytes) }

// ReadPublicFile reads a public key in PEM.
func ReadPublicFile(path string) (string, error) {
	b, err := readFileLimited(path, 16<<10)
	if err != nil {
		return "", err
	}
	_, err = namePEM(string(b))
	return string(b), err
}
