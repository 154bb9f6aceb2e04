package main

import "github.com/spf13/cobra"

// trustCmd is the parent of the verbs about trusted metadata.
func (a *app) trustCmd() *cobra.Command {
	c := &cobra.Command{
		Use:     "trust",
		Short:   "what is trusted: keys, thresholds, ages",
		Long:    "trust shows what this machine trusts.\n" + exits,
		Example: "  patchmesh trust show",
	}
	c.AddCommand(a.trustShowCmd())
	return c
}
