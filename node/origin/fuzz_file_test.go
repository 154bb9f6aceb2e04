package origin

import (
	"errors"
	"net/url"
	"strings"
	"testing"
)

// The address of a vendor's file is signed, and typed by somebody before. What passes is an http or https URL that
// holds no secret, and says the same when it is read again.
func FuzzParseFile(f *testing.F) {
	for _, text := range []string{"https://vendor.example/a.msi", "http://u:p@h/x", "ftp://h/x", "https:///x", "http://h/x#f", "http://[::1]:80/x", "http:h", "//h/x", "http://h/%zz", ""} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		u, err := ParseFile(text)
		if err != nil {
			if !errors.Is(err, ErrURL) {
				t.Fatalf("%q: %v", text, err)
			}
			return
		}
		again, err := url.Parse(u.String())
		if err != nil || again.Host != u.Host || u.User != nil || u.Scheme != "http" && u.Scheme != "https" || strings.Contains(u.String(), "#") {
			t.Fatalf("%q is %q, %v", text, u, err)
		}
	})
}
