package install

import (
	"context"
	"fmt"
	"strings"
)

// installDebs has dpkg install package files in one run. Two things that package tools do for packages which come together
// are asked for here: a member that breaks the older version of another, as it does when a file moves between them, has
// that one taken out of service until its new version is there; and one that pre-depends on another goes in with a next
// run, as that other must work before it may even be unpacked.
func (p *dpkg) installDebs(ctx context.Context, j Job, debs []staged) toolRun {
	args := []string{"--install"}
	if len(debs) > 1 {
		alone, err := p.breakOnlyEachOther(ctx, j, debs)
		if err != nil {
			return toolRun{notBegun: err}
		}
		if alone {
			args = []string{"--auto-deconfigure", "--install"}
		}
	}
	for {
		run := p.change(ctx, j, append(append(args[:len(args):len(args)], "--"), paths(debs)...)...)
		if run.notBegun != nil || run.killed || !run.preDepends {
			return run
		}
		var left []staged
		for _, d := range debs {
			is, err := p.detectPart(context.WithoutCancel(ctx), d.part)
			if err != nil {
				return run
			}
			if !is.Present {
				left = append(left, d)
			}
		}
		if len(left) == 0 || len(left) == len(debs) { // each run brings one in, or it is the last
			return run
		}
		debs = left
	}
}

// breakOnlyEachOther: no member breaks a package, or is in conflict with one, that is here and not of the set. dpkg
// would take that one out of service too, and nobody would bring it back. What is not understood is left to dpkg, which
// then refuses the member.
func (p *dpkg) breakOnlyEachOther(ctx context.Context, j Job, debs []staged) (bool, error) {
	rows, err := p.packages(ctx, "")
	if err != nil {
		return false, err
	}
	others := installed{}
	for _, r := range rows {
		if !r.gone() && !isMember(debs, r) {
			others[r.name] = append(others[r.name], r.version)
			others.provides(r.provides)
		}
	}
	for _, d := range debs {
		for _, name := range []string{"Breaks", "Conflicts"} {
			text, err := p.field(ctx, j, d, name)
			if err != nil {
				return false, err
			}
			for _, item := range strings.Split(text, ",") {
				if item = strings.TrimSpace(item); item != "" && others.satisfies(item) {
					return false, nil
				}
			}
		}
	}
	return true, nil
}

// isMember: a package of the set takes the place of this one. One of the same name and another architecture stays.
func isMember(debs []staged, r packageRow) bool {
	for _, d := range debs {
		if d.part.Package == r.name && sameArch(d.part.Arch, r.arch) {
			return true
		}
	}
	return false
}

// field reads a field of a package file; empty if it has none of that name.
func (p *dpkg) field(ctx context.Context, j Job, d staged, name string) (string, error) {
	out, code, err := p.query(ctx, "dpkg-deb", "--field", d.path, name)
	switch {
	case err != nil:
		return "", err
	case code != 0:
		e := failed(ReasonExit, errNoPackage, "read %s", j.Spec.Update)
		e.ExitCode = code
		return "", e
	case len(out) > maxDependsBytes:
		return "", failed(ReasonDenied, fmt.Errorf("%s of %d bytes", name, len(out)), "read %s", j.Spec.Update)
	}
	return string(out), nil
}
