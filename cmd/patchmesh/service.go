package main

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
	"patchmesh/node/daemon"
)

// serviceFlags are what the verbs below 'service' share.
type serviceFlags struct {
	spec   daemon.Spec
	dryRun bool
	listen string
	peers  []string
	egress string
	cache  bool
}

func (a *app) serviceCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "service install|remove|status",
		Short: "run patchmesh under the system's service manager",
		Long: "service makes patchmesh a service of this machine. With systemd these are two: the node, as a user of its own without\n" +
			"any right but to its folder and the network, and the apply role, as root without any network.\n" + exits,
		Example: `  patchmesh service install --dry-run
  patchmesh service install
  patchmesh service status --json`,
		Args: exactly(1, "install, remove or status"),
		RunE: func(*cobra.Command, []string) error {
			return api.Errorf(api.ClassUsage, "what about the service?").WithHint("install, remove or status")
		},
	}
	c.AddCommand(a.serviceInstallCmd(), a.serviceRemoveCmd(), a.serviceStatusCmd(), a.serviceAtShutdownCmd())
	return c
}

func (a *app) serviceInstallCmd() *cobra.Command {
	var s serviceFlags
	c := &cobra.Command{
		Use:   "install",
		Short: "write and start the services of this machine, which must be enrolled",
		Long: "install makes the user, gives it the data folder, lets the apply role take its own copy of what this machine\n" +
			"trusts and is, writes the units and starts them. Done again it changes only what differs.\n" + exits,
		Example: `  patchmesh service install --dry-run
  patchmesh service install --peer 10.0.0.6:7700 --egress=no`,
		Args: exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error { return a.serviceInstall(s) },
	}
	f := c.Flags()
	f.BoolVar(&s.dryRun, "dry-run", false, "show every step and file, change nothing")
	f.StringVar(&s.spec.User, "user", daemon.DefaultUser, "user and group of the node; made if missing")
	f.StringVar(&s.spec.ApplyState, "state", node.DefaultApplyState, "folder of the apply role")
	f.StringVar(&s.spec.StatusFor, "status-for", "group", "who may ask the node: owner, group or all")
	f.StringVar(&s.listen, "listen", "", "IP:PORT of the mesh, TCP and UDP (default: "+node.DefaultListen+")")
	f.StringArrayVar(&s.peers, "peer", nil, "IP:PORT of a machine to connect to; may be repeated")
	f.BoolVar(&s.cache, "cache", false, "be a cache of the site, as of 'patchmesh run'")
	f.StringVar(&s.egress, "egress", "", "may this machine use the WAN: auto, yes or no")
	return c
}

// fill completes a spec from flags and from where this program lies.
func (s *serviceFlags) fill(data string) error {
	exe, err := os.Executable()
	if err == nil {
		exe, err = filepath.EvalSymlinks(exe)
	}
	if err != nil {
		return api.Errorf(api.ClassFailed, "where this program lies is not known: %v", err)
	}
	s.spec.Program, s.spec.ApplySocket, s.spec.Apply = exe, node.DefaultApplySocket, !node.IsSeed(data)
	if s.spec.DataDir, err = filepath.Abs(data); err != nil {
		return api.Errorf(api.ClassUsage, "data folder: %v", err)
	}
	check := node.Config{DataDir: s.spec.DataDir, Listen: s.listen, Peers: slices.Clone(s.peers), Egress: s.egress}
	if err := check.Validate(); err != nil {
		return api.Errorf(api.ClassUsage, "%v", err)
	}
	if s.listen != "" {
		s.spec.RunArgs = append(s.spec.RunArgs, "--listen", s.listen)
	}
	for _, p := range s.peers {
		s.spec.RunArgs = append(s.spec.RunArgs, "--peer", p)
	}
	if s.egress != "" {
		s.spec.RunArgs = append(s.spec.RunArgs, "--egress", s.egress)
	}
	if s.cache {
		s.spec.RunArgs = append(s.spec.RunArgs, "--cache")
	}
	return nil
}

// needRoot refuses what only root can do, before anything is begun.
func needRoot(dryRun bool) error {
	if dryRun || os.Geteuid() <= 0 { // -1: Windows, whose service manager decides itself
		return nil
	}
	return api.Errorf(api.ClassFailed, "only root can change the services of this machine").WithHint("repeat it as root, or look with --dry-run")
}

func (a *app) serviceRemoveCmd() *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use:     "remove",
		Short:   "stop the services and take them away; all data stays",
		Long:    "remove stops the services and takes their units away. Data, keys and the user stay.\n" + exits,
		Example: "  patchmesh service remove",
		Args:    exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			if err := needRoot(dry); err != nil {
				return err
			}
			r, err := removeServices(dry)
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) { writeServiceReport(w, r) })
		},
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "show what would be removed")
	return c
}

// serviceState is the answer of 'service status'.
type serviceState struct {
	Running bool               `json:"manager_running"`
	Units   []daemon.UnitState `json:"units"`
}

func (a *app) serviceStatusCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "status",
		Short:   "which services are installed and run",
		Long:    "status shows the services of this machine. What the node does is shown by 'patchmesh status'.\n" + exits,
		Example: "  patchmesh service status",
		Args:    exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			s, err := serviceStates()
			if err != nil {
				return err
			}
			return a.print(s, func(w io.Writer) {
				t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
				for _, u := range s.Units {
					fmt.Fprintf(t, "%s\t%s\t%s\n", u.Unit, yes(u.Installed, "installed", "not installed"), yes(u.Active, "running", "not running"))
				}
				_ = t.Flush()
				if !s.Running {
					fmt.Fprintln(w, "the service manager does not run here")
				}
			})
		},
	}
}

func yes(b bool, is, isNot string) string {
	if b {
		return is
	}
	return isNot
}

func writeServiceReport(w io.Writer, r *daemon.Report) {
	for _, s := range r.Steps {
		fmt.Fprintf(w, "%-9s %s\n", yes(s.Changed, "changed", "as it was"), s.What)
	}
	paths := make([]string, 0, len(r.Units))
	for p := range r.Units {
		paths = append(paths, p)
	}
	slices.Sort(paths)
	for _, p := range paths {
		fmt.Fprintf(w, "\n--- %s\n%s", p, r.Units[p])
	}
	if r.Note != "" {
		fmt.Fprintf(w, "\n%s\n", r.Note)
	}
	if r.Started {
		fmt.Fprintln(w, "\nrunning; see 'patchmesh status'")
	}
}
