package policy

import (
	"fmt"
	"strings"
)

// Limits of the web hosts that a descriptor names.
const (
	MaxOrigins     = 8
	MaxOriginHosts = 8
	maxURLBytes    = 2048
	maxHostBytes   = 253
)

// checkOrigins accepts URLs of http and https and names of hosts. That a URL makes sense is judged once more
// by whoever fetches it; here it matters that it holds no secret, which every machine would come to know,
// and nothing that is read differently by others.
func (d *Descriptor) checkOrigins() error {
	if len(d.Origins) > MaxOrigins || len(d.OriginHosts) > MaxOriginHosts {
		return fmt.Errorf("descriptor of %s: %d web hosts: %w", d.Update, len(d.Origins)+len(d.OriginHosts), ErrTooLarge)
	}
	for _, u := range d.Origins {
		rest, ok := strings.CutPrefix(u, "https://")
		if !ok {
			rest, ok = strings.CutPrefix(u, "http://")
		}
		host, _, _ := strings.Cut(rest, "/")
		if !ok || host == "" || len(u) > maxURLBytes || strings.ContainsAny(host, "@?#\\") || !plainURL(u) {
			return fmt.Errorf("descriptor of %s: %.80q is no URL to fetch from: %w", d.Update, u, ErrFormat)
		}
	}
	for _, h := range d.OriginHosts {
		if h == "" || len(h) > maxHostBytes || strings.ContainsAny(h, "/@?#\\*") || !plainURL(h) {
			return fmt.Errorf("descriptor of %s: %.80q is no host: %w", d.Update, h, ErrFormat)
		}
	}
	return nil
}

// plainURL: printable ASCII without spaces, quotes and fragments.
func plainURL(s string) bool {
	for _, r := range []byte(s) {
		if r <= ' ' || r >= 0x7f || strings.IndexByte("\"'<>`{}|^#\\", r) >= 0 {
			return false
		}
	}
	return true
}
