package install

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
)

// maxDependsBytes bounds a dependency field; the longest in Debian have about 20 KiB.
const maxDependsBytes = 256 << 10

// checkDepends reads what the staged package needs and says what is missing, before anything is
// changed. What it cannot read it leaves to dpkg.
func (p *dpkg) checkDepends(ctx context.Context, j Job, deb string) error {
	var needs []string
	for _, field := range []string{"Pre-Depends", "Depends"} {
		out, code, err := p.query(ctx, "dpkg-deb", "--field", deb, field)
		if err != nil {
			return err
		}
		if code != 0 {
			e := failed(ReasonExit, errors.New("the payload is no Debian package"), "read %s", j.Spec.Update)
			e.ExitCode = code
			return e
		}
		if len(out) > maxDependsBytes {
			return failed(ReasonDenied, fmt.Errorf("%s of %d bytes", field, len(out)), "read %s", j.Spec.Update)
		}
		needs = append(needs, string(out))
	}
	rows, err := p.packages(ctx, "")
	if err != nil {
		return err
	}
	if missing := newInstalled(rows, j.Spec).missing(strings.Join(needs, ",")); len(missing) > 0 {
		e := failed(ReasonDependency, nil, "install %s: needs %s", j.Spec.Package, strings.Join(missing, ", "))
		e.Log = tail([]byte("missing: " + strings.Join(missing, ", ")))
		return e
	}
	return nil
}

// installed is what is there for others to depend on: by name, the versions; "" is a provided name
// without a version.
type installed map[string][]string

func newInstalled(rows []packageRow, self Spec) installed {
	in := installed{self.Package: {self.Version}} // a package may satisfy itself
	for _, r := range rows {
		// Packages whose triggers wait are configured as far as others are concerned.
		if r.status != 'i' && r.status != 't' && r.status != 'W' || r.name == self.Package {
			continue
		}
		in[r.name] = append(in[r.name], r.version)
		for _, item := range strings.Split(r.provides, ",") {
			if name, op, version, ok := parseRelation(item); ok && (op == "" || op == "=") {
				in[name] = append(in[name], version)
			}
		}
	}
	return in
}

// missing lists the groups of alternatives of a dependency field of which none is there.
func (in installed) missing(field string) []string {
	var out []string
	for _, group := range strings.Split(field, ",") {
		if group = strings.TrimSpace(group); group != "" && !in.satisfies(group) {
			out = append(out, group)
		}
	}
	return out
}

func (in installed) satisfies(group string) bool {
	for _, alternative := range strings.Split(group, "|") {
		name, op, version, ok := parseRelation(alternative)
		if !ok {
			return true // not understood: dpkg decides
		}
		for _, have := range in[name] {
			if relationHolds(have, op, version) {
				return true
			}
		}
	}
	return false
}

func relationHolds(have, op, want string) bool {
	if op == "" {
		return true
	}
	if have == "" {
		return false // a name provided without a version satisfies no versioned need
	}
	c, err := compareVersions(have, want)
	if err != nil {
		return true // not understood: dpkg decides
	}
	switch op {
	case "<<":
		return c < 0
	case "<=", "<":
		return c <= 0
	case "=":
		return c == 0
	case ">=", ">":
		return c >= 0
	}
	return c > 0 // ">>"
}

// relation: name, optional ":arch", optional "(op version)". In dpkg's reading the old forms "<" and
// ">" include equality.
var relation = regexp.MustCompile(`^\s*([a-z0-9][a-z0-9+.-]*)(?::[a-z0-9-]+)?\s*(?:\(\s*(<<|<=|<|=|>=|>>|>)\s*([^\s()]+)\s*\))?\s*$`)

func parseRelation(s string) (name, op, version string, ok bool) {
	m := relation.FindStringSubmatch(s)
	if m == nil {
		return "", "", "", false
	}
	return m[1], m[2], m[3], true
}
