package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Truth is the answer of a condition. What cannot be found out is neither yes nor no.
type Truth int8

// The answers. The zero value is Uncertain: an answer that nobody gave installs nothing.
const (
	Uncertain Truth = iota
	No
	Yes
)

// Answer is a truth with the finding that decided it.
type Answer struct {
	Truth  Truth
	Reason Reason // of No and Uncertain; may be empty
	Detail string // one line for people
}

// System is what a machine is.
type System struct {
	OS, Arch              string // as Go names them
	Distribution, Version string // of os-release; empty: unknown

	// What queries of groups ask besides; Known is false where that is not asked for.
	Known                  bool
	ID, Name, Site, Agent  string
	MemoryBytes, DiskBytes int64  // 0: unknown
	Vendor, Model          string // of the hardware; empty: unknown
}

// Facts are how a condition looks at a machine. An error is "cannot be found out"; one that is a
// *FactError keeps its reason.
type Facts interface {
	System() System
	// File looks at a regular file. With hash, SHA256 is wanted; with head, the beginning.
	File(path string, hash, head bool) (FileFact, error)
	// Registry reads a value below HKLM.
	Registry(key, name string) (value string, exists bool, err error)
	// Packages lists the installed versions of a package, one for each architecture.
	Packages(system, name string) ([]string, error)
	// Command runs a program and gives its exit code.
	Command(t CommandTest) (exitCode int, err error)
}

// FileFact is what was seen of a file.
type FileFact struct {
	Exists bool
	SHA256 string // hex
	Head   []byte // at most VersionTextBytes
}

// FactError is a fact that could not be found out, for a reason of the list.
type FactError struct {
	Reason Reason
	Err    error
}

func (e *FactError) Error() string { return e.Err.Error() }
func (e *FactError) Unwrap() error { return e.Err }

// Evaluate asks the facts. A No among all, or a Yes among any, decides whatever is unknown beside it.
func (c *Condition) Evaluate(f Facts) Answer {
	switch {
	case len(c.All) > 0:
		return combine(c.All, f, No, Yes)
	case len(c.Any) > 0:
		return combine(c.Any, f, Yes, No)
	case c.Not != nil:
		return c.Not.Evaluate(f).not()
	case c.OS != nil:
		return c.OS.ask(f.System())
	case len(c.Arch) > 0:
		a := f.System().Arch
		if a == "" {
			return Answer{Reason: ReasonUnknownFirstScan, Detail: "the machine's architecture is not known yet"}
		}
		return answer(slices.Contains(c.Arch, a), ReasonCompatArch, "this machine is %s, asked is %s", a, strings.Join(c.Arch, " or "))
	case c.File != nil:
		return c.File.ask(f)
	case c.Registry != nil:
		return c.Registry.ask(f)
	case c.Package != nil:
		return c.Package.ask(f)
	case c.Command != nil:
		return c.Command.ask(f)
	case c.Machine != nil:
		return c.Machine.ask(f.System())
	}
	return Answer{Reason: ReasonAgentOutdated, Detail: "a condition of an unknown kind"} // Check lets none through
}

// combine asks in order until one decides.
func combine(cs []Condition, f Facts, decides, otherwise Truth) Answer {
	var open *Answer
	var last Answer
	for i := range cs {
		last = cs[i].Evaluate(f)
		switch {
		case last.Truth == decides:
			return last
		case last.Truth == Uncertain && open == nil:
			kept := last
			open = &kept
		}
	}
	if open != nil {
		return *open
	}
	last.Truth = otherwise
	return last
}

func (a Answer) not() Answer {
	switch a.Truth {
	case Yes:
		a.Truth, a.Reason = No, ReasonCompatEdition
	case No:
		a.Truth, a.Reason = Yes, ""
	}
	return a
}

// answer is Yes or No with the finding; the reason belongs to No.
func answer(yes bool, r Reason, format string, args ...any) Answer {
	a := Answer{Truth: No, Reason: r, Detail: fmt.Sprintf(format, args...)}
	if yes {
		a.Truth, a.Reason = Yes, ""
	}
	return a
}

func unknownFact(err error, format string, args ...any) Answer {
	a := Answer{Reason: ReasonVerifyNotDetected, Detail: fmt.Sprintf(format, args...) + ": " + err.Error()}
	if e, ok := err.(*FactError); ok {
		a.Reason = e.Reason
	}
	return a
}

