// Command patchmesh distributes approved updates through a local network, peer to peer, and installs
// them. Every verb has its file; this one holds what they share.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/adrg/xdg"
	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
	"patchmesh/node/control"
)

// version is set when a release is built.
var version = "dev"

func main() {
	os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
}

// run executes one command line and returns the exit code.
func run(args []string, out, errOut io.Writer) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // the first signal asks, the second one ends a verb that does not listen
	a := &app{out: out, errOut: errOut}
	root := a.root()
	root.SetArgs(args)
	root.SetOut(out)
	root.SetErr(errOut)
	err := root.ExecuteContext(ctx)
	if err == nil {
		return a.exit
	}
	if errors.Is(err, node.ErrHandover) {
		return node.ExitHandover
	}
	if !a.started { // cobra did not get as far as the verb: the command line is wrong
		var e *api.Error
		if !errors.As(err, &e) {
			err = api.Errorf(api.ClassUsage, "%v", err).WithHint("see 'patchmesh --help'")
		}
	}
	a.complain(err)
	return api.ClassOf(err).ExitCode()
}

// app is what the verbs share.
type app struct {
	out, errOut io.Writer
	data        string
	json        bool
	started     bool // a verb has begun
	exit        int  // of a verb that has ended well: that of the program which it ran
}

// exits is the same for every verb.
const exits = `
Exit codes: 0 done; 1 failed; 2 wrong usage; 3 refused (signature, threshold, epoch, hash, token);
4 not reachable (no running node, no peer); 5 not found; 6 no space.`

func (a *app) root() *cobra.Command {
	root := &cobra.Command{
		Use:           "patchmesh",
		Short:         "security updates for every machine, peer to peer, approved by signature",
		Long:          "patchmesh carries approved updates through a local network from machine to machine: the internet\nline carries each byte once per site, and nothing is installed without a threshold of signatures.\n" + exits,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		PersistentPreRun: func(*cobra.Command, []string) {
			a.started = true
		},
	}
	root.PersistentFlags().StringVar(&a.data, "data", defaultData(), "data folder (also PATCHMESH_DATA)")
	root.PersistentFlags().BoolVar(&a.json, "json", false, "print facts as one JSON document on standard output")
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return api.Errorf(api.ClassUsage, "%v", err).WithHint("see '%s --help'", c.CommandPath())
	})
	root.AddCommand(
		a.initCmd(), a.runCmd(), a.inviteCmd(), a.joinCmd(), a.enrolCmd(), a.importCmd(), a.approveCmd(), a.holdCmd(), a.releaseCmd(),
		a.signCmd(), a.revokeCmd(), a.siteCmd(), a.windowsCmd(), a.ringsCmd(), a.promoteCmd(), a.rulesCmd(), a.baselineCmd(), a.orchestrationCmd(), a.packCmd(), a.evidenceCmd(), a.policyCmd(), a.acceptCmd(), a.postponeCmd(), a.noticesCmd(), a.statusCmd(), a.explainCmd(), a.peersCmd(), a.demoCmd(),
		a.draftCmd(), a.keyCmd(), a.roleCmd(), a.rootCmd(), a.logCmd(), a.trustCmd(), a.applyCmd(), a.serviceCmd(), a.launchCmd(),
		a.inventoryCmd(), a.scanCmd(), a.groupCmd(), a.doctorCmd(), a.consoleCmd(), a.catalogueCmd(),
		a.storeCmd(), a.provenanceCmd(), a.reportCmd(), a.simCmd(), a.bundleCmd(),
	)
	return root
}

func defaultData() string {
	if d := os.Getenv("PATCHMESH_DATA"); d != "" {
		return d
	}
	own := filepath.Join(xdg.StateHome, "patchmesh")
	if os.Geteuid() == 0 {
		return control.SystemData
	}
	if _, err := os.Stat(own); err != nil && control.SystemNode() {
		return control.SystemData // this user runs no node of its own
	}
	return own
}

// exactly is cobra's check of the number of arguments, with our class and hint.
func exactly(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) != n {
			return api.Errorf(api.ClassUsage, "'%s' takes %s", c.CommandPath(), what).WithHint("see '%s --help'", c.CommandPath())
		}
		return nil
	}
}

// complain prints one line, and a second one with what to do.
func (a *app) complain(err error) {
	var e *api.Error
	if !errors.As(err, &e) {
		e = api.Errorf(api.ClassOf(err), "%v", err)
	}
	if o := node.ActingAs(); o != nil && e.Hint == "" && (errors.Is(err, fs.ErrPermission) || strings.Contains(e.What, "permission denied")) {
		e = api.Errorf(e.Class, "%s", e.What).WithHint("on %s this command works as user %d, who owns it, and not as root: give that user access", o.Dir, o.UID)
	}
	if a.json {
		_ = json.NewEncoder(a.errOut).Encode(map[string]any{"error": e})
		return
	}
	fmt.Fprintf(a.errOut, "patchmesh: %s\n", api.Clean(e.What))
	if e.Hint != "" {
		fmt.Fprintf(a.errOut, "hint: %s\n", api.Clean(e.Hint))
	}
}

// print writes the facts as JSON, or lets text write them for people.
func (a *app) print(facts any, text func(io.Writer)) error {
	if !a.json {
		text(a.out)
		return nil
	}
	enc := json.NewEncoder(a.out)
	enc.SetIndent("", "  ")
	return enc.Encode(facts)
}

// running calls f with the running node of the data folder.
func (a *app) running(f func(api.Service) error) error {
	s, err := control.Dial(a.data)
	if err != nil {
		return err
	}
	return f(s)
}

// startup is how long a node may take between locking its folder and answering.
const startup = 5 * time.Second

// runningOr calls live with the running node or, where none can be reached, stopped with the reason. While
// stopped finds the folder locked a node is just starting, or another command is at work: both are tried
// again for a while.
func (a *app) runningOr(live func(api.Service) error, stopped func(unreachable error) error) error {
	for end := time.Now().Add(startup); ; time.Sleep(50 * time.Millisecond) {
		err := a.running(live)
		if api.ClassOf(err) != api.ClassUnreachable {
			return err
		}
		if err = stopped(err); !errors.Is(err, node.ErrLocked) || time.Now().After(end) {
			return err
		}
	}
}

// onSeed calls f with the running node, or with the folder of a seed whose node is not running: what
// is prepared there spreads when the node starts.
func (a *app) onSeed(f func(api.Service) error) error {
	return a.runningOr(f, func(unreachable error) error {
		if !node.IsSeed(a.data) {
			return unreachable
		}
		n, err := node.OpenOffline(a.data, time.Now)
		if err != nil {
			return err
		}
		defer n.Close()
		return f(n)
	})
}
