package main

import (
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) revokeCmd() *cobra.Command {
	var r api.RevokeRequest
	c := &cobra.Command{
		Use:   "revoke MACHINE [--reason TEXT]",
		Short: "lock a machine out of the mesh",
		Long: "revoke puts a machine on the signed list of those that are locked out. The news travels as fast as gossip:\n" +
			"whoever hears it ends its sessions with that machine, answers it no more and forgets where it is; the gossip\n" +
			"keys change within minutes. Nothing is deleted on the machine itself. --undo lets it in again.\n" + exits,
		Example: `  patchmesh revoke till-3 --reason "stolen on Friday"
  patchmesh revoke till-3 --undo`,
		Args: exactly(1, "the name or id of one machine"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Machine = args[0]
			return a.onSeed(func(s api.Service) error {
				v, err := s.Revoke(c.Context(), r)
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) { writeRevoked(w, v) })
			})
		},
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "why; status shows it, and the machine is told")
	c.Flags().BoolVar(&r.Undo, "undo", false, "let the machine in again")
	return c
}

func writeRevoked(w io.Writer, v *api.Revoked) {
	switch {
	case v.Undone:
		fmt.Fprintf(w, "%s is welcome again (%s)\n", api.Clean(v.Name), v.ID)
	case v.Unchanged:
		fmt.Fprintf(w, "%s was locked out already, on %s: %s\n", api.Clean(v.Name), v.At.Local().Format("2006-01-02 15:04"), api.Clean(v.Reason))
	default:
		fmt.Fprintf(w, "%s is locked out (%s); machines that are on hear of it within seconds, others when they come back\n", api.Clean(v.Name), v.ID)
	}
}
