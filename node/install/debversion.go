package install

import (
	"cmp"
	"fmt"
	"regexp"

	debversion "github.com/knqyf263/go-deb-version"
)

// maxVersionBytes bounds what the version parser sees.
const maxVersionBytes = 256

// hugeNumber finds digit runs that the parser could not hold: it would take them all for equal.
var hugeNumber = regexp.MustCompile(`[0-9]{19}`)

func parseVersion(s string) (debversion.Version, error) {
	if len(s) > maxVersionBytes {
		return debversion.Version{}, fmt.Errorf("version of %d characters", len(s))
	}
	if hugeNumber.MatchString(s) {
		return debversion.Version{}, fmt.Errorf("version %q holds too large a number", s)
	}
	v, err := debversion.NewVersion(s)
	if err != nil {
		return v, fmt.Errorf("version %q: %w", s, err)
	}
	return v, nil
}

// compareVersions orders two Debian versions: -1, 0 or 1.
func compareVersions(a, b string) (int, error) {
	va, err := parseVersion(a)
	if err != nil {
		return 0, err
	}
	vb, err := parseVersion(b)
	if err != nil {
		return 0, err
	}
	return cmp.Compare(va.Compare(vb), 0), nil
}
