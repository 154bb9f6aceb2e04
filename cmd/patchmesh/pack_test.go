package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// R-M4: pack keeps the vendor's file as it is, makes the same bytes of the same files, and refuses another file than the
// one whose hash is claimed, of which nothing is left lying about.
func TestRM4PackRefusesAnotherFileThanTheVendors(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	vendor, own := write("app.jar", "vendor's bytes"), write("site.properties", "own")
	out := filepath.Join(dir, "out", "app.tar.gz")
	if err := os.Mkdir(filepath.Dir(out), 0o700); err != nil {
		t.Fatal(err)
	}
	const claimed = "ae6b1bc1bd0a8d8fe1ee2a3e8b22a9d6a5d5b9f3c0a1f7f0d9a6cbe31c6f7c11"
	var text, errs bytes.Buffer
	if code := run([]string{"pack", out, "--vendor", vendor, "--vendor-sha256", claimed}, &text, &errs); code != 3 || !strings.Contains(errs.String(), "not the vendor's file") {
		t.Errorf("exit code %d: %s", code, errs.String())
	}
	if left, err := os.ReadDir(filepath.Dir(out)); err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
	p, err := pack(out, vendor, hashOf(t, vendor), []string{own + "=conf/site"})
	if err != nil || p.VendorMember != "app.jar" || len(p.Files) != 2 {
		t.Fatalf("%+v, %v", p, err)
	}
	again, err := pack(filepath.Join(dir, "again.tgz"), vendor, hashOf(t, vendor), []string{own + "=conf/site"})
	if err != nil || again.SHA256 != p.SHA256 {
		t.Errorf("the same files, other bytes: %+v, %v", again, err)
	}
	for _, bad := range []string{own + "=../x", own + "=/x", own + "=app.jar", own + "=a//b", dir} {
		if _, err := pack(out, vendor, hashOf(t, vendor), []string{bad}); err == nil {
			t.Errorf("%s was packed", bad)
		}
	}
}

func hashOf(t *testing.T, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
