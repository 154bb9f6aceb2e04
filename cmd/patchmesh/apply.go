package main

import (
	"fmt"
	"io"
	"os"
	"os/user"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) applyCmd() *cobra.Command {
	cfg := node.ApplyConfig{Now: time.Now, Version: version, Agent: node.LaunchedAs(os.Getenv)}
	var level, name string
	c := &cobra.Command{
		Use:   "apply",
		Short: "install approved updates for a node that runs as another user",
		Long: "apply is the part of patchmesh that changes the machine, as a process of its own: root, without network.\n" +
			"It verifies the approvals itself, from its own trusted documents, and takes no path, URL or option from anybody.\n" +
			"'patchmesh service install' sets it up; 'patchmesh apply init' alone prepares its state folder.\n" + exits,
		Example: `  patchmesh apply init --data /var/lib/patchmesh
  patchmesh apply --user patchmesh
  patchmesh run --apply-socket ` + node.DefaultApplySocket,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if err := checkRoot(cfg.Root); err != nil {
				return err
			}
			noCoreDumps(true)
			var err error
			if cfg.Log, err = a.logger(level); err != nil {
				return err
			}
			if cfg.UID, cfg.GID, err = whose(name); err != nil {
				return err
			}
			cleanEnvironment()
			return node.RunApply(c.Context(), cfg)
		},
	}
	c.PersistentFlags().StringVar(&cfg.StateDir, "state", node.DefaultApplyState, "folder of the apply role; its user alone may enter it")
	c.Flags().StringVar(&cfg.Socket, "socket", node.DefaultApplySocket, "where it answers")
	c.Flags().StringVar(&cfg.Root, "root", "", "install and remove updates below this folder instead of /")
	c.Flags().StringVar(&name, "user", "", "user that 'patchmesh run' runs as, by name or number (default: this user)")
	c.Flags().StringVar(&level, "log-level", "info", "debug, info, warn or error")
	c.AddCommand(a.applyInitCmd(&cfg.StateDir))
	return c
}

func (a *app) applyInitCmd(state *string) *cobra.Command {
	var again bool
	c := &cobra.Command{
		Use:   "init",
		Short: "give the apply role its own copy of what this machine trusts and is",
		Long: "init takes the root of trust, the approvals and the machine's name, site and groups from the data folder of an\n" +
			"enrolled machine. Done again it changes nothing: what the apply role trusts is never replaced by an older state.\n" + exits,
		Example: "  patchmesh apply init --data /var/lib/patchmesh --state /var/lib/patchmesh-apply",
		Args:    exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			i, err := node.PrepareApply(*state, a.data, again, time.Now)
			if err != nil {
				return err
			}
			return a.print(i, func(w io.Writer) { writeApplyInit(w, i) })
		},
	}
	c.Flags().BoolVar(&again, "enrolled-anew", false, "the machine was enrolled anew: take over its new name, site and groups")
	return c
}

func writeApplyInit(w io.Writer, i *node.ApplyInit) {
	if i.Unchanged {
		fmt.Fprintf(w, "prepared already  %s\n", i.StateDir)
	}
	fmt.Fprintf(w, "organisation      %s\nroot fingerprint  %s\nmachine           %s, site %s, groups %v\nepoch             %d\n",
		api.Clean(i.Org), i.Fingerprint, i.Machine, i.Site, i.Groups, i.Epoch)
}

// whose finds a user by name or number; the group is negative where only the owner is let in.
func whose(name string) (uid, gid int, err error) {
	if name == "" {
		return os.Geteuid(), -1, nil
	}
	u, err := user.Lookup(name)
	if err != nil {
		if u, err = user.LookupId(name); err != nil {
			return 0, 0, api.Errorf(api.ClassUsage, "there is no user %q", api.Clean(name)).WithHint("'patchmesh service install' makes one")
		}
	}
	uid, err = strconv.Atoi(u.Uid)
	if err == nil {
		gid, err = strconv.Atoi(u.Gid)
	}
	if err != nil {
		return 0, 0, api.Errorf(api.ClassFailed, "user %s has no number here", api.Clean(name))
	}
	if uid == os.Geteuid() {
		gid = -1
	}
	return uid, gid, nil
}

// cleanEnvironment forgets what whoever started this process has set: package tools and the scripts
// of packages would obey it.
func cleanEnvironment() {
	keep := map[string]string{}
	for _, k := range []string{"GOMEMLIMIT", "GOMAXPROCS", "NOTIFY_SOCKET"} {
		if v, ok := os.LookupEnv(k); ok {
			keep[k] = v
		}
	}
	os.Clearenv()
	for k, v := range keep {
		_ = os.Setenv(k, v)
	}
	_ = os.Setenv("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin")
}
