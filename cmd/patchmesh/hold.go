package main

import (
	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) holdCmd() *cobra.Command {
	var r api.HoldRequest
	var file string
	var scope holdScope
	c := &cobra.Command{
		Use:   "hold UPDATE|all --reason TEXT",
		Short: "stop an update, signed",
		Long:  "hold stops an update, or all, on every machine or those of one group. It travels as fast as gossip and is\nsigned like an approval. It prints the id with which it is released.\nA safeguard is for machines of a kind on which the update is known to do harm, and says which: --if asks the inventory as the query of\na group does ('patchmesh group set --help'), and what is not known of a machine counts as fitting. A freeze is for all\nupdates and has an end.\n" + exits,
		Example: `  patchmesh hold openssl-3.0.15 --reason "breaks the till software"
  patchmesh hold driver-7.1 --kind safeguard --if-arch arm64 --reason "hangs on resume, see KI-12"
  patchmesh hold driver-7.1 --kind safeguard --if '{"all":[{"machine":{"vendors":["Lenovo"],"models":["ThinkPad X1*"]}},{"package":{"system":"deb","name":"firmware-x","version":{"below":"1.9-1"}}}]}' --reason "KI-12"
  patchmesh hold all --kind freeze --group servers --until 2027-01-04T06:00:00Z --reason "year-end freeze"`,
		Args: exactly(1, "the id of one update, or all"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Update = args[0]
			if err := scope.read(&r.HoldScope); err != nil {
				return err
			}
			return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) { return s.Hold(c.Context(), r) })
		},
	}
	c.Flags().StringVar(&r.Role, "role", "", "hold as this delegated role (default: as the main approvers)")
	c.Flags().StringVar(&r.Group, "group", "", "only for this group (default: every machine)")
	scope.flags(c.Flags(), &r.HoldScope)
	c.AddCommand(a.holdListCmd(), a.holdExceptCmd(), a.holdUnexceptCmd())
	c.Flags().StringVar(&r.Reason, "reason", "", "why; everybody who meets the hold reads it")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}

func (a *app) releaseCmd() *cobra.Command {
	var r api.ReleaseRequest
	var file string
	c := &cobra.Command{
		Use:     "release HOLD",
		Short:   "end a hold",
		Long:    "release ends a hold by the id that 'patchmesh hold' printed; 'patchmesh explain' shows it too.\n" + exits,
		Example: "  patchmesh release h-0f3a5c2b9d11",
		Args:    exactly(1, "the id of one hold"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Hold = args[0]
			return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) { return s.Release(c.Context(), r) })
		},
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}
