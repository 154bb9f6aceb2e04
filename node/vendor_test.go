package node

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"strings"
	"testing"

	"patchmesh/node/api"
	"patchmesh/node/source"
)

type entry struct{ name, text string }

// tarred is an archive, packed.
func tarred(t *testing.T, files ...entry) []byte {
	t.Helper()
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	w := tar.NewWriter(z)
	for _, f := range files {
		h := &tar.Header{Typeflag: tar.TypeReg, Name: f.name, Size: int64(len(f.text)), Mode: 0o644}
		if f.text == "" {
			h.Typeflag, h.Linkname = tar.TypeSymlink, "elsewhere"
		}
		if err := w.WriteHeader(h); err != nil {
			t.Fatal(err)
		}
		if _, err := w.Write([]byte(f.text)); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), z.Close()); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func hexSum(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:])
}

// R-M4: a customised payload keeps its vendor's hash and origin, which machines show; a payload in which that file does
// not lie, or lies otherwise, is not imported.
func TestRM4ACustomisedPayloadKeepsTheVendorsHash(t *testing.T) {
	t.Parallel()
	ctx := context.Background()
	m := newMesh(t)
	good := tarred(t, entry{"conf/site", "own"}, entry{"./lib/app.jar", "vendor's bytes"})
	add := func(id string, body []byte, c api.VendorClaim) error {
		_, err := m.seed.Import(ctx, api.ImportRequest{FileName: id + ".tar.gz", SizeBytes: int64(len(body)), ID: id, Installer: "archive",
			InstallerArgs: map[string]string{"dest": "/srv/" + id}, Vendor: &c}, bytes.NewReader(body))
		return err
	}
	claim := api.VendorClaim{SHA256: hexSum("vendor's bytes"), Origin: "https://vendor.example/app.jar", Member: "lib/app.jar"}
	for name, c := range map[string]struct {
		body  []byte
		spoil func(*api.VendorClaim)
		class api.Class
	}{
		"other bytes":        {tarred(t, entry{"lib/app.jar", "vendor's byte5"}), nil, api.ClassRefused},
		"not there":          {tarred(t, entry{"lib/app.jar.bak", "vendor's bytes"}), nil, api.ClassRefused},
		"there twice":        {tarred(t, entry{"lib/app.jar", "vendor's bytes"}, entry{"lib/../lib/app.jar", "mine"}), nil, api.ClassRefused},
		"a link":             {tarred(t, entry{"lib/app.jar", ""}), nil, api.ClassRefused},
		"cut off":            {good[:len(good)-20], nil, api.ClassRefused},
		"said to be it":      {good, func(c *api.VendorClaim) { c.Member = "" }, api.ClassRefused},
		"no hash":            {good, func(c *api.VendorClaim) { c.SHA256 = "abc" }, api.ClassUsage},
		"origin with a word": {good, func(c *api.VendorClaim) { c.Origin = "file:///etc" }, api.ClassUsage},
	} {
		x := claim
		if c.spoil != nil {
			c.spoil(&x)
		}
		if err := add("bad", c.body, x); api.ClassOf(err) != c.class {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := m.seed.seed.db.Update("bad"); err == nil {
		t.Error("a refused import is in the catalogue")
	}
	if err := add("app", good, claim); err != nil {
		t.Fatal(err)
	}
	m.join("a")
	a := m.run("a", Config{Egress: EgressYes})
	m.approve("app")
	until(t, "it to be installed", func() bool { return a.update(t, "app").State == "installed" })
	p, err := a.Provenance(ctx, "app", "a")
	if err != nil || p.Vendor == nil || p.Vendor.SHA256 != claim.SHA256 || p.Vendor.Origin != claim.Origin || p.Vendor.Bytes != 14 || p.Vendor.FileName != "app.jar" {
		t.Errorf("%+v, %v", p, err)
	}
	if f, err := a.Status(ctx, api.StatusQuery{}); err != nil || len(f.Vendors) != 1 || f.Vendors[0].FileName != "app.jar" {
		t.Errorf("the machine's status: %+v, %v", f, err)
	}
	until(t, "the seed's status to name the vendor's file", func() bool {
		f, err := m.seed.Status(ctx, api.StatusQuery{})
		return err == nil && len(f.Vendors) == 1 && f.Vendors[0].Update == "app" && f.Vendors[0].SHA256 == claim.SHA256 && f.Vendors[0].Origin == claim.Origin
	})
	e, err := a.Explain(ctx, "app", "a")
	if err != nil {
		t.Fatal(err)
	}
	told := ""
	for _, f := range e.Chain {
		told += f.Text + "\n"
	}
	if !strings.Contains(told, claim.SHA256) || !strings.Contains(told, "from https://vendor.example/app.jar") {
		t.Errorf("%s", told)
	}
}

// FuzzMember: an archive is looked through before anybody has vouched for it.
func FuzzMember(f *testing.F) {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	_ = w.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: "a", Size: 1, Mode: 0o644})
	_, _ = w.Write([]byte("x"))
	_ = w.Close()
	f.Add(b.Bytes(), "a")
	f.Add(b.Bytes(), "../a")
	f.Add(b.Bytes()[:600], "b")
	f.Fuzz(func(t *testing.T, b []byte, member string) {
		if _, n, err := source.Member("x.tar", bytes.NewReader(b), int64(len(b)), member); err == nil && (n < 0 || n > int64(len(b))) {
			t.Fatalf("a member of %d bytes in an archive of %d", n, len(b))
		}
		_, _, _ = source.Member("x.tgz", bytes.NewReader(b), int64(len(b)), member)
	})
}
