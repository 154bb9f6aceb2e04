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
		Use:   "site SITE [--prefix CIDR]... [--wan-budget day|month=SIZE]... [--neighbour SITE]...",
		Short: "say where the machines of a site may be, and what they may take over the WAN",
		Long: "site tells the machines of a site in which prefixes they may look for each other. Without it each goes by the\n" +
			"subnets of its own interfaces, which is enough unless a site has several subnets. With --wan-budget it\n" +
			"says how much all of them together may take over the WAN. --stale-days is for a site without a network that is\n" +
			"visited more rarely than certificates (7 days) last. With --neighbour its machines may take payload bytes from machines\n" +
			"of another site before they use the WAN; without it nobody outside a site gives or gets any. State the prefixes\n" +
			"of that site too: only inside them its machines are looked for. A machine is of one site, that of its token; where\n" +
			"prefixes of sites overlap the narrowest says at which site it is now. Without any flag it shows what is stated.\n" + exits,
		Example: `  patchmesh site berlin --prefix 10.1.0.0/16 --prefix fd12:3456::/48
  patchmesh site berlin --wan-budget month=20GB@Europe/Berlin
  patchmesh site ship --stale-days 30
  patchmesh site potsdam --neighbour berlin
  patchmesh site berlin`,
		Args: exactly(1, "the name of one site"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Site = args[0]
			return a.onSeed(func(s api.Service) error {
				v, err := s.Site(c.Context(), r)
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) { writeSite(w, v) })
			})
		},
	}
	c.Flags().StringArrayVar(&r.Prefixes, "prefix", nil, "network/length in which machines of the site are; may be repeated, replaces what was stated")
	c.Flags().BoolVar(&r.Clear, "clear", false, "state nothing any more")
	c.Flags().StringArrayVar(&r.WANBudget, "wan-budget", nil, "day=SIZE or month=SIZE[@ZONE] that its machines together may take over the WAN; may be repeated, replaces what was stated")
	c.Flags().BoolVar(&r.WANBudgetStrict, "wan-budget-strict", false, "the budget holds even for what approvers let pass it ('patchmesh approve --ignore-budget')")
	c.Flags().IntVar(&r.StaleDays, "stale-days", 0, "for so many days after their time machines of the site still take each other's certificates, and go on with approvals; -1: no more")
	c.Flags().StringArrayVar(&r.Neighbours, "neighbour", nil, "site whose machines give payload bytes to machines of this one; may be repeated, replaces what was stated; none: none any more")
	c.MarkFlagsMutuallyExclusive("neighbour", "clear")
	c.MarkFlagsMutuallyExclusive("prefix", "clear")
	c.MarkFlagsMutuallyExclusive("stale-days", "clear")
	c.MarkFlagsMutuallyExclusive("wan-budget", "clear")
	return c
}

func writeSite(w io.Writer, v *api.Site) {
	if len(v.Prefixes) == 0 {
		fmt.Fprintf(w, "%s: no prefixes are stated; each machine goes by the subnets it sees\n", v.Site)
	} else {
		fmt.Fprintf(w, "%s: %s\n", v.Site, api.Clean(strings.Join(v.Prefixes, " ")))
	}
	if len(v.WANBudget) > 0 {
		fmt.Fprintf(w, "WAN budget: %s\n", api.Clean(strings.Join(v.WANBudget, " ")))
	}
	if len(v.Neighbours) > 0 {
		fmt.Fprintf(w, "takes from: %s\n", api.Clean(strings.Join(v.Neighbours, " ")))
	}
	if v.StaleDays > 0 {
		fmt.Fprintf(w, "staleness budget: %d days\n", v.StaleDays)
	}
	for _, o := range v.Overlaps {
		fmt.Fprintln(w, api.Clean(o))
	}
}
