package install

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"patchmesh/content"
)

// A set is one update of several packages: its payload is a .tar of .deb files, and all of them go in with one run of
// dpkg, or come off with one. Packages of one source often need each other in the same version, both ways: one after the
// other, the first would break the second, and neither could begin.
//
// The argument "packages" names them, NAME:ARCH=VERSION with spaces between. It is signed with the descriptor; a package
// file that says anything else of itself is refused before dpkg sees it.

const (
	setArg = "packages"
	maxSet = 64
)

func isSet(s Spec) bool {
	_, named := s.Args[setArg]
	return named || strings.EqualFold(filepath.Ext(s.FileName), ".tar")
}

// parts are the packages of a deb update: the spec itself, or one for each package of a set.
func parts(s Spec) ([]Spec, error) {
	if !isSet(s) {
		return []Spec{s}, checkDebSpec(s)
	}
	refuse := func(err error) ([]Spec, error) {
		return nil, failed(ReasonDenied, err, "read descriptor of %s", s.Update)
	}
	words := strings.Fields(s.Args[setArg])
	if len(words) < 1 || len(words) > maxSet {
		return refuse(fmt.Errorf("a set of %d packages, it must be 1 to %d", len(words), maxSet))
	}
	var out []Spec
	for _, w := range words {
		left, version, _ := strings.Cut(w, "=")
		name, arch, ok := strings.Cut(left, ":")
		x := s
		x.Args = maps.Clone(s.Args)
		delete(x.Args, setArg)
		x.FileName, x.Package, x.Arch, x.Version, x.SHA256, x.PlainBytes = "", name, arch, version, [32]byte{}, 0
		if err := checkDebSpec(x); err != nil {
			return nil, err
		}
		if !ok || arch == "" || slices.ContainsFunc(out, func(o Spec) bool { return o.Package == name && o.Arch == arch }) {
			return refuse(fmt.Errorf("package %q of the set", w))
		}
		out = append(out, x)
	}
	return out, nil
}

// check judges a descriptor on the seed.
func (*debInstaller) check(s Spec) error {
	_, err := parts(s)
	return err
}

// versionsText is what is there of a set, NAME:ARCH=VERSION with spaces between; of a single package its version.
func versionsText(s Spec, there []Spec) string {
	if !isSet(s) {
		if len(there) == 0 {
			return ""
		}
		return there[0].Version
	}
	var words []string
	for _, x := range there {
		words = append(words, x.Package+":"+x.Arch+"="+x.Version)
	}
	return strings.Join(words, " ")
}

// partsBefore reads such a text again: the parts of an update as they were.
func partsBefore(s Spec, all []Spec, before string) ([]Spec, error) {
	if !isSet(s) {
		old := all[0]
		old.Version = before
		if before == "" {
			return nil, nil
		}
		return []Spec{old}, checkDebSpec(old)
	}
	if before == "" {
		return nil, nil
	}
	then := s
	then.Args = maps.Clone(s.Args)
	then.Args[setArg] = before
	return parts(then)
}

// staged is a package file in the work folder, and which part of the update it is.
type staged struct {
	path string
	part Spec
}

// stageParts copies the verified payload to the work folder, and unpacks it if it is a set. What it gives is what the
// descriptor names, in its order.
func (p *dpkg) stageParts(ctx context.Context, j Job, all []Spec) (debs []staged, drop func(), err error) {
	suffix := ".deb"
	if isSet(j.Spec) {
		suffix = ".tar"
	}
	payload, drop, err := stage(ctx, j, suffix)
	if err != nil || !isSet(j.Spec) {
		return []staged{{payload, j.Spec}}, drop, err
	}
	defer drop()
	if err := j.checkSpace(j.Work, j.Spec.PlainBytes); err != nil {
		return nil, nil, err
	}
	dir, err := os.MkdirTemp(j.Work, "set-*")
	if err != nil {
		return nil, nil, writeError(err, j, "unpack the set %s", j.Spec.Update)
	}
	dropAll := func() { os.RemoveAll(dir) }
	files, err := unpackSet(payload, dir)
	if err != nil {
		err = writeError(err, j, "unpack the set %s", j.Spec.Update)
	} else {
		debs, err = p.matchParts(ctx, j, all, files)
	}
	if err != nil {
		dropAll()
		return nil, nil, err
	}
	return debs, dropAll, nil
}

