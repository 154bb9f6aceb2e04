package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) joinCmd() *cobra.Command {
	var r node.JoinRequest
	var file string
	c := &cobra.Command{
		Use:   "join TOKEN",
		Short: "enrol this machine",
		Long:  "join enrols this machine with a token from 'patchmesh invite'. It goes to the seed, or through any enrolled\nmachine named by --peer: a machine without a way to the internet can join too.\nOther users of this machine can see the arguments of a command while it runs: --token-file keeps the token from them.\n" + exits,
		Example: `  patchmesh join pmj1-...
  patchmesh join pmj1-... --peer 10.0.0.6:7700 --name till-3
  ssh seed patchmesh invite | patchmesh join --token-file -`,
		Args: func(c *cobra.Command, args []string) error {
			if file != "" {
				return exactly(0, "one token, or --token-file alone")(c, args)
			}
			return exactly(1, "one token")(c, args)
		},
		RunE: func(c *cobra.Command, args []string) error {
			noCoreDumps(true)
			r.DataDir = a.data
			if file == "" {
				r.Token = args[0]
			} else if err := readToken(&r, file); err != nil {
				return err
			}
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
	c.Flags().StringVar(&file, "token-file", "", "file whose first line is the token; - is standard input")
	c.Flags().StringVar(&r.Name, "name", "", "name of this machine (default: the host name)")
	return c
}

// maxToken bounds what is read of a token file; a token has a few hundred bytes.
const maxToken = 16 << 10

func readToken(r *node.JoinRequest, file string) error {
	in := os.Stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return api.Errorf(api.ClassUsage, "token file: %v", err)
		}
		defer f.Close()
		in = f
	}
	line, err := bufio.NewReader(io.LimitReader(in, maxToken)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return api.Errorf(api.ClassUsage, "token file: %v", err)
	}
	if r.Token = strings.TrimSpace(line); r.Token == "" {
		return api.Errorf(api.ClassUsage, "there is no token in %s", file).WithHint("its first line must be what 'patchmesh invite' printed")
	}
	return nil
}
