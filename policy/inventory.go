package policy

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// Inventory is what is known of a machine's hardware and software. Machines collect it themselves and
// report it, so on a seed every text in it is somebody else's.
type Inventory struct {
	OS           string    `json:"os"`                     // as Go names it
	Arch         string    `json:"arch"`                   // as Go names it
	Distribution string    `json:"distribution,omitempty"` // ID of os-release; empty: unknown
	Version      string    `json:"version,omitempty"`      // VERSION_ID of os-release, or that of Windows; empty: unknown
	Kernel       string    `json:"kernel,omitempty"`
	Serial       string    `json:"serial,omitempty"` // what stays when the system is set up anew; empty: unknown
	Vendor       string    `json:"vendor,omitempty"` // who made the hardware, by its firmware; empty: unknown
	Model        string    `json:"model,omitempty"`
	MemoryBytes  int64     `json:"memory_bytes"` // 0: unknown
	DiskBytes    int64     `json:"disk_bytes"`   // of the disk with the data folder; 0: unknown
	FreeBytes    int64     `json:"free_bytes"`   //
	BootedAt     time.Time `json:"booted_at,omitzero"`
	Agent        string    `json:"agent_version"`
	At           time.Time `json:"at"` // when it was collected
	// Zone is where the machine's clock hangs, see ParseZone; empty: unknown, as with agents that do not tell.
	Zone string `json:"zone,omitempty"`

	// Systems are the package systems that were looked for. One that is not listed was not.
	Systems []PackageSystem `json:"systems"`
	// Packages are sorted by system, name, architecture and version. Truncated: there are more.
	Packages  []Package `json:"packages"`
	Truncated bool      `json:"truncated,omitempty"`
}

// PackageSystem says how looking for the packages of a system went.
type PackageSystem struct {
	Name  string `json:"name"`            // deb, rpm, windows
	Error string `json:"error,omitempty"` // its packages cannot be found out; empty: they were
}

// Package is one that is installed.
type Package struct {
	System  string `json:"system"`
	Name    string `json:"name"`
	Version string `json:"version"`
	Arch    string `json:"arch,omitempty"` // as the package system names it
}

// SystemWindows are the programs that Windows lists as installed.
const SystemWindows = "windows"

// Limits of an inventory. MaxInventoryBytes bounds its JSON.
const (
	MaxPackages        = 10000
	MaxInventoryBytes  = 4 << 20
	maxInventoryText   = 256
	maxPackageSystems  = 8
	maxInventoryAmount = 1 << 60
)

// ComparePackages orders packages as they stand in an inventory.
func ComparePackages(a, b Package) int {
	return cmp.Or(strings.Compare(a.System, b.System), strings.Compare(a.Name, b.Name), strings.Compare(a.Arch, b.Arch), strings.Compare(a.Version, b.Version))
}

// Check refuses an inventory that no machine of ours would report. ErrFormat, ErrTooLarge.
func (v *Inventory) Check() error {
	if len(v.Packages) > MaxPackages || len(v.Systems) > maxPackageSystems {
		return fmt.Errorf("inventory of %d packages of %d systems: %w", len(v.Packages), len(v.Systems), ErrTooLarge)
	}
	for _, n := range []int64{v.MemoryBytes, v.DiskBytes, v.FreeBytes} {
		if n < 0 || n > maxInventoryAmount {
			return fmt.Errorf("inventory with an amount of %d bytes: %w", n, ErrFormat)
		}
	}
	texts := []string{v.OS, v.Arch, v.Distribution, v.Version, v.Kernel, v.Serial, v.Agent, v.Vendor, v.Model}
	for _, s := range v.Systems {
		texts = append(texts, s.Name, s.Error)
	}
	if v.Zone != "" {
		if _, ok := ParseZone(v.Zone); !ok {
			return fmt.Errorf("inventory with the time zone %.70q: %w", v.Zone, ErrFormat)
		}
	}
	for _, s := range texts {
		if !inventoryText(s) {
			return fmt.Errorf("inventory with the text %.60q: %w", s, ErrFormat)
		}
	}
	for i, p := range v.Packages {
		if !p.plain() {
			return fmt.Errorf("inventory with package %.60q version %.60q: %w", p.Name, p.Version, ErrFormat)
		}
		if i > 0 && ComparePackages(v.Packages[i-1], p) >= 0 {
			return fmt.Errorf("inventory: package %.60q is out of order or double: %w", p.Name, ErrFormat)
		}
	}
	return nil
}

