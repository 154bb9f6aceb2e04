package main

import (
	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) roleCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "role",
		Short: "let other keys decide for some groups",
		Long: "role gives further approvers a part of the main approvers' power: some actions for some groups, with a threshold of\n" +
			"their own. What exceeds the limits is refused by every machine.\n" + exits,
		Example: "  patchmesh role grant canary --group canary --action install --action hold --approver bob.pub\n  patchmesh role drop canary",
	}
	c.AddCommand(a.roleGrantCmd(), a.roleDropCmd())
	return c
}

func (a *app) roleGrantCmd() *cobra.Command {
	var r api.GrantRequest
	var keys []string
	var file string
	c := &cobra.Command{
		Use:   "grant ROLE --group G... --action A... --approver PUBFILE...",
		Short: "give a role to keys, within limits",
		Long: "grant makes a role, or changes its limits or keys. It is a change of the main approvers' draft and needs their\n" +
			"signatures. With the same keys the role's decisions stay in force as far as the new limits allow; other keys begin empty.\n" + exits,
		Example: "  patchmesh role grant canary --group canary --action install --action hold --approver bob.pub --threshold 1",
		Args:    exactly(1, "the name of a role"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Role = args[0]
			for _, path := range keys {
				text, err := node.ReadPublicFile(path)
				if err != nil {
					return err
				}
				r.Keys = append(r.Keys, text)
			}
			return a.granting(c, &r, file)
		},
	}
	f := c.Flags()
	f.StringArrayVar(&r.Groups, "group", nil, "group that the role may decide for (repeat)")
	f.StringArrayVar(&r.Actions, "action", nil, "install, remove, detect-only, decline, optional, stage-only, hold or expedite (repeat)")
	f.StringArrayVar(&keys, "approver", nil, "file with the public key of one of the role's approvers (repeat)")
	f.IntVar(&r.Threshold, "threshold", 1, "how many of them must sign")
	f.StringVar(&r.Reason, "reason", "", "why, for the approval log")
	f.StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}

func (a *app) roleDropCmd() *cobra.Command {
	r := api.GrantRequest{Drop: true}
	var file string
	c := &cobra.Command{
		Use:     "drop ROLE",
		Short:   "take a role away",
		Long:    "drop takes a role away, with everything that it has decided. It needs the main approvers' signatures.\n" + exits,
		Example: "  patchmesh role drop canary --reason \"the pilot is over\"",
		Args:    exactly(1, "the name of a role"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Role = args[0]
			return a.granting(c, &r, file)
		},
	}
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	return c
}

func (a *app) granting(c *cobra.Command, r *api.GrantRequest, file string) error {
	return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) { return s.Grant(c.Context(), *r) })
}
