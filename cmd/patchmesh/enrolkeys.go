package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) enrolKeysCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "keys",
		Short:   "the keys whose membership certificates count",
		Long:    "keys lists the enrolment keys that the signed roster names: the one that issues, and those before it whose certificates\nare still good.\n" + exits,
		Example: "  patchmesh enrol keys\n  patchmesh enrol keys --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.onSeed(func(s api.Service) error {
				k, err := s.EnrolKeys(c.Context())
				if err != nil {
					return err
				}
				return a.print(k, func(w io.Writer) { writeEnrolKeys(w, k) })
			})
		},
	}
}

func (a *app) enrolRotateCmd() *cobra.Command {
	r := api.EnrolKeyChange{Rotate: true}
	c := &cobra.Command{
		Use:   "rotate [--withdraw]",
		Short: "issue membership certificates with a new key",
		Long: "rotate makes a new enrolment key and publishes it in the signed roster. Certificates of the key before it stay good until\n" +
			"they end; by then all machines have renewed, and the old key goes by itself. With --withdraw, after a theft, every key\n" +
			"but the new one counts no more from now on: machines that are on renew within seconds, those that are off when they\n" +
			"come back, and whoever was let in with a stolen key is out. No machine needs a new token.\n" + exits,
		Example: "  patchmesh enrol rotate\n  patchmesh enrol rotate --withdraw",
		Args:    exactly(0, "no arguments"),
		RunE:    func(c *cobra.Command, _ []string) error { return a.changeEnrolKeys(c, r) },
	}
	c.Flags().BoolVar(&r.Withdraw, "withdraw", false, "the keys before it count no more, at once")
	return c
}

func (a *app) enrolWithdrawCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "withdraw KEY",
		Short:   "take a key that no longer issues out of the roster at once",
		Long:    "withdraw ends an enrolment key before its last certificate does: machines that still show one renew within seconds.\nThe key that issues is replaced with 'patchmesh enrol rotate --withdraw'.\n" + exits,
		Example: "  patchmesh enrol keys\n  patchmesh enrol withdraw 5f0c2a91b7d4e863",
		Args:    exactly(1, "the id of one key"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.changeEnrolKeys(c, api.EnrolKeyChange{Withdraw: true, WithdrawKey: args[0]})
		},
	}
}

func (a *app) changeEnrolKeys(c *cobra.Command, r api.EnrolKeyChange) error {
	return a.onSeed(func(s api.Service) error {
		k, err := s.ChangeEnrolKeys(c.Context(), r)
		if err != nil {
			return err
		}
		return a.print(k, func(w io.Writer) { writeEnrolKeys(w, k) })
	})
}

func writeEnrolKeys(w io.Writer, k *api.EnrolKeys) {
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "KEY\tSTATE")
	for _, e := range k.Keys {
		state := "its certificates are good"
		switch {
		case e.Issuing:
			state = "issues"
		case !e.Held:
			state += "; not of this seed"
		case !e.Until.IsZero():
			state += " until " + e.Until.Local().Format("2006-01-02 15:04")
		}
		fmt.Fprintf(t, "%s\t%s\n", e.ID, state)
	}
	_ = t.Flush()
	for _, id := range k.Withdrawn {
		fmt.Fprintf(w, "%s is withdrawn: machines that are on hear of it within seconds and renew, others when they come back\n", id)
	}
}
