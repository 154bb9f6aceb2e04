package main

import (
	"context"
	"log/slog"
	"os"

	"github.com/spf13/cobra"
	"golang.org/x/term"

	"patchmesh/node"
	"patchmesh/node/api"
	"patchmesh/node/daemon"
)

func (a *app) runCmd() *cobra.Command {
	cfg := node.Config{Version: version, Agent: node.LaunchedAs(os.Getenv)}
	var level string
	var traffic trafficFlags
	c := &cobra.Command{
		Use:   "run",
		Short: "run this machine's node in the foreground",
		Long:  "run takes part in the mesh until it is told to stop (Ctrl-C or SIGTERM).\nIt is a seed when the data folder holds approval keys. One port number, TCP and UDP, carries the whole mesh.\n" + exits,
		Example: `  patchmesh run
  patchmesh run --listen 10.0.0.5:7700 --peer 10.0.0.6:7700 --egress=no
  patchmesh run --store-quota 30% --store-reserve 2GiB --peers-only
  patchmesh run --limit wan.down=2Mbit@Mon-Fri/08:00-18:00@Europe/Berlin --wan-budget month=20GB`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkRoot(cfg.Root); err != nil {
				return err
			}
			var err error
			if cfg.Log, err = a.logger(level); err != nil {
				return err
			}
			noCoreDumps(false)
			cfg.DataDir = a.data
			if err := cfg.StandAside(); err != nil {
				return err
			}
			if err := traffic.into(&cfg); err != nil {
				return err
			}
			a.tuneProcess(c.Context())
			if err := confine(cfg); err != nil {
				return err
			}
			n, err := node.Open(cfg)
			if err != nil {
				return err
			}
			return daemon.Under(c.Context(), n.Run)
		},
	}
	traffic.add(c)
	f := c.Flags()
	f.StringVar(&cfg.Listen, "listen", node.DefaultListen, "IP:PORT of the mesh, TCP and UDP")
	f.StringArrayVar(&cfg.Peers, "peer", nil, "IP:PORT of a machine to connect to; may be repeated")
	f.StringArrayVar(&cfg.SitePrefixes, "site-prefix", nil, "where machines of this site are, as 10.1.0.0/16; may be repeated (default: the subnets of this machine)")
	f.BoolVar(&cfg.MDNS, "mdns", true, "look for machines on the local link")
	f.StringVar(&cfg.Egress, "egress", node.EgressAuto, "may this machine use the WAN: auto, yes or no")
	f.BoolVar(&cfg.Cache, "cache", false, "be a cache of the site: store what is approved for any machine of it, for those that come later")
	f.StringVar(&cfg.Root, "root", "", "detect, install and remove updates below this folder instead of /")
	f.StringVar(&cfg.ApplySocket, "apply-socket", "", "socket of 'patchmesh apply', which then installs updates (default: this process does)")
	f.StringVar(&cfg.Sockets, "sockets", "", "folder of the local sockets (default: the data folder)")
	f.StringVar(&cfg.Admins, "admin-group", "", "group whose members may give orders to this node (default: its user and root alone)")
	f.StringVar(&cfg.StatusFor, "status-for", "", "who may ask this node: owner, group or all")
	f.StringVar(&cfg.StoreQuota, "store-quota", "", "what payloads may take of the disk, as 20GiB, 30% or none (default: a fifth of the disk, at least 4 GiB; none on a seed); a quota that is signed for the machine holds too")
	f.StringVar(&cfg.StoreReserve, "store-reserve", "", "what payloads leave free of the disk, as 2GiB, 10% or none (default: 5 %, at most 1 GiB); a reserve that is signed for the machine holds too")
	f.StringVar(&cfg.Console, "console", "", "IP:PORT of loopback where a seed shows its fleet to a browser (port 0: a free one); 'patchmesh console' prints the link")
	f.StringVar(&cfg.Metrics, "metrics", "", "IP:PORT for Prometheus metrics at /metrics")
	f.StringVar(&level, "log-level", "info", "debug, info, warn or error")
	return c
}

// tuneProcess has the whole process take no more of the machine than a guest should.
func (a *app) tuneProcess(ctx context.Context) {
	slowWatcher()
	if os.Getenv("GOMAXPROCS") == "" {
		keepPace(ctx, maxCores(a.data))
	}
	boundMemory(ctx)
}

// logger writes text for a terminal and JSON for everything else, to standard error.
func (a *app) logger(level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, api.Errorf(api.ClassUsage, "unknown log level %q", level).WithHint("debug, info, warn or error")
	}
	opt := &slog.HandlerOptions{Level: l}
	if term.IsTerminal(int(os.Stderr.Fd())) {
		return slog.New(slog.NewTextHandler(a.errOut, opt)), nil
	}
	return slog.New(slog.NewJSONHandler(a.errOut, opt)), nil
}
