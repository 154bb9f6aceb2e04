package main

import (
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) rootCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "root",
		Short: "change the root of trust: approvers, thresholds, root and online keys",
		Long: "root makes the next version of the root, which says which keys count for what. It is written to a file, signed by\n" +
			"enough of the old and of the new root keys wherever they are, and published by the seed.\n" + exits,
		Example: "  patchmesh root rotate next-root.json --add-approver carol.pub --threshold 2\n  patchmesh root sign next-root.json --key root.key.age\n  patchmesh root publish next-root.json",
	}
	c.AddCommand(a.rootRotateCmd(), a.rootSignCmd(), a.rootPublishCmd())
	return c
}

func (a *app) rootRotateCmd() *cobra.Command {
	var r api.RootRequest
	var addApprovers, addRoots []string
	var timestamp, snapshot, roster string
	c := &cobra.Command{
		Use:   "rotate FILE",
		Short: "write the next root, unsigned",
		Long: "rotate writes the root that would follow the one in force, with the changes asked for; none at all renews it. Keys\n" +
			"are added by the file of their public half and dropped by their id.\n" + exits,
		Example: "  patchmesh root rotate next-root.json --add-approver carol.pub --drop-approver 3f1c... --threshold 2\n" +
			"  patchmesh key new roster-2 --insecure-no-passphrase && patchmesh root rotate next-root.json --roster-key /var/lib/patchmesh/keys/roster-2.pub",
		Args: exactly(1, "the file to write"),
		RunE: func(c *cobra.Command, args []string) error {
			for _, l := range []struct {
				paths []string
				take  func(text string)
			}{
				{addApprovers, func(text string) { r.AddApprovers = append(r.AddApprovers, text) }},
				{addRoots, func(text string) { r.AddRoots = append(r.AddRoots, text) }},
				{some(timestamp), func(text string) { r.Timestamp = text }},
				{some(snapshot), func(text string) { r.Snapshot = text }},
				{some(roster), func(text string) { r.Roster = text }},
			} {
				for _, p := range l.paths {
					text, err := node.ReadPublicFile(p)
					if err != nil {
						return err
					}
					l.take(text)
				}
			}
			return a.onSeed(func(s api.Service) error {
				v, err := s.RootDraft(c.Context(), r)
				if err != nil {
					return err
				}
				if err := node.WriteFile(args[0], v.Body); err != nil {
					return err
				}
				v.Body = nil
				return a.print(v, func(w io.Writer) {
					showRoot(w, v)
					fmt.Fprintf(w, "next: 'patchmesh root sign %s --key FILE' with each of those keys\n", args[0])
				})
			})
		},
	}
	f := c.Flags()
	f.StringArrayVar(&addApprovers, "add-approver", nil, "file with the public key of a new approver (repeat)")
	f.StringArrayVar(&r.DropApprovers, "drop-approver", nil, "id of an approver key to take away (repeat)")
	f.IntVar(&r.Threshold, "threshold", 0, "approver signatures that an approval needs (0: as it is)")
	f.StringArrayVar(&addRoots, "add-root", nil, "file with the public key of a new root holder (repeat)")
	f.StringArrayVar(&r.DropRoots, "drop-root", nil, "id of a root key to take away (repeat)")
	f.IntVar(&r.RootThreshold, "root-threshold", 0, "signatures that the next root needs (0: as it is)")
	f.StringVar(&timestamp, "timestamp-key", "", "file with the public key of a new timestamp key")
	f.StringVar(&snapshot, "snapshot-key", "", "file with the public key of a new snapshot key")
	f.StringVar(&roster, "roster-key", "", "file with the public key of a new roster key: the old one is worthless once the approvers have signed too")
	return c
}

func some(s string) []string {
	if s == "" {
		return nil
	}
	return []string{s}
}

