package policy

import (
	"cmp"
	"fmt"
	"strings"
)

// Orders of versions. They are pure and total: every two texts have an order, and none panics. Epochs
// are compared as numbers of any length.

// MaxVersionBytes bounds a version that is compared.
const MaxVersionBytes = 256

// The package systems whose orders are known.
const (
	SystemDeb = "deb"
	SystemRPM = "rpm"
)

// CompareVersions orders two versions of a package system: -1, 0 or 1. ErrFormat for an unknown
// system or a version that is empty or too long.
func CompareVersions(system, a, b string) (int, error) {
	for _, v := range []string{a, b} {
		if v == "" || len(v) > MaxVersionBytes {
			return 0, fmt.Errorf("version of %d characters: %w", len(v), ErrFormat)
		}
	}
	switch system {
	case SystemDeb:
		return compareDeb(a, b), nil
	case SystemRPM:
		return compareRPM(a, b), nil
	}
	return 0, fmt.Errorf("package system %.20q: %w", system, ErrFormat)
}

// compareDeb is the order of Debian policy 5.6.12: epoch, upstream version, revision. A missing
// revision counts as "0", which the comparison of parts gives by itself.
func compareDeb(a, b string) int {
	ea, a := cutEpoch(a)
	eb, b := cutEpoch(b)
	if c := compareDigits(ea, eb); c != 0 {
		return c
	}
	ua, ra := cutLast(a, "-")
	ub, rb := cutLast(b, "-")
	if c := debPart(ua, ub); c != 0 {
		return c
	}
	return debPart(ra, rb)
}

// cutEpoch takes digits before a first colon; "" if there are none.
func cutEpoch(v string) (epoch, rest string) {
	e, rest, ok := strings.Cut(v, ":")
	if !ok || e == "" || strings.TrimLeft(e, digits) != "" {
		return "", v
	}
	return e, rest
}

func cutLast(v, sep string) (before, after string) {
	if i := strings.LastIndex(v, sep); i >= 0 {
		return v[:i], v[i+1:]
	}
	return v, ""
}

const digits = "0123456789"

// debPart compares turn by turn a run of other characters and a run of digits.
func debPart(a, b string) int {
	for a != "" || b != "" {
		na, nb := untilDigit(a), untilDigit(b)
		if c := debText(a[:na], b[:nb]); c != 0 {
			return c
		}
		a, b = a[na:], b[nb:]
		na, nb = digitsLen(a), digitsLen(b)
		if c := compareDigits(a[:na], b[:nb]); c != 0 {
			return c
		}
		a, b = a[na:], b[nb:]
	}
	return 0
}

func untilDigit(s string) int {
	if i := strings.IndexAny(s, digits); i >= 0 {
		return i
	}
	return len(s)
}

func digitsLen(s string) int { return len(s) - len(strings.TrimLeft(s, digits)) }

// debText orders runs without digits: "~" before the end, the end before letters, letters before the rest.
func debText(a, b string) int {
	for i := 0; i < len(a) || i < len(b); i++ {
		if c := cmp.Compare(debWeight(a, i), debWeight(b, i)); c != 0 {
			return c
		}
	}
	return 0
}

func debWeight(s string, i int) int {
	switch {
	case i >= len(s):
		return 0
	case s[i] == '~':
		return -1
	case isLetter(s[i]):
		return int(s[i])
	}
	return int(s[i]) + 256
}

func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' }
func isDigit(c byte) bool  { return c >= '0' && c <= '9' }

// compareDigits compares numbers of any length; none is zero.
func compareDigits(a, b string) int {
	a, b = strings.TrimLeft(a, "0"), strings.TrimLeft(b, "0")
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	return strings.Compare(a, b)
}

// compareRPM is RPM's order: epoch, version, release. A release that one side leaves out is not compared.
func compareRPM(a, b string) int {
	ea, a := cutEpoch(a)
	eb, b := cutEpoch(b)
	if c := compareDigits(ea, eb); c != 0 {
		return c
	}
	va, ra := cutLast(a, "-")
	vb, rb := cutLast(b, "-")
	if c := rpmPart(va, vb); c != 0 || ra == "" || rb == "" {
		return c
	}
	return rpmPart(ra, rb)
}

// rpmPart is rpmvercmp: segments of digits or letters; separators only separate; "~" is before the end
// and "^" after the end but before anything longer; digits are newer than letters.
func rpmPart(a, b string) int {
	for a != "" || b != "" {
		a, b = strings.TrimLeftFunc(a, rpmSeparator), strings.TrimLeftFunc(b, rpmSeparator)
		if c, decided := rpmMark(&a, &b); decided {
			return c
		}
		if a == "" || b == "" {
			break
		}
		if isDigit(a[0]) != isDigit(b[0]) {
			if isDigit(a[0]) {
				return 1
			}
			return -1
		}
		na, nb, c := digitsLen(a), digitsLen(b), 0
		if isDigit(a[0]) {
			c = compareDigits(a[:na], b[:nb])
		} else {
			na, nb = lettersLen(a), lettersLen(b)
			c = strings.Compare(a[:na], b[:nb])
		}
		if c != 0 {
			return c
		}
		a, b = a[na:], b[nb:]
	}
	return cmp.Compare(min(len(a), 1), min(len(b), 1))
}

// rpmMark compares "~" and "^" at the beginning. Where both sides have the same mark it is taken off.
func rpmMark(a, b *string) (c int, decided bool) {
	for {
		x, y := firstByte(*a), firstByte(*b)
		switch {
		case x == '~' && y == '~', x == '^' && y == '^':
			*a, *b = (*a)[1:], (*b)[1:]
			*a, *b = strings.TrimLeftFunc(*a, rpmSeparator), strings.TrimLeftFunc(*b, rpmSeparator)
			continue
		case x == '~':
			return -1, true
		case y == '~':
			return 1, true
		case x == '^' && y == 0:
			return 1, true
		case x == '^':
			return -1, true
		case y == '^' && x == 0:
			return -1, true
		case y == '^':
			return 1, true
		}
		return 0, false
	}
}

func firstByte(s string) byte {
	if s == "" {
		return 0
	}
	return s[0]
}

func lettersLen(s string) int {
	n := 0
	for n < len(s) && isLetter(s[n]) {
		n++
	}
	return n
}

func rpmSeparator(r rune) bool {
	return r > 0x7f || !isDigit(byte(r)) && !isLetter(byte(r)) && r != '~' && r != '^'
}