func (t *OSTest) ask(s System) Answer {
	if s.OS == "" {
		return Answer{Reason: ReasonUnknownFirstScan, Detail: "the machine's system is not known yet"}
	}
	if t.Name != "" && t.Name != s.OS {
		return answer(false, ReasonCompatOS, "this machine runs %s, asked is %s", s.OS, t.Name)
	}
	if t.Distribution != "" {
		if s.Distribution == "" && s.OS != "linux" {
			return answer(false, ReasonCompatOS, "this machine runs %s, asked is %s", s.OS, t.Distribution)
		}
		if s.Distribution == "" {
			return Answer{Reason: ReasonCompatOS, Detail: "the system does not say which distribution it is"}
		}
		if t.Distribution != s.Distribution {
			return answer(false, ReasonCompatOS, "this machine runs %s, asked is %s", s.Distribution, t.Distribution)
		}
	}
	if t.Version != nil {
		if !versionLike(s.Version) {
			return Answer{Reason: ReasonCompatOS, Detail: "the system does not say its version"}
		}
		return answer(t.Version.hold(SystemDeb, s.Version), ReasonCompatOS, "the system's version is %s, asked is %s", s.Version, t.Version)
	}
	return answer(true, "", "this machine runs %s %s", s.OS, s.Distribution)
}

// hold says whether a version lies in the range.
func (v *Versions) hold(system, version string) bool {
	fits := func(bound string, ok func(int) bool) bool {
		if bound == "" {
			return true
		}
		c, err := CompareVersions(system, version, bound)
		return err == nil && ok(c)
	}
	return fits(v.AtLeast, func(c int) bool { return c >= 0 }) && fits(v.Below, func(c int) bool { return c < 0 }) &&
		fits(v.Equal, func(c int) bool { return c == 0 })
}

// String is the range for people.
func (v *Versions) String() string {
	var parts []string
	for _, p := range []struct{ word, bound string }{{"at least", v.AtLeast}, {"below", v.Below}, {"exactly", v.Equal}} {
		if p.bound != "" {
			parts = append(parts, p.word+" "+p.bound)
		}
	}
	return strings.Join(parts, ", ")
}

func (t *FileTest) ask(f Facts) Answer {
	got, err := f.File(t.Path, t.SHA256 != "", t.Version != nil)
	switch {
	case err != nil:
		return unknownFact(err, "look at %s", t.Path)
	case !got.Exists:
		return answer(false, ReasonCompatEdition, "there is no file %s", t.Path)
	case t.SHA256 != "" && got.SHA256 != t.SHA256:
		return answer(false, ReasonCompatEdition, "%s has sha256 %s", t.Path, got.SHA256)
	case t.Version == nil:
		return answer(true, "", "%s is there", t.Path)
	}
	_, rest, found := strings.Cut(string(got.Head[:min(len(got.Head), VersionTextBytes)]), t.Version.After)
	version := rest[:len(rest)-len(strings.TrimLeftFunc(rest, versionRune))]
	if !found || version == "" {
		return answer(false, ReasonCompatEdition, "%s holds no version behind %q", t.Path, t.Version.After)
	}
	if !versionLike(version) {
		return Answer{Reason: ReasonVerifyNotDetected, Detail: fmt.Sprintf("the version in %s is too long", t.Path)}
	}
	return answer(t.Version.hold(SystemDeb, version), ReasonCompatEdition, "%s is of version %s, asked is %s", t.Path, version, &t.Version.Versions)
}

func (t *RegistryTest) ask(f Facts) Answer {
	value, exists, err := f.Registry(t.Key, t.Name)
	switch {
	case err != nil:
		return unknownFact(err, `read %s\%s`, t.Key, t.Name)
	case !exists:
		return answer(false, ReasonCompatEdition, `there is no %s\%s`, t.Key, t.Name)
	case t.Equal != "" && t.Equal != value:
		return answer(false, ReasonCompatEdition, `%s\%s is %.100q`, t.Key, t.Name, value)
	case t.Version != nil && !versionLike(value):
		return Answer{Reason: ReasonVerifyNotDetected, Detail: fmt.Sprintf(`%s\%s is no version`, t.Key, t.Name)}
	}
	return answer(t.Version == nil || t.Version.hold(SystemDeb, value), ReasonCompatEdition, `%s\%s is %.100q`, t.Key, t.Name, value)
}

func (t *PackageTest) ask(f Facts) Answer {
	versions, err := f.Packages(t.System, t.Name)
	switch {
	case err != nil:
		return unknownFact(err, "look for package %s", t.Name)
	case len(versions) == 0:
		return answer(false, ReasonCompatEdition, "package %s is not installed", t.Name)
	case t.Version == nil:
		return answer(true, "", "package %s is installed", t.Name)
	}
	for _, v := range versions {
		if t.Version.hold(t.System, v) {
			return answer(true, "", "package %s is %s", t.Name, v)
		}
	}
	return answer(false, ReasonCompatEdition, "package %s is %s, asked is %s", t.Name, strings.Join(versions, " and "), t.Version)
}

func (t *CommandTest) ask(f Facts) Answer {
	code, err := f.Command(*t)
	if err != nil {
		return unknownFact(err, "run %s", t.Args[0])
	}
	return answer(slices.Contains(t.Exit, code), ReasonCompatEdition, "%s ended with exit code %d", t.Args[0], code)
}
