package policy

import (
	"fmt"
	"path"
	"slices"
	"strings"
)

// MachineTest asks for the machine itself. It stands in queries of groups alone: what an update needs does
// not depend on a machine's name. Every field that is set must fit; of a list, one entry.
type MachineTest struct {
	IDs   []string  `json:"ids,omitempty"`   // peer ids
	Names []string  `json:"names,omitempty"` // patterns as path.Match reads them: till-*
	Sites []string  `json:"sites,omitempty"`
	Agent *Versions `json:"agent,omitempty"` // version of patchmesh, in Debian's order
	// Hardware, in MiB of 2^20 bytes.
	Vendors   []string `json:"vendors,omitempty"` // patterns like those of names: who made it, in any case of letters
	Models    []string `json:"models,omitempty"`  // patterns: what its maker calls it
	MemoryMiB *Amount  `json:"memory_mib,omitempty"`
	DiskMiB   *Amount  `json:"disk_mib,omitempty"` // size of the disk that holds patchmesh's data, not what is free of it
}

// Amount is a range; a bound of zero is none.
type Amount struct {
	AtLeast int64 `json:"at_least,omitempty"`
	Below   int64 `json:"below,omitempty"`
}

const maxTestNames = 256

func (t *MachineTest) check() error {
	asks := false
	for _, l := range []struct {
		what string
		list []string
	}{{"id", t.IDs}, {"name", t.Names}, {"site", t.Sites}, {"vendor", t.Vendors}, {"model", t.Models}} {
		if len(l.list) > maxTestNames {
			return fmt.Errorf("machine test of %d %ss: %w", len(l.list), l.what, ErrTooLarge)
		}
		for _, s := range l.list {
			if err := checkText("machine test", s, 128); err != nil {
				return err
			}
			if _, err := path.Match(s, ""); s == "" || l.what != "id" && l.what != "site" && err != nil {
				return fmt.Errorf("machine test for %s %.60q: %w", l.what, s, ErrFormat)
			}
		}
		asks = asks || len(l.list) > 0
	}
	for _, a := range []*Amount{t.MemoryMiB, t.DiskMiB} {
		if a != nil && (a.AtLeast < 0 || a.Below < 0 || *a == Amount{} || a.AtLeast > maxInventoryAmount>>20 || a.Below > maxInventoryAmount>>20) {
			return fmt.Errorf("machine test for %d to %d MiB: %w", a.AtLeast, a.Below, ErrFormat)
		}
		asks = asks || a != nil
	}
	if !asks && t.Agent == nil {
		return fmt.Errorf("machine test that asks nothing: %w", ErrFormat)
	}
	return t.Agent.check()
}

func (t *MachineTest) ask(s System) Answer {
	if !s.Known { // no query of a group
		return Answer{Reason: ReasonAgentOutdated, Detail: "what the machine is called is not asked for here"}
	}
	matches := func(p string) bool { ok, err := path.Match(p, s.Name); return ok && err == nil }
	switch {
	case len(t.IDs) > 0 && !slices.Contains(t.IDs, s.ID):
		return answer(false, ReasonCompatEdition, "this machine is not one of those listed")
	case len(t.Names) > 0 && !slices.ContainsFunc(t.Names, matches):
		return answer(false, ReasonCompatEdition, "this machine is called %s, asked is %s", s.Name, strings.Join(t.Names, " or "))
	case len(t.Sites) > 0 && !slices.Contains(t.Sites, s.Site):
		return answer(false, ReasonCompatEdition, "this machine is at site %s, asked is %s", s.Site, strings.Join(t.Sites, " or "))
	}
	// What is known to differ decides before what is not known.
	open := []Answer{}
	for _, a := range []Answer{t.askAgent(s), askHardware("maker", t.Vendors, s.Vendor), askHardware("model", t.Models, s.Model), t.MemoryMiB.ask("memory", s.MemoryBytes), t.DiskMiB.ask("its disk", s.DiskBytes)} {
		if a.Truth == No {
			return a
		}
		if a.Truth == Uncertain {
			open = append(open, a)
		}
	}
	if len(open) > 0 {
		return open[0]
	}
	return answer(true, "", "the machine is as asked")
}

func (t *MachineTest) askAgent(s System) Answer {
	switch {
	case t.Agent == nil:
		return Answer{Truth: Yes}
	case !versionLike(s.Agent):
		return Answer{Reason: ReasonUnknownFirstScan, Detail: "the version of patchmesh on the machine is not known"}
	}
	return answer(t.Agent.hold(SystemDeb, s.Agent), ReasonCompatEdition, "patchmesh is of version %s, asked is %s", s.Agent, t.Agent)
}

// askHardware asks for what the firmware says, which people write in any case and with any sign in it.
func askHardware(what string, patterns []string, is string) Answer {
	plain := func(s string) string { return strings.ReplaceAll(strings.ToLower(s), "/", "\x01") } // "*" goes past a slash
	switch {
	case len(patterns) == 0:
		return Answer{Truth: Yes}
	case is == "":
		return Answer{Reason: ReasonUnknownFirstScan, Detail: "the " + what + " of the machine is not known"}
	}
	fits := slices.ContainsFunc(patterns, func(p string) bool { ok, err := path.Match(plain(p), plain(is)); return ok && err == nil })
	return answer(fits, ReasonCompatEdition, "the %s of the machine is %s, asked is %s", what, is, strings.Join(patterns, " or "))
}

func (a *Amount) ask(what string, bytes int64) Answer {
	switch {
	case a == nil:
		return Answer{Truth: Yes}
	case bytes <= 0:
		return Answer{Reason: ReasonUnknownFirstScan, Detail: "how large " + what + " is, is not known"}
	}
	mib := bytes >> 20
	return answer(mib >= a.AtLeast && (a.Below == 0 || mib < a.Below), ReasonCompatEdition, "%s is of %d MiB", what, mib)
}

// CheckQuery is Check for the query of a group: it may ask only what a report tells too, so that the machine
// and the seed come to the same answer. ErrFormat, ErrTooLarge.
func (c *Condition) CheckQuery() error {
	if err := c.Check(); err != nil {
		return err
	}
	return c.walk(func(n *Condition) error {
		if n.File != nil || n.Registry != nil || n.Command != nil {
			return fmt.Errorf("a group goes by what a machine reports, not by files, the registry or commands: %w", ErrFormat)
		}
		return nil
	})
}

// checkRule is Check for a rule of an update.
func (c *Condition) checkRule() error {
	if err := c.Check(); err != nil {
		return err
	}
	return c.walk(func(n *Condition) error {
		if n.Machine != nil || n.Package != nil && n.Package.System == SystemWindows {
			return fmt.Errorf("a rule of an update asks for a machine or its list of Windows programs: %w", ErrFormat)
		}
		return nil
	})
}

// walk visits every node.
func (c *Condition) walk(visit func(*Condition) error) error {
	if err := visit(c); err != nil {
		return err
	}
	for _, list := range [][]Condition{c.All, c.Any} {
		for i := range list {
			if err := list[i].walk(visit); err != nil {
				return err
			}
		}
	}
	if c.Not != nil {
		return c.Not.walk(visit)
	}
	return nil
}
