package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) inviteCmd() *cobra.Command {
	var r api.InviteRequest
	c := &cobra.Command{
		Use:   "invite",
		Short: "print a token with which machines join",
		Long:  "invite makes a join token on the seed. It is a secret: whoever holds it becomes a member of the mesh,\nunless --approve-each leaves the last word to an admin.\n" + exits,
		Example: `  patchmesh invite --site berlin --group office
  patchmesh invite --site berlin --group office --uses 40 --expires 8h > token
  patchmesh invite --site berlin --uses 40 --expires 72h --approve-each --name-pattern 'till-*'`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			if c.Flags().Changed("uses") && r.Uses < 1 { // nought would mean the default to the node
				return api.Errorf(api.ClassUsage, "--uses %d: a token is for one machine at least", r.Uses)
			}
			return a.onSeed(func(s api.Service) error {
				t, err := s.Invite(c.Context(), r)
				if err != nil {
					return err
				}
				fmt.Fprintf(a.errOut, "for site %s, %d use(s), until %s\n", t.Site, t.Uses, t.ExpiresAt.Local().Format("2006-01-02 15:04"))
				if t.ApproveEach {
					fmt.Fprintln(a.errOut, "each machine waits until 'patchmesh enrol accept' lets it in")
				}
				return a.print(t, func(w io.Writer) { fmt.Fprintln(w, t.Token) })
			})
		},
	}
	c.Flags().StringVar(&r.Site, "site", node.DefaultSite, "site that the machines belong to: those that share one internet line")
	c.Flags().StringArrayVar(&r.Groups, "group", nil, "group of the machines; may be repeated")
	c.Flags().IntVar(&r.Uses, "uses", 1, "how many machines may use the token")
	c.Flags().Var((*spanFlag)(&r.ExpiresIn), "expires", "how long it is good for (default 1h)")
	c.Flags().BoolVar(&r.ApproveEach, "approve-each", false, "let each machine wait until an admin accepts it ('patchmesh enrol')")
	c.Flags().StringVar(&r.NamePattern, "name-pattern", "", "only machines with such names, as 'till-*' (default: any)")
	return c
}
