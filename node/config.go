package node

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"time"

	"patchmesh/node/console"
	"patchmesh/node/restart"
	"patchmesh/swarm/rate"
)

// DefaultListen is the mesh port on all addresses: one number for TCP and UDP.
const DefaultListen = "0.0.0.0:7700"

// Config says how one node runs. DataDir is required; the zero value of the rest is sensible.
type Config struct {
	// DataDir holds everything that is kept: keys, trust, state.db, payloads, work, and the local sockets.
	DataDir string
	// Listen is IP:PORT for the mesh, TCP and UDP. Empty: DefaultListen.
	Listen string
	// Peers are addresses (IP:PORT) that are tried for ever, besides what discovery finds.
	Peers []string
	// SitePrefixes are where machines of this site are ("10.1.0.0/16"). Empty: the subnets of this
	// machine's interfaces, and what the roster says of the site. See reach.go.
	SitePrefixes []string
	// Limits are how fast chunks may be sent and received, with a timetable. See ParseLimit.
	Limits rate.Limits
	// Budget is what the machines of this site together may take from the WAN. What approvers explicitly let
	// pass a budget passes it, unless BudgetStrict.
	Budget       rate.Budget
	BudgetStrict bool
	// Gates are the conditions under which this machine serves nobody. Nil: DefaultGates.
	Gates *Gates
	// Origin says whether the vendor's web hosts are asked: auto (empty; when no seed can be asked), first or never.
	Origin string
	// Sources is the order in which chunks are asked for, as "cache,subnet,site,neighbour,seed,origin"; what is beyond the
	// site and is left out is never asked. Empty: as swarm.DefaultSources. PeersOnly leaves out all that is beyond
	// the site. News, documents and reports go their way all the same. Ignored on a seed.
	Sources   string
	PeersOnly bool
	// MDNS looks for machines on the local link.
	MDNS bool
	// Egress says whether this machine may use the WAN: auto (empty), yes or no.
	Egress string
	// Cache: this machine is a cache of its site. It stores what is approved for any machine of it. Ignored on a seed.
	Cache bool
	// Root is the folder below which updates are detected, installed and removed. Empty: the system itself.
	Root string
	// ApplySocket is where the apply process answers. Empty: this process installs by itself.
	ApplySocket string
	// StoreQuota bounds what payloads may take of the disk, as "20GiB" or "30%". Empty: a fifth of the file
	// system, at least 4 GiB, and none on a seed. StoreReserve is what they always leave free of it. Empty: 5 %, at most 1 GiB.
	// "none" is no bound.
	StoreQuota, StoreReserve string
	// Metrics is IP:PORT for /metrics. Empty: none.
	Metrics string
	// Console is IP:PORT of loopback where a seed shows its fleet to a browser. Empty: none.
	Console string
	// Sockets is the folder of the local sockets. Empty: DataDir.
	Sockets string
	// Admins is a group, by name or number, whose members may give orders. Empty: its user and root alone.
	Admins string
	// StatusFor says who may ask questions: owner (empty), group or all.
	StatusFor string
	// Revisit is how often a carrier that stays with a site looks again what there is to bring or to take. Zero: 5 min.
	Revisit time.Duration

	chaseEvery   time.Duration // between walks that heads of unknown keys start; zero: rootChaseEvery
	receiptEvery time.Duration // between looks at receipts; zero: receiptRound, negative: none, as in versions before there were any
	// Version of the program, for reports.
	Version string
	// Log takes what happens. Nil: discarded.
	Log *slog.Logger
	// Now is the clock. Nil: time.Now.
	Now func() time.Time
	// RestartWith restarts the machine. Nil: the system's own commands.
	RestartWith restart.Run
	// GoingDown says whether the machine is being shut down. Nil: its service manager is asked.
	GoingDown func(context.Context) bool
	// Agent is what the launcher has said of this process. Zero: none has started it.
	Agent AgentRun
}

// Bounds of the node's own queues and lists.
const (
	eventQueue    = 1024 // events waiting for the core; a full queue makes the sender wait
	maxNeighbours = 64   // sessions this node itself dials within its site
	maxRefusals   = 64   // kept for status
	maxDescriptor = 256 << 10
)

// EgressAuto, EgressYes and EgressNo are the values of Config.Egress.
const (
	EgressAuto = "auto"
	EgressYes  = "yes"
	EgressNo   = "no"
)

// Validate fills defaults and names all problems at once.
func (c *Config) Validate() error {
	var errs []error
	if c.DataDir == "" {
		errs = append(errs, errors.New("no data folder"))
	}
	for _, p := range []*string{&c.DataDir, &c.Root} { // installers run elsewhere than this process may
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			errs = append(errs, err)
		}
		*p = abs
	}
	if c.Listen == "" {
		c.Listen = DefaultListen
	}
	if c.Egress == "" {
		c.Egress = EgressAuto
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Revisit <= 0 {
		c.Revisit = defaultRevisit
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	for _, a := range append([]string{c.Listen}, c.Peers...) {
		if err := checkAddr(a); err != nil {
			errs = append(errs, err)
		}
	}
	for _, p := range c.SitePrefixes {
		if _, err := parseSitePrefix(p); err != nil {
			errs = append(errs, err)
		}
	}
	if c.Console != "" {
		if err := console.CheckListen(c.Console); err != nil {
			errs = append(errs, err)
		}
	}
	if c.Metrics != "" {
		if err := checkAddr(c.Metrics); err != nil {
			errs = append(errs, err)
		}
	}
	errs = append(errs, c.checkLocalAPI(), c.checkStoreLimits(), checkOrigin(c.Origin), c.checkSources())
	switch c.Egress {
	case EgressAuto, EgressYes, EgressNo:
	default:
		errs = append(errs, fmt.Errorf("egress is %q, must be auto, yes or no", c.Egress))
	}
	return errors.Join(errs...)
}

// checkAddr accepts IP:PORT only: names are not resolved, a DNS answer is no part of the trust.
func checkAddr(a string) error {
	host, port, err := net.SplitHostPort(a)
	if err != nil {
		return fmt.Errorf("address %q is not IP:PORT", a)
	}
	if net.ParseIP(host) == nil {
		return fmt.Errorf("address %q does not begin with an IP address", a)
	}
	if _, err := net.LookupPort("tcp", port); err != nil {
		return fmt.Errorf("address %q has no valid port", a)
	}
	return nil
}