func showRoot(w io.Writer, v *api.RootView) {
	fmt.Fprintf(w, "root version %d of %s, valid to %s\n", v.Version, api.Clean(v.Org), v.ExpiresAt.UTC().Format(time.DateOnly))
	fmt.Fprintf(w, "  root       %d of %d: %s\n", v.RootNeed, len(v.Root), strings.Join(v.Root, ", "))
	fmt.Fprintf(w, "  approvals  %d of %d: %s\n", v.Threshold, len(v.Approvers), strings.Join(v.Approvers, ", "))
	if v.Roster != "" {
		fmt.Fprintf(w, "  roster     1 of 1: %s\n", v.Roster)
	}
	fmt.Fprintf(w, "  signatures of its own keys: %d of %d", v.NewMade, v.RootNeed)
	if v.OldNeed > 0 {
		fmt.Fprintf(w, "; of the keys in force: %d of %d", v.OldMade, v.OldNeed)
	}
	fmt.Fprintln(w)
	for _, id := range v.Missing {
		fmt.Fprintf(w, "  not signed by %s\n", id)
	}
}

func (a *app) rootSignCmd() *cobra.Command {
	var key, file string
	c := &cobra.Command{
		Use:     "sign FILE",
		Short:   "show a root and add a signature to it",
		Long:    "sign shows which keys a root in a file gives which power, and adds the signature of one root key to the file. It\nneeds no network and no data folder.\n" + exits,
		Example: "  patchmesh root sign next-root.json --key /media/alice/root.key.age",
		Args:    exactly(1, "the file of a root"),
		RunE: func(_ *cobra.Command, args []string) error {
			v, err := node.ShowRootFile(args[0])
			if err != nil {
				return err
			}
			v.Body = nil
			if key == "" {
				return a.print(v, func(w io.Writer) { showRoot(w, v) })
			}
			showRoot(a.aside(), v) // before the key is opened
			return a.signing(file, func(p api.Secret) error {
				v, err := node.SignRootFile(args[0], key, p)
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) {
					fmt.Fprintf(w, "signed: %d of %d signatures of its own keys\nnext: %s\n", v.NewMade, v.RootNeed, afterSigning(v, args[0]))
				})
			})
		},
	}
	c.Flags().StringVar(&key, "key", "", "the root key (NAME.key or NAME.key.age); without it the root is only shown")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the key")
	return c
}

// afterSigning is what comes next for a root that was signed. The first one of all founds the mesh, and no seed can publish
// it; of a later one nobody sees here whether enough of the old keys have signed too.
func afterSigning(v *api.RootView, file string) string {
	switch {
	case v.Version > 1:
		return fmt.Sprintf("another root holder, or 'patchmesh root publish %s' on the seed", file)
	case v.NewMade < v.RootNeed:
		return fmt.Sprintf("another root holder; with %d, 'patchmesh init %s' goes on where the mesh is being founded", v.RootNeed, file)
	}
	return fmt.Sprintf("'patchmesh init %s' on the computer where the mesh is being founded, with its --data", file)
}

func (a *app) rootPublishCmd() *cobra.Command {
	var reason, file string
	c := &cobra.Command{
		Use:   "publish FILE",
		Short: "publish a root that has enough signatures",
		Long: "publish makes a root with enough signatures the one in force; machines take it with the next head. Where it changes\n" +
			"approvers so that what is approved has too few signatures under it, the same approvals wait as a draft for theirs.\n" + exits,
		Example: "  patchmesh root publish next-root.json --reason \"carol joins the approvers\"",
		Args:    exactly(1, "the file of a root"),
		RunE: func(c *cobra.Command, args []string) error {
			b, err := node.ReadRootFile(args[0])
			if err != nil {
				return err
			}
			return a.onSeed(func(s api.Service) error {
				return a.signing(file, func(p api.Secret) error {
					v, err := s.AdoptRoot(c.Context(), api.RootFile{Body: b, Reason: reason, Passphrase: p})
					if err != nil {
						return err
					}
					return a.print(v, func(w io.Writer) {
						showRoot(w, v)
						if v.Published {
							fmt.Fprintln(w, "published")
							return
						}
						fmt.Fprintf(w, "not published yet: waits for %s\nnext: 'patchmesh draft export' and 'patchmesh sign' with one of those keys\n", v.Waits)
					})
				})
			})
		},
	}
	c.Flags().StringVar(&reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of approver keys here")
	return c
}
