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
		Long: `join enrols this machine with a token from 'patchmesh invite'. It goes to the seed, or through any enrolled
machine named by --peer: a machine without a way to the internet can join too. Where there is no way at all,
--via carries the request on a stick: join writes it, 'patchmesh enrol answer DIR' on the seed answers it, and
the same join again on the machine takes the answer. Cut off at any point, the same command goes on.
Other users of this machine can see the arguments of a command while it runs: --token-file keeps the token from
them; the token "-", or --token-file -, reads standard input.
` + exits,
		Example: `  patchmesh join pmj1-...
  patchmesh join pmj1-... --peer 10.0.0.6:7700 --name till-3
  patchmesh join pmj1-... --via /media/stick
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
			if len(args) == 1 && args[0] == "-" {
				file = "-"
			}
			if file == "" {
				r.Token = args[0]
			} else if err := readToken(&r, file, c.InOrStdin()); err != nil {
				return err
			}
			r.Waiting = func(id string) {
				fmt.Fprintf(a.errOut, "waiting for an admin: on the seed, compare the number and run 'patchmesh enrol accept %s'\n", id)
			}
			j, err := node.Join(c.Context(), r, time.Now)
			if err != nil {
				return err
			}
			return a.print(j, func(w io.Writer) { writeJoined(w, j, a.data) })
		},
	}
	c.Flags().StringArrayVar(&r.Peers, "peer", nil, "IP:PORT of the seed or of an enrolled machine; may be repeated")
	c.Flags().StringVar(&file, "token-file", "", "file whose first line is the token; - is standard input")
	c.Flags().StringVar(&r.Name, "name", "", "name of this machine (default: the host name)")
	c.Flags().StringVar(&r.Via, "via", "", "folder of a stick that carries request and answer instead of the network")
	spanVar(c.Flags(), &r.Wait, "wait", 0, "how long to wait for an admin's word (default: until there is one)")
	c.Flags().BoolVar(&r.NoHardware, "no-hardware-id", false, "do not tell the seed by which hardware this machine would be known again")
	return c
}

func writeJoined(w io.Writer, j *node.Joined, data string) {
	if j.Written != "" {
		fmt.Fprintf(w, "machine  %s (%s)\nrequest  %s, written to %s\n\nnext: carry it to the seed and run 'patchmesh enrol answer DIR' there; then the same join here again\n",
			j.Name, j.ID, j.Request, j.Written)
		return
	}
	fmt.Fprintf(w, "organisation  %s\nsite          %s\ngroups        %v\nmachine       %s (%s)\n\nnext: patchmesh run --data %s\n", j.Org, j.Site, j.Groups, j.Name, j.ID, data)
}

// maxToken bounds what is read of a token file; a token has a few hundred bytes.
const maxToken = 16 << 10

func readToken(r *node.JoinRequest, file string, in io.Reader) error {
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
