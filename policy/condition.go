package policy

import (
	"encoding/hex"
	"fmt"
	"path"
	"slices"
	"strings"
)

// Condition is one node of a rule that the approvers sign within a descriptor: is the update for this
// machine, is it there, is the machine healthy. Exactly one field is set. It is data, never a program:
// nothing in it reaches a shell.
type Condition struct {
	All []Condition `json:"all,omitempty"`
	Any []Condition `json:"any,omitempty"`
	Not *Condition  `json:"not,omitempty"`

	OS       *OSTest       `json:"os,omitempty"`
	Arch     []string      `json:"arch,omitempty"` // one of these, as Go names them
	File     *FileTest     `json:"file,omitempty"`
	Registry *RegistryTest `json:"registry,omitempty"`
	Package  *PackageTest  `json:"package,omitempty"`
	Command  *CommandTest  `json:"command,omitempty"`
	Machine  *MachineTest  `json:"machine,omitempty"` // in queries of groups alone
}

// Versions is a range in the order of a package system; an empty bound is none.
type Versions struct {
	AtLeast string `json:"at_least,omitempty"`
	Below   string `json:"below,omitempty"`
	Equal   string `json:"equal,omitempty"`
}

// OSTest asks for the system. Every field that is set must fit.
type OSTest struct {
	Name         string    `json:"name,omitempty"`         // as Go names it: linux, windows, darwin
	Distribution string    `json:"distribution,omitempty"` // ID of os-release, such as debian
	Version      *Versions `json:"version,omitempty"`      // VERSION_ID of os-release, in Debian's order
}

// FileTest asks for a regular file. Without SHA256 and Version it must only exist.
type FileTest struct {
	Path    string       `json:"path"`
	SHA256  string       `json:"sha256,omitempty"` // hex
	Version *VersionText `json:"version,omitempty"`
}

// VersionText finds a version in the first 64 KiB of a file: the run of version characters behind
// the first occurrence of After.
type VersionText struct {
	After string `json:"after"`
	Versions
}

// RegistryTest asks for a value of the Windows registry; on other systems the answer is unknown.
// Without Equal and Version it must only exist.
type RegistryTest struct {
	Key     string    `json:"key"` // HKLM\...; no other hive is the machine's
	Name    string    `json:"name"`
	Equal   string    `json:"equal,omitempty"`
	Version *Versions `json:"version,omitempty"` // in Debian's order, which fits dotted numbers
}

// PackageTest asks for an installed package.
type PackageTest struct {
	System  string    `json:"system"` // deb or rpm; in queries of groups windows too
	Name    string    `json:"name"`
	Version *Versions `json:"version,omitempty"`
}

// CommandTest runs a program with exactly these arguments and asks for its exit code. A program that
// cannot be started, is ended by a signal or takes too long gives no answer.
type CommandTest struct {
	Args           []string `json:"args"` // Args[0] is an absolute path
	TimeoutSeconds int      `json:"timeout_seconds"`
	Exit           []int    `json:"exit"` // these say yes, others no
}

