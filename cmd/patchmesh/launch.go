package main

import (
	"context"
	"encoding/json"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
	"patchmesh/node/daemon"
	"patchmesh/node/install"
)

func (a *app) launchCmd() *cobra.Command {
	cfg := node.LaunchConfig{Version: version}
	var hello bool
	c := &cobra.Command{
		Use:   "launch [--slots DIR] -- VERB [ARGUMENT]...",
		Short: "start the version of patchmesh that updates have brought",
		Long: "launch is what the service manager starts in the place of a verb, see 'patchmesh service install'. It runs the verb\n" +
			"with the version that the folder of slots names. An update of installer kind 'agent' turns that to another version,\n" +
			"which has to say in time that it is well: else the one of before is put back, and the update is rolled back.\n" +
			"Without such an update this very program runs. A version that makes room for another ends with exit code 75.\n" + exits,
		Example: "  patchmesh launch -- run --data /var/lib/patchmesh\n  patchmesh launch --hello",
		RunE: func(c *cobra.Command, args []string) error {
			if hello {
				return json.NewEncoder(a.out).Encode(install.AgentHello{Patchmesh: "agent", Version: version, OS: runtime.GOOS, Arch: runtime.GOARCH})
			}
			if len(args) == 0 {
				return api.Errorf(api.ClassUsage, "launch what?").WithHint("like: patchmesh launch -- run")
			}
			exe, err := os.Executable()
			if err == nil {
				exe, err = filepath.EvalSymlinks(exe)
			}
			if err != nil {
				return api.Errorf(api.ClassFailed, "where this program lies is not known: %v", err)
			}
			cfg.Program, cfg.Args, cfg.Log = exe, args, slog.New(slog.NewJSONHandler(a.errOut, nil))
			return daemon.Under(c.Context(), func(ctx context.Context) (err error) {
				a.exit, err = node.Launch(ctx, cfg)
				return err
			})
		},
	}
	c.Flags().StringVar(&cfg.Slots, "slots", node.DefaultSlots, "folder of the versions that updates have brought")
	c.Flags().BoolVar(&hello, "hello", false, "only say which version this is, as JSON")
	return c
}
