package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) consoleCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "console",
		Short: "print the link of this seed's console, for a browser on this computer",
		Long: "console prints the link of the page that 'patchmesh run --console IP:PORT' shows on a seed: the fleet, and for each update\n" +
			"why it is as it is. The page only shows; orders are given on the command line. The link holds a token of this run: keep it\n" +
			"to yourself. From another computer, open a tunnel to the same port number ('ssh -L 7780:127.0.0.1:7780 SEED') first.\n" + exits,
		Example: "  patchmesh run --console 127.0.0.1:7780\n  patchmesh console",
		Args:    exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			l, err := node.ConsoleLink(a.data)
			if err != nil {
				return err
			}
			if err := a.running(func(api.Service) error { return nil }); err != nil {
				return err // the file of a node that was killed
			}
			return a.print(l, func(w io.Writer) { fmt.Fprintln(w, l.URL) })
		},
	}
}