// unpackSet writes the files of a set, under names of our own: no name inside it becomes a path. The archive was
// verified, so that whatever is not a plain package file in it was signed by mistake.
func unpackSet(payload, dir string) (files []staged, err error) {
	r, err := os.Open(payload)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	bad := func(format string, args ...any) error {
		return &Error{Reason: ReasonDenied, What: "read the set", Err: fmt.Errorf(format, args...)}
	}
	fi, err := r.Stat()
	if err != nil {
		return nil, err
	}
	left := fi.Size() // nothing is packed: a file that would be longer has holes, of any length
	tr := tar.NewReader(r)
	for {
		h, err := tr.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, bad("the payload is no .tar: %v", err)
		}
		if h.Typeflag == tar.TypeDir {
			continue
		}
		if h.Typeflag != tar.TypeReg || !strings.EqualFold(filepath.Ext(h.Name), ".deb") || len(files) == maxSet {
			return nil, bad("%.60q is no package, or there are more than %d", h.Name, maxSet)
		}
		if left -= h.Size; left < 0 {
			return nil, bad("%.60q would have more than the set itself", h.Name)
		}
		path := filepath.Join(dir, fmt.Sprintf("%03d.deb", len(files)))
		sum, n, err := writeHashed(path, tr)
		if err != nil {
			return nil, err
		}
		files = append(files, staged{path, Spec{SHA256: sum, PlainBytes: n}})
	}
}

// matchParts finds the file of every part of a set, each by what the package says of itself.
func (p *dpkg) matchParts(ctx context.Context, j Job, all []Spec, files []staged) ([]staged, error) {
	out := make([]staged, len(all))
	refuse := func(format string, args ...any) error {
		return failed(ReasonDenied, fmt.Errorf(format, args...), "read the set %s", j.Spec.Update)
	}
	for _, f := range files {
		var said [3]string
		for i, field := range []string{"Package", "Version", "Architecture"} {
			b, code, err := p.query(ctx, "dpkg-deb", "--field", f.path, field)
			if err != nil {
				return nil, err
			}
			if said[i] = strings.TrimSpace(string(b)); code != 0 || len(said[i]) > 200 {
				return nil, refuse("a file of it is no Debian package")
			}
		}
		at := slices.IndexFunc(all, func(x Spec) bool {
			return x.Package == said[0] && x.Version == said[1] && (x.Arch == said[2] || x.Arch != "all" && said[2] != "all" && sameArch(x.Arch, said[2]))
		})
		if at < 0 || out[at].path != "" {
			return nil, refuse("%s:%s %s is in it, and its descriptor does not name that, or it is there twice", said[0], said[2], said[1])
		}
		x := all[at]
		x.SHA256, x.PlainBytes = f.part.SHA256, f.part.PlainBytes
		out[at] = staged{f.path, x}
	}
	if at := slices.IndexFunc(out, func(s staged) bool { return s.path == "" }); at >= 0 {
		return nil, refuse("%s:%s %s is not in it", all[at].Package, all[at].Arch, all[at].Version)
	}
	return out, nil
}

// paths are the arguments of dpkg.
func paths(debs []staged) (out []string) {
	for _, d := range debs {
		out = append(out, d.path)
	}
	return out
}

