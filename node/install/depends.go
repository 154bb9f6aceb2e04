package install

import (
	"context"
	"errors"
	"regexp"
	"slices"
	"strings"
)

// maxDependsBytes bounds a dependency field; the longest in Debian have about 20 KiB.
const maxDependsBytes = 256 << 10

var errNoPackage = errors.New("the payload is no Debian package")

// checkDepends reads what the staged packages need and says what is missing, before anything is
// changed; those of a set have each other. What it cannot read it leaves to dpkg.
func (p *dpkg) checkDepends(ctx context.Context, j Job, debs []staged) error {
	rows, err := p.packages(ctx, "")
	if err != nil {
		return err
	}
	in, needs := newInstalled(rows, partsOf(debs)), []string{}
	for _, d := range debs {
		for _, name := range []string{"Pre-Depends", "Depends"} {
			text, err := p.field(ctx, j, d, name)
			if err != nil {
				return err
			}
			needs = append(needs, text)
		}
		if len(debs) > 1 {
			text, err := p.field(ctx, j, d, "Provides")
			if err != nil {
				return err
			}
			in.provides(text)
		}
	}
	if missing := in.missing(strings.Join(needs, ",")); len(missing) > 0 {
		e := failed(ReasonDependency, nil, "install %s: needs %s", j.Spec.named(), strings.Join(missing, ", "))
		e.Log = tail([]byte("missing: " + strings.Join(missing, ", ")))
		return e
	}
	return nil
}

// installed is what is there for others to depend on: by name, the versions; "" is a provided name
// without a version.
type installed map[string][]string

func newInstalled(rows []packageRow, selves []Spec) installed {
	in := installed{}
	for _, x := range selves { // a package may satisfy itself, and those of a set each other
		in[x.Package] = append(in[x.Package], x.Version)
	}
	for _, r := range rows {
		// Packages whose triggers wait are configured as far as others are concerned.
		if r.status != 'i' && r.status != 't' && r.status != 'W' || slices.ContainsFunc(selves, func(x Spec) bool { return x.Package == r.name }) {
			continue
		}
		in[r.name] = append(in[r.name], r.version)
		in.provides(r.provides)
	}
	return in
}

// provides adds what a field of that name lists.
func (in installed) provides(field string) {
	for _, item := range strings.Split(field, ",") {
		if name, op, version, ok := parseRelation(item); ok && (op == "" || op == "=") {
			in[name] = append(in[name], version)
		}
	}
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
