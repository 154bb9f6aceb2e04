package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) siteCmd() *cobra.Command {
	var r api.SiteRequest
	c := &cobra.Command{
		Use:   "site SITE [--prefix CIDR]...",
		Short: "say where the machines of a site may be",
		Long: "site tells the machines of a site in which prefixes they may look for each other. Without it each goes by the\n" +
			"subnets of its own interfaces, which is enough unless a site has several subnets. Without --prefix it shows\n" +
			"what is stated.\n" + exits,
		Example: `  patchmesh site berlin --prefix 10.1.0.0/16 --prefix fd12:3456::/48
  patchmesh site berlin`,
		Args: exactly(1, "the name of one site"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Site = args[0]
			return a.onSeed(func(s api.Service) error {
				v, err := s.Site(c.Context(), r)
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) {
					if len(v.Prefixes) == 0 {
						fmt.Fprintf(w, "%s: no prefixes are stated; each machine goes by the subnets it sees\n", v.Site)
						return
					}
					fmt.Fprintf(w, "%s: %s\n", v.Site, api.Clean(strings.Join(v.Prefixes, " ")))
				})
			})
		},
	}
	c.Flags().StringArrayVar(&r.Prefixes, "prefix", nil, "network/length in which machines of the site are; may be repeated, replaces what was stated")
	c.Flags().BoolVar(&r.Clear, "clear", false, "state nothing any more")
	c.MarkFlagsMutuallyExclusive("prefix", "clear")
	return c
}