// rollBackParts takes away the packages that were not there before, and brings back those that were, in one run each. All
// that is to come back is looked for before anything is touched.
func (d *debInstaller) rollBackParts(ctx context.Context, p *dpkg, j Job, before string) (Result, error) {
	all, err := parts(j.Spec)
	if err != nil {
		return Result{}, err
	}
	then, err := partsBefore(j.Spec, all, before)
	if err != nil {
		return Result{}, err
	}
	goal := exactly(j)
	var back []staged
	defer func() {
		for _, s := range back {
			os.Remove(s.path)
		}
	}()
	for _, old := range then {
		one := j
		one.Spec = old
		one.Spec.Args = maps.Clone(goal.Spec.Args)
		if is, err := p.detectPart(ctx, one.Spec); err != nil {
			return Result{}, err
		} else if is.Present {
			continue
		}
		sum, err := readNote(filepath.Join(j.Keep, debNote(old, old.Version)))
		if err != nil || j.Keep == "" {
			return Result{}, failed(ReasonMissing, fmt.Errorf("version %s is not kept on this machine", old.Version), "roll back %s", old.Package)
		}
		one.Spec.SHA256 = sum
		path, _, err := one.keptPayload(".deb")
		if err != nil {
			return Result{}, err
		}
		back = append(back, staged{path, one.Spec})
	}
	// What came anew goes first: it may break what comes back, and what it took over from there comes with that again. The
	// newer versions still need it, so that only their going back right after makes this whole.
	isNew := func(x Spec) bool {
		return !slices.ContainsFunc(then, func(o Spec) bool { return o.Package == x.Package && o.Arch == x.Arch })
	}
	added := slices.DeleteFunc(slices.Clone(all), func(x Spec) bool { return !isNew(x) })
	force := []string{"--force-remove-reinstreq"}
	if len(then) > 0 {
		force = append(force, "--force-depends")
	}
	res, err := d.removeParts(ctx, p, j, added, force...)
	if len(back) > 0 && mayGoOn(err) {
		var e error
		if res, e = d.outcomeOf(ctx, p, goal, p.installDebs(ctx, goal, back), partsOf(back), true); e != nil {
			err = errors.Join(err, e)
		} else { // what dpkg took out of service for the newer versions, as their twins of other architectures, works again
			_ = p.repair(ctx, goal)
		}
	}
	res.Version = before
	return res, firstError(err)
}

// exactly is a job whose versions are meant as they are: dpkg may go back to them, and a newer one is not enough.
func exactly(j Job) Job {
	j.Spec.Args = maps.Clone(j.Spec.Args)
	if j.Spec.Args == nil {
		j.Spec.Args = map[string]string{}
	}
	j.Spec.Args["allow-downgrade"] = "true"
	return j
}

// mayGoOn: after a removal that its own script has stopped, what was there before comes back all the same.
func mayGoOn(err error) bool {
	var e *Error
	return err == nil || errors.As(err, &e) && !e.Killed && e.Reason != ReasonLocked && e.Reason != ReasonTimeout
}

func partsOf(debs []staged) (out []Spec) {
	for _, d := range debs {
		out = append(out, d.part)
	}
	return out
}

// removeParts takes packages away with one run; those that are not there are left out.
func (d *debInstaller) removeParts(ctx context.Context, p *dpkg, j Job, all []Spec, force ...string) (Result, error) {
	args := append(slices.Clone(force), "--remove", "--")
	for _, x := range all {
		is, err := p.detectPart(ctx, x)
		if err != nil {
			return Result{}, err
		}
		if is.Version == "" {
			continue
		}
		name, err := p.qualified(ctx, x)
		if err != nil {
			return Result{}, err
		}
		args = append(args, name)
	}
	if len(args) == len(force)+2 {
		return Result{}, nil
	}
	// A removal that dpkg refuses, since others need the package, would still be noted in its database as wanted: some
	// later run of another tool carries it out. So it is asked first.
	if run := p.change(ctx, j, append([]string{"--no-act"}, args...)...); run.notBegun != nil || run.exitCode != 0 {
		return d.outcomeOf(ctx, p, j, run, all, false)
	}
	return d.outcomeOf(ctx, p, j, p.change(ctx, j, args...), all, false)
}

// detectParts asks the database about all packages of an update: it is there when every one is.
func (p *dpkg) detectParts(ctx context.Context, s Spec, all []Spec) (Detection, error) {
	d := Detection{Present: true}
	var there []Spec
	for _, x := range all {
		one, err := p.detectPart(ctx, x)
		if err != nil {
			return Detection{}, err
		}
		d.Present, d.Interrupted = d.Present && one.Present, d.Interrupted || one.Interrupted
		if one.Version != "" {
			x.Version = one.Version
			there = append(there, x)
		}
	}
	d.Version = versionsText(s, there)
	return d, nil
}

// named is what a deb update is called to people: its package, or the set.
func (s Spec) named() string {
	if s.Package == "" {
		return s.Update
	}
	return s.Package
}

// writeHashed writes a file of our own and hashes it on the way.
func writeHashed(path string, r io.Reader) (sum [32]byte, n int64, err error) {
	w, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return sum, 0, err
	}
	h := content.NewHash()
	n, err = io.Copy(io.MultiWriter(w, h), r)
	return [32]byte(h.Sum(nil)), n, errors.Join(err, w.Close())
}
