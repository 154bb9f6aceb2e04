package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) trustLifeCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "life [DAYS]",
		Short: "how long approvals count on machines that hear nothing newer",
		Long: "life shows, or with a number of days states, how long what this seed signs is good for: 1 to 90 days, a week by default.\n" +
			"Machines warn when half of it has passed without news, and begin nothing new when all of it has. Give more only for\n" +
			"sites that hear of news by stick: it is also for how long somebody who cuts a machine off can keep it as it is.\n" + exits,
		Example: "  patchmesh trust life\n  patchmesh trust life 30d",
		Args:    atMost(1, "at most one number of days"),
		RunE: func(c *cobra.Command, args []string) error {
			var r api.TrustLife
			if len(args) == 1 {
				days, err := strconv.Atoi(strings.TrimSuffix(args[0], "d"))
				if err != nil || days < 1 || days > 90 {
					return api.Errorf(api.ClassUsage, "%q is no number of days from 1 to 90", api.Clean(args[0])).WithHint("such as 30d")
				}
				r.Seconds = int64(days) * 24 * 60 * 60
			}
			return a.onSeed(func(s api.Service) error {
				l, err := s.TrustLife(c.Context(), r)
				if err != nil {
					return err
				}
				return a.print(l, func(w io.Writer) {
					fmt.Fprintf(w, "approvals count for %d days without news; those in force until %s\n", l.Seconds/(24*60*60), l.ExpiresAt.Local().Format(time.DateTime))
				})
			})
		},
	}
}
