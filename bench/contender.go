//go:build linux

package bench

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"slices"
	"strings"
)

// Contender distributes updates in a Site. A new one is made for every run.
type Contender interface {
	// Name is the one of the table below.
	Name() string
	// Prepare brings up all that stands before an update is released: organisation, daemons, servers.
	// The clock does not run. It is not called with updates: nothing may be on the machines before.
	Prepare(ctx context.Context) error
	// Distribute releases updates, which lie on the seed, to all machines that are up. It returns when
	// that is said; the clock runs from its call until every machine has everything below Machine.Got.
	// It may be called again with other updates.
	Distribute(ctx context.Context, updates []Update) error
	// Close ends what Prepare began beyond processes: those end with the site.
	Close() error
}

// joiner is a Contender whose machines can come while a distribution is under way.
type joiner interface {
	Join(ctx context.Context, m *Machine) error
}

// stager is a Contender that is told of updates before the clock starts: making a torrent or a
// catalogue entry is nobody's distribution.
type stager interface {
	Stage(ctx context.Context, updates []Update) error
}

// earlier is a Contender that can give updates to the early machines before the clock starts, and spoil
// what they have stored where the scenario says so.
type earlier interface {
	Early(ctx context.Context, updates []Update) error
}

// teller is a Contender that says itself what it did.
type teller interface {
	Told(ctx context.Context, updates []Update) (map[string]float64, error)
}

// ErrMissing says that a contender's program is not installed; the wrapping error names the package.
var ErrMissing = errors.New("not installed")

// entry is one row of the table of contenders.
type entry struct {
	name     string
	about    string
	programs []string // that it calls, and the Debian packages that bring them
	packages []string
	version  []string // a command whose first line of output names the version; patchmesh says it itself
	lanOnly  bool     // cannot cross a router
	wanOnly  bool     // makes sense with the seed beyond the WAN alone
	make     func(s *Site, bin string) Contender
}

// contenders are all of them, in the order of tables.
var contenders = []entry{
	patchmeshEntry,
	aria2Entry,
	aria2RC4Entry,
	libtorrentEntry,
	libtorrentPlainEntry,
	libtorrentRC4Entry,
	transmissionEntry,
	httpEntry,
	proxyEntry,
	squidEntry,
	udpcastEntry,
}

func contenderNamed(name string) (entry, error) {
	i := slices.IndexFunc(contenders, func(e entry) bool { return e.name == name })
	if i < 0 {
		return entry{}, fmt.Errorf("there is no contender %q", name)
	}
	return contenders[i], nil
}

// missing returns an error that wraps ErrMissing where a program is not there.
func (e entry) missing() error {
	for _, p := range e.programs {
		if _, err := exec.LookPath(p); err != nil {
			return fmt.Errorf("%w: %s needs %s (apt-get install %s)", ErrMissing, e.name, p, strings.Join(e.packages, " "))
		}
	}
	if len(e.version) > 0 { // a library may lack where its interpreter is
		if err := exec.Command(e.version[0], e.version[1:]...).Run(); err != nil {
			return fmt.Errorf("%w: %s: %s: %w (apt-get install %s)", ErrMissing, e.name, e.version[0], err, strings.Join(e.packages, " "))
		}
	}
	return nil
}

// versionText is what the contender's program calls itself; empty where it does not say.
func (e entry) versionText(bin string) string {
	command := e.version
	if len(command) == 0 {
		command = []string{bin, "--version"}
	}
	out, _ := exec.Command(command[0], command[1:]...).CombinedOutput()
	first, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
	return strings.TrimSpace(first)
}

// ContenderInfo describes one contender to people.
type ContenderInfo struct {
	Name     string   `json:"name"`
	About    string   `json:"about"`
	Packages []string `json:"packages"`
	Missing  string   `json:"missing,omitempty"` // why it cannot run here
}

// Contenders describes all of them.
func Contenders() []ContenderInfo {
	var all []ContenderInfo
	for _, e := range contenders {
		info := ContenderInfo{Name: e.name, About: e.about, Packages: e.packages}
		if err := e.missing(); err != nil {
			info.Missing = err.Error()
		}
		all = append(all, info)
	}
	return all
}