// inventoryText takes text that can be shown on one line, of bounded length.
func inventoryText(s string) bool {
	return len(s) <= maxInventoryText && utf8.ValidString(s) && strings.IndexFunc(s, control) < 0
}

func control(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 }

func (p Package) plain() bool {
	return p.System != "" && p.Name != "" && inventoryText(p.System) && inventoryText(p.Name) && inventoryText(p.Version) && inventoryText(p.Arch)
}

// Keep takes packages up in order. Those with texts that cannot be shown and those beyond the limit are left
// out, and then the inventory says that it is not whole.
func (v *Inventory) Keep(all []Package) {
	kept := slices.DeleteFunc(slices.Clone(all), func(p Package) bool { return !p.plain() })
	v.Truncated = v.Truncated || len(kept) < len(all)
	slices.SortFunc(kept, ComparePackages)
	kept = slices.Compact(kept)
	if len(kept) > MaxPackages {
		kept, v.Truncated = kept[:MaxPackages], true
	}
	v.Packages = kept
}

// Installed are the versions of a package that are there. An error: that cannot be found out.
func (v *Inventory) Installed(system, name string) ([]string, error) {
	at, _ := slices.BinarySearchFunc(v.Packages, Package{System: system, Name: name}, func(p, want Package) int {
		return cmp.Or(strings.Compare(p.System, want.System), strings.Compare(p.Name, want.Name))
	})
	var out []string
	for ; at < len(v.Packages) && v.Packages[at].System == system && v.Packages[at].Name == name; at++ {
		out = append(out, v.Packages[at].Version)
	}
	i := slices.IndexFunc(v.Systems, func(s PackageSystem) bool { return s.Name == system })
	switch {
	case i >= 0 && v.Systems[i].Error != "":
		return nil, &FactError{Reason: ReasonDiskError, Err: fmt.Errorf("packages of %s: %s", system, v.Systems[i].Error)}
	case len(out) == 0 && v.Truncated:
		return nil, &FactError{Reason: ReasonVerifyNotDetected, Err: errors.New("the list of packages is not whole")}
	}
	return out, nil // a system that this machine does not have holds no package
}

// inventoryFacts answers conditions from an inventory alone: what a seed can do as well as the machine.
type inventoryFacts struct {
	inv     *Inventory
	machine Machine
}

// System implements Facts.
func (f inventoryFacts) System() System {
	s := System{ID: f.machine.ID, Name: f.machine.Name, Site: f.machine.Site, Known: true}
	if v := f.inv; v != nil {
		s.OS, s.Arch, s.Distribution, s.Version = v.OS, v.Arch, v.Distribution, v.Version
		s.Vendor, s.Model = v.Vendor, v.Model
		s.Agent, s.MemoryBytes, s.DiskBytes = v.Agent, v.MemoryBytes, v.DiskBytes
	}
	return s
}

// Packages implements Facts.
func (f inventoryFacts) Packages(system, name string) ([]string, error) {
	if f.inv == nil {
		return nil, errNoInventory
	}
	return f.inv.Installed(system, name)
}

var errNoInventory = &FactError{Reason: ReasonUnknownFirstScan, Err: errors.New("there is no inventory of the machine yet")}

// The rest cannot be answered from an inventory, and no query of a group asks for it.
var errNotInInventory = &FactError{Reason: ReasonAgentOutdated, Err: errors.New("an inventory does not tell")}

// File implements Facts.
func (inventoryFacts) File(string, bool, bool) (FileFact, error) {
	return FileFact{}, errNotInInventory
}

// Registry implements Facts.
func (inventoryFacts) Registry(string, string) (string, bool, error) {
	return "", false, errNotInInventory
}

// Command implements Facts.
func (inventoryFacts) Command(CommandTest) (int, error) { return 0, errNotInInventory }