// Limits of a condition.
const (
	MaxConditionDepth  = 8
	MaxConditionNodes  = 128
	MaxCommandSeconds  = 300
	VersionTextBytes   = 64 << 10
	maxConditionText   = 1024
	maxCommandArgs     = 32
	maxCommandExits    = 32
	registryMachineKey = `HKLM\`
)

// ParseCondition reads a condition as people write it. ErrFormat, ErrTooLarge.
func ParseCondition(b []byte) (*Condition, error) {
	var c Condition
	if err := decodeStrict(b, MaxDescriptorBytes, &c); err != nil {
		return nil, err
	}
	return &c, c.Check()
}

// Check refuses what no machine could evaluate within bounds. ErrFormat, ErrTooLarge.
func (c *Condition) Check() error {
	nodes := 0
	return c.check(1, &nodes)
}

func (c *Condition) check(depth int, nodes *int) error {
	if *nodes++; depth > MaxConditionDepth || *nodes > MaxConditionNodes {
		return fmt.Errorf("condition deeper than %d or of more than %d nodes: %w", MaxConditionDepth, MaxConditionNodes, ErrTooLarge)
	}
	if n := c.set(); n != 1 {
		return fmt.Errorf("condition with %d kinds in one node, want one: %w", n, ErrFormat)
	}
	below := slices.Concat(c.All, c.Any)
	if c.Not != nil {
		below = append(below, *c.Not)
	}
	for i := range below {
		if err := below[i].check(depth+1, nodes); err != nil {
			return err
		}
	}
	switch {
	case c.OS != nil:
		return c.OS.check()
	case len(c.Arch) > 0:
		return checkNames("architecture", c.Arch)
	case c.File != nil:
		return c.File.check()
	case c.Registry != nil:
		return c.Registry.check()
	case c.Package != nil:
		return c.Package.check()
	case c.Command != nil:
		return c.Command.check()
	case c.Machine != nil:
		return c.Machine.check()
	}
	return nil
}

// set counts the fields that are set.
func (c *Condition) set() (n int) {
	for _, is := range []bool{
		len(c.All) > 0, len(c.Any) > 0, c.Not != nil, c.OS != nil, len(c.Arch) > 0, c.File != nil, c.Registry != nil, c.Package != nil, c.Command != nil, c.Machine != nil,
	} {
		if is {
			n++
		}
	}
	return n
}

func checkNames(kind string, names []string) error {
	if len(names) > 32 {
		return fmt.Errorf("%d names of an %s: %w", len(names), kind, ErrTooLarge)
	}
	for _, s := range names {
		if !ValidName(s) {
			return fmt.Errorf("%s %.30q: %w", kind, s, ErrFormat)
		}
	}
	return nil
}

func (t *OSTest) check() error {
	if t.Name == "" && t.Distribution == "" && t.Version == nil {
		return fmt.Errorf("os test that asks nothing: %w", ErrFormat)
	}
	for _, s := range []string{t.Name, t.Distribution} {
		if s != "" && !ValidName(s) {
			return fmt.Errorf("os test for %.30q: %w", s, ErrFormat)
		}
	}
	return t.Version.check()
}

func (v *Versions) check() error {
	if v == nil {
		return nil
	}
	if *v == (Versions{}) {
		return fmt.Errorf("version range without a bound: %w", ErrFormat)
	}
	for _, s := range []string{v.AtLeast, v.Below, v.Equal} {
		if s != "" && !versionLike(s) {
			return fmt.Errorf("version %.60q: %w", s, ErrFormat)
		}
	}
	return nil
}

// versionLike: at most MaxVersionBytes of the characters that versions are made of.
func versionLike(s string) bool {
	return s != "" && len(s) <= MaxVersionBytes && strings.TrimLeftFunc(s, versionRune) == ""
}

func versionRune(r rune) bool {
	return r < 0x80 && (isDigit(byte(r)) || isLetter(byte(r)) || strings.ContainsRune(".+~:^_-", r))
}

func (t *FileTest) check() error {
	if err := CheckPath(t.Path); err != nil {
		return err
	}
	if t.SHA256 != "" {
		if b, err := hex.DecodeString(t.SHA256); err != nil || len(b) != 32 || hex.EncodeToString(b) != t.SHA256 {
			return fmt.Errorf("file test with hash %.70q: %w", t.SHA256, ErrFormat)
		}
	}
	if t.Version == nil {
		return nil
	}
	if t.Version.After == "" {
		return fmt.Errorf("file test for a version behind nothing: %w", ErrFormat)
	}
	if err := checkText("text before a version", t.Version.After, 256); err != nil {
		return err
	}
	return t.Version.Versions.check()
}

// CheckPath takes absolute paths of any system in their plain form: no "..", ".", empty part or drive
// of the network. What a descriptor names must be one file to everybody who reads it.
func CheckPath(p string) error {
	if err := checkText("path", p, maxConditionText); err != nil {
		return err
	}
	rest := p
	if len(p) > 2 && isLetter(p[0]) && p[1] == ':' {
		rest = p[2:]
	}
	slashed := strings.ReplaceAll(rest, `\`, "/")
	if len(slashed) < 2 || slashed[0] != '/' || path.Clean(slashed) != slashed || rest == p && slashed != rest {
		return fmt.Errorf("path %.80q is not absolute and plain: %w", p, ErrFormat)
	}
	return nil
}

func (t *RegistryTest) check() error {
	if !strings.HasPrefix(t.Key, registryMachineKey) || len(t.Key) == len(registryMachineKey) {
		return fmt.Errorf("registry key %.60q is not below %s: %w", t.Key, registryMachineKey, ErrFormat)
	}
	for _, s := range []string{t.Key, t.Name, t.Equal} {
		if err := checkText("registry test", s, maxConditionText); err != nil {
			return err
		}
	}
	return t.Version.check()
}

func (t *PackageTest) check() error {
	switch t.System {
	case SystemDeb, SystemRPM:
	case SystemWindows: // in queries of groups alone: never an argument of a tool
		if t.Name == "" || checkText("program name", t.Name, maxInventoryText) != nil {
			return fmt.Errorf("program name %.60q: %w", t.Name, ErrFormat)
		}
		return t.Version.check()
	default:
		return fmt.Errorf("package system %.20q: %w", t.System, ErrFormat)
	}
	// The name becomes an argument of a package tool: it must not look like an option or a pattern.
	if !ValidPackage(t.Name) {
		return fmt.Errorf("package name %.60q: %w", t.Name, ErrFormat)
	}
	return t.Version.check()
}

// ValidPackage takes names of packages of any system: letters, digits and + . _ -, the first one a
// letter or digit.
func ValidPackage(s string) bool {
	if s == "" || len(s) > 128 || !isDigit(s[0]) && !isLetter(s[0]) {
		return false
	}
	for i := range len(s) {
		if !isDigit(s[i]) && !isLetter(s[i]) && !strings.ContainsRune("+._-", rune(s[i])) {
			return false
		}
	}
	return true
}

func (t *CommandTest) check() error {
	if len(t.Args) == 0 || len(t.Args) > maxCommandArgs || len(t.Exit) == 0 || len(t.Exit) > maxCommandExits {
		return fmt.Errorf("command of %d arguments with %d exit codes: %w", len(t.Args), len(t.Exit), ErrFormat)
	}
	if err := CheckPath(t.Args[0]); err != nil {
		return err
	}
	for _, a := range t.Args {
		if err := checkText("argument of a command", a, maxConditionText); err != nil {
			return err
		}
	}
	if t.TimeoutSeconds < 1 || t.TimeoutSeconds > MaxCommandSeconds {
		return fmt.Errorf("command with %d s, want 1 to %d: %w", t.TimeoutSeconds, MaxCommandSeconds, ErrFormat)
	}
	return nil
}
