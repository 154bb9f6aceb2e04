// Command patchbench measures patchmesh beside other ways to bring a file to many machines. It is no
// part of the product.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

// Exit codes, as patchmesh has them.
const (
	exitFailed = 1
	exitUsage  = 2
)

const help = `patchbench measures patchmesh beside other ways to bring a file to many machines.

  patchbench list [--json]                              scenarios and contenders
  patchbench run --scenario S [--contenders A,B] ...    measure; needs root on Linux
  patchbench table [--results DIR]                      Markdown and plots from the raw numbers
  patchbench calibrate [--results DIR]                  the simulator beside what was measured
  patchbench packages [--install]                       the Debian packages that the contenders need
  patchbench clean                                      remove what runs that were killed have left

Each verb explains itself with --help. Exit codes: 0 done, 1 failed, 2 wrong usage.
`

// verb is one subcommand: it adds its flags and returns what to do when they are parsed.
type verb struct {
	name, example string
	setUp         func(f *flag.FlagSet) func(ctx context.Context, out, errOut io.Writer) error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// errUsage marks errors of the caller.
var errUsage = errors.New("wrong usage")

// run is main without the process.
func run(ctx context.Context, args []string, out, errOut io.Writer) int {
	if len(args) == 0 || args[0] == "help" || args[0] == "--help" || args[0] == "-h" {
		fmt.Fprint(out, help)
		return 0
	}
	for _, v := range append([]verb{tableVerb, calibrateVerb}, labVerbs...) {
		if v.name == args[0] {
			return v.call(ctx, args[1:], out, errOut)
		}
	}
	fmt.Fprintf(errOut, "patchbench: unknown verb %q\nhint: see 'patchbench --help'\n", args[0])
	return exitUsage
}

func (v verb) call(ctx context.Context, args []string, out, errOut io.Writer) int {
	f := flag.NewFlagSet(v.name, flag.ContinueOnError)
	f.SetOutput(io.Discard)
	do := v.setUp(f)
	err := f.Parse(args)
	switch {
	case errors.Is(err, flag.ErrHelp):
		fmt.Fprintf(out, "patchbench %s\n\n", v.name)
		f.SetOutput(out)
		f.PrintDefaults()
		fmt.Fprintf(out, "\nexample:\n  %s\n", strings.ReplaceAll(v.example, "\n", "\n  "))
		return 0
	case err == nil && f.NArg() > 0:
		err = fmt.Errorf("unexpected %q", f.Arg(0))
		fallthrough
	case err != nil:
		fmt.Fprintf(errOut, "patchbench %s: %v\nhint: see 'patchbench %s --help'\n", v.name, err, v.name)
		return exitUsage
	}
	if err := do(ctx, out, errOut); err != nil {
		fmt.Fprintf(errOut, "patchbench %s: %v\n", v.name, err)
		if errors.Is(err, errUsage) {
			return exitUsage
		}
		return exitFailed
	}
	return 0
}
