package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
)

func (a *app) joinCmd() *cobra.Command {
	var r node.JoinRequest
	c := &cobra.Command{
		Use:   "join TOKEN",
		Short: "enrol this machine",
		Long:  "join enrols this machine with a token from 'patchmesh invite'. It goes to the seed, or through any enrolled\nmachine named by --peer: a machine without a way to the internet can join too.\n" + exits,
		Example: `  patchmesh join pmj1-...
  patchmesh join pmj1-... --peer 10.0.0.6:7700 --name till-3`,
		Args: exactly(1, "one token"),
		RunE: func(c *cobra.Command, args []string) error {
			r.DataDir, r.Token = a.data, args[0]
			j, err := node.Join(c.Context(), r, time.Now)
			if err != nil {
				return err
			}
			return a.print(j, func(w io.Writer) {
				fmt.Fprintf(w, "organisation  %s\nsite          %s\ngroups        %v\nmachine       %s (%s)\n\nnext: patchmesh run --data %s\n", j.Org, j.Site, j.Groups, j.Name, j.ID, a.data)
			})
		},
	}
	c.Flags().StringArrayVar(&r.Peers, "peer", nil, "IP:PORT of the seed or of an enrolled machine; may be repeated")
	c.Flags().StringVar(&r.Name, "name", "", "name of this machine (default: the host name)")
	return c
}
