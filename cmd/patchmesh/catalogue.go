package main

import (
	"fmt"
	"io"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) catalogueCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "catalogue",
		Short: "what is known of updates",
		Long: "catalogue tells the properties of updates: on a seed of everything that was imported, on a machine of what its\n" +
			"approvals name and has come to it; it answers where patchmesh is not running too.\n" + exits,
		Example: "  patchmesh catalogue list\n  patchmesh catalogue show openssl-3.0.15",
	}
	list := &cobra.Command{
		Use:   "list",
		Short: "one line for each update",
		Long: "list prints each update with its newest revision, how it stands among those that replace each other (alone, newest,\n" +
			"between, superseded), and what is approved about it.\n" + exits,
		Example: "  patchmesh catalogue list\n  patchmesh catalogue list --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.catalogue(c, api.CatalogueQuery{}, writeCatalogue)
		},
	}
	var q api.CatalogueQuery
	show := &cobra.Command{
		Use:   "show UPDATE[@REVISION]",
		Short: "all that is known of one update",
		Long: "show prints everything that an approval of the update would sign: severity, CVEs and references, what installing does\n" +
			"to people, installer and fixed arguments, rules, hashes of scripts, sizes; with its revisions and approvals.\n" + exits,
		Example: "  patchmesh catalogue show openssl-3.0.15\n  patchmesh catalogue show openssl-3.0.15@2 --json",
		Args:    exactly(1, "the id of one update"),
		RunE: func(c *cobra.Command, args []string) error {
			r := api.ApproveRequest{Revision: q.Revision}
			if err := readApproved(&r, args[0], false); err != nil {
				return err
			}
			q.Update, q.Revision = r.Update, r.Revision
			return a.catalogue(c, q, writeUpdate)
		},
	}
	show.Flags().IntVar(&q.Revision, "revision", 0, "revision of the update, also as UPDATE@N (default: the newest)")
	c.AddCommand(list, show)
	return c
}

func (a *app) catalogue(c *cobra.Command, q api.CatalogueQuery, text func(io.Writer, *api.Catalogue)) error {
	var all *api.Catalogue
	err := a.orStopped(func(s api.Service) (err error) {
		v, ok := s.(api.Cataloguer)
		if !ok {
			return api.Errorf(api.ClassFailed, "the running patchmesh is older than this command").WithHint("restart it")
		}
		all, err = v.Catalogue(c.Context(), q)
		return err
	}, func() (err error) {
		all, err = node.CatalogueStopped(c.Context(), a.data, q, time.Now)
		return err
	})
	if err != nil {
		return err
	}
	return a.print(all, func(w io.Writer) { text(w, all) })
}

func writeCatalogue(w io.Writer, v *api.Catalogue) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "UPDATE\tREVISION\tSEVERITY\tRESTART\tSIZE\tCHAIN\tAPPROVALS\tTITLE")
	for _, u := range v.Updates {
		chain := u.Chain
		if u.Withdrawn {
			chain += ", withdrawn"
		}
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n", u.Update, u.Revision, u.Severity, u.Restart, api.Size(u.SizeBytes), chain,
			orNone(strings.Join(approvalTexts(u), ", ")), api.Clean(u.Title))
	}
	_ = t.Flush()
}

func orNone(s string) string {
	if s == "" {
		return "none"
	}
	return s
}

func approvalTexts(u api.CatalogueEntry) []string {
	var out []string
	for _, p := range u.Approvals {
		s := p.Action + " for " + p.Group
		if p.Revision != u.Revision {
			s += fmt.Sprintf(" (revision %d)", p.Revision)
		}
		if p.Role != "" {
			s += " by role " + p.Role
		}
		out = append(out, api.Clean(s))
	}
	return out
}

func writeUpdate(w io.Writer, v *api.Catalogue) {
	for _, u := range v.Updates {
		writeProperties(w, "", u.Properties)
		own := []api.Property{{Name: "descriptor", Value: u.DescriptorID}, {Name: "chain", Value: u.Chain}}
		if len(u.SupersededBy) > 0 {
			own = append(own, api.Property{Name: "superseded by", Value: strings.Join(u.SupersededBy, ", ")})
		}
		var revisions []string
		for _, r := range u.Revisions {
			revisions = append(revisions, strconv.Itoa(r))
		}
		own = append(own, api.Property{Name: "revisions", Value: strings.Join(revisions, ", ")},
			api.Property{Name: "approvals", Value: orNone(strings.Join(approvalTexts(u), ", "))})
		writeProperties(w, "", own)
	}
}

func writeProperties(w io.Writer, indent string, all []api.Property) {
	for _, p := range all {
		fmt.Fprintf(w, "%s%-15s %s\n", indent, p.Name, api.Clean(p.Value))
	}
}
