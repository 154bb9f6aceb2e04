package policy

import (
	"errors"
	"strings"
	"testing"

	"patchmesh/content"
)

func originDescriptor(urls, hosts []string) *Descriptor {
	return &Descriptor{
		Update: "u", Revision: 1, Severity: "low", Classification: "other", Installer: "file", FileName: "u", Payload: content.Sum([]byte("p")),
		MapBytes: 1, PlainBytes: 1, StoredBytes: 1, SHA256: strings.Repeat("ab", 32), Origins: urls, OriginHosts: hosts,
	}
}

func TestDescriptorNamesWebHosts(t *testing.T) {
	good := originDescriptor([]string{"https://vendor.example/pool/x.deb?build=7", "http://10.0.0.1:8080/x%20y"}, []string{"cdn.example", "cdn.example:8443", "[2001:db8::1]:443"})
	b, err := good.Encode()
	if err != nil {
		t.Fatal(err)
	}
	d, err := DecodeDescriptor(b)
	if err != nil || len(d.Origins) != 2 || len(d.OriginHosts) != 3 {
		t.Fatalf("%+v, %v", d, err)
	}
	plain, err := originDescriptor(nil, nil).Encode()
	if err != nil || strings.Contains(string(plain), "origin") {
		t.Errorf("a descriptor without web hosts has changed: %s, %v", plain, err)
	}
	for _, u := range []string{
		"", "vendor.example/x", "ftp://h/x", "file:///etc/passwd", "https://", "https:///x", "https://user@h/x", "https://u:p@h/x", "https://h/x y", "https://h/x#y", "https://h\\@evil/x", "https://h?x/y",
		"https://h/\x01", "https://h/\u202e", "https://h/<x>", "//h/x", "HTTPS://h/x", "javascript:alert(1)", "https://h/" + strings.Repeat("x", 2048),
	} {
		if _, err := originDescriptor([]string{u}, nil).Encode(); !errors.Is(err, ErrFormat) {
			t.Errorf("URL %.60q: %v", u, err)
		}
	}
	for _, h := range []string{"", "*", "*.example", "a b", "a/b", "u@h", "h?", "h#", "h\\", "\u00e4.example", strings.Repeat("h", 254)} {
		if _, err := originDescriptor(nil, []string{h}).Encode(); !errors.Is(err, ErrFormat) {
			t.Errorf("host %.60q: %v", h, err)
		}
	}
	many := make([]string, MaxOrigins+1)
	for i := range many {
		many[i] = "https://h/x"
	}
	if _, err := originDescriptor(many, nil).Encode(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("%d URLs: %v", len(many), err)
	}
}
