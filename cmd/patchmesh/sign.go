package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) signCmd() *cobra.Command {
	var file, role string
	var show bool
	var off offlineSign
	c := &cobra.Command{
		Use:   "sign [DRAFT]",
		Short: "show what a draft changes and sign it",
		Long: "sign shows exactly what a draft changes against what is trusted, and then signs it.\n" +
			"Without a file it signs the draft that waits on this seed with the approver keys here. With a file from\n" +
			"'patchmesh draft export' it needs no network and no seed: the draft is verified from the root fingerprint, or from\n" +
			"what this machine has seen before (--trust), and the signature goes into the file.\n" + exits,
		Example: `  patchmesh sign --show
  patchmesh sign --passphrase-file /root/pass
  patchmesh sign /media/stick/patchmesh-draft-main-7.json --key ~/keys/alice.key.age --root bafk... --trust ~/patchmesh-trust`,
		Args: atMost(1, "at most one draft file"),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) == 1 {
				off.path, off.show, off.file = args[0], show, file
				return a.signFile(off)
			}
			return a.onSeed(func(s api.Service) error {
				v, err := s.Draft(c.Context(), api.DraftQuery{Role: role})
				if err != nil {
					return err
				}
				if show {
					return a.print(v, func(w io.Writer) { showDraft(w, v) })
				}
				showDraft(a.aside(), v) // before any key is asked for
				return a.signing(file, func(p api.Secret) error {
					r, err := s.Sign(c.Context(), api.SignRequest{Role: role, Digest: v.Digest, Passphrase: p})
					if r != nil {
						r.Changes = v.Changes
					}
					return a.published(r, err)
				})
			})
		},
	}
	f := c.Flags()
	f.StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
	f.StringVar(&role, "role", "", "sign the draft of this delegated role")
	f.BoolVar(&show, "show", false, "only show what the draft changes")
	f.StringVar(&off.key, "key", "", "with a file: the key to sign with (NAME.key or NAME.key.age)")
	f.StringVar(&off.root, "root", "", "with a file: fingerprint of the organisation's first root")
	f.StringVar(&off.trust, "trust", "", "with a file: folder that remembers what this machine has seen of the organisation")
	return c
}

// atMost is cobra's check of the number of arguments, with our class and hint.
func atMost(n int, what string) cobra.PositionalArgs {
	return func(c *cobra.Command, args []string) error {
		if len(args) > n {
			return api.Errorf(api.ClassUsage, "'%s' takes %s", c.CommandPath(), what).WithHint("see '%s --help'", c.CommandPath())
		}
		return nil
	}
}

// aside is where text goes that comes before the facts: with --json, standard output has one document.
func (a *app) aside() io.Writer {
	if a.json {
		return a.errOut
	}
	return a.out
}

// showDraft prints what a signature under the draft says, in the order of the manifest.
func showDraft(w io.Writer, v *api.DraftView) {
	whose := fmt.Sprintf("epoch %d", v.Epoch)
	if v.Role != "" {
		whose = fmt.Sprintf("role %s, serial %d", v.Role, v.Epoch)
	}
	fmt.Fprintf(w, "draft for %s, %s\n", api.Clean(v.Org), whose)
	if v.Reason != "" {
		fmt.Fprintf(w, "  reason     %s\n", api.Clean(v.Reason))
	}
	fmt.Fprintf(w, "  manifest   %s\n  valid to   %s\n  signatures %d of %d\n", v.Manifest, v.ExpiresAt.UTC().Format(time.RFC3339), v.Signatures, v.Threshold)
	for _, id := range v.Missing {
		fmt.Fprintf(w, "  not signed by %s\n", id)
	}
	if v.NextRoot != nil {
		fmt.Fprint(w, "comes into force together with ")
		showRoot(w, v.NextRoot)
	}
	if len(v.Changes) == 0 {
		fmt.Fprintln(w, "changes nothing: it renews what is approved already")
		return
	}
	fmt.Fprintf(w, "changes (%d):\n", len(v.Changes))
	for _, c := range v.Changes {
		for line := range strings.Lines(c.Text) {
			fmt.Fprintf(w, "  %s\n", api.Clean(strings.TrimRight(line, "\n")))
		}
		if c.Warning != "" {
			fmt.Fprintf(w, "              WARNING: %s\n", api.Clean(c.Warning))
		}
		writeProperties(w, "              ", c.Properties)
	}
}

// offlineSign is what signing a file needs.
type offlineSign struct {
	path, key, root, trust, file string
	show                         bool
}

// signFile signs a draft in a file. Everything is shown before the key is opened.
func (a *app) signFile(o offlineSign) error {
	f, err := node.OpenSignFile(o.path, o.trust, o.root, time.Now())
	if err != nil {
		return err
	}
	if o.show {
		return a.print(f.View, func(w io.Writer) { showDraft(w, f.View) })
	}
	showDraft(a.aside(), f.View)
	if o.key == "" {
		return api.Errorf(api.ClassUsage, "which key should sign?").WithHint("add --key FILE, or --show to look only")
	}
	return a.signing(o.file, func(p api.Secret) error {
		v, err := f.Sign(o.key, p)
		if err != nil {
			return err
		}
		return a.print(v, func(w io.Writer) {
			fmt.Fprintf(w, "signed: %d of %d signatures\n", v.Signatures, v.Threshold)
			if v.Signatures >= v.Threshold {
				fmt.Fprintf(w, "next: 'patchmesh draft import %s' on the seed\n", o.path)
			} else {
				fmt.Fprintln(w, "next: carry the file to another approver")
			}
		})
	})
}

func (a *app) draftCmd() *cobra.Command {
	c := &cobra.Command{
		Use:     "draft",
		Short:   "carry drafts to approvers and signatures back",
		Long:    "draft writes the drafts that wait for signatures to files, and takes the signatures of files that come back.\n" + exits,
		Example: "  patchmesh draft export /media/stick\n  patchmesh draft import /media/stick",
	}
	c.AddCommand(a.draftExportCmd(), a.draftImportCmd())
	return c
}

func (a *app) draftExportCmd() *cobra.Command {
	return &cobra.Command{
		Use:     "export FILE|DIR",
		Short:   "write the drafts that wait for signatures",
		Long:    "export writes every pending draft, with what it takes to verify it from the root fingerprint. A folder takes one\nfile per draft; a file takes the draft if there is just one.\n" + exits,
		Example: "  patchmesh draft export /media/stick",
		Args:    exactly(1, "a file or a folder"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.onSeed(func(s api.Service) error {
				d, err := s.ExportDrafts(c.Context())
				if err != nil {
					return err
				}
				fi, err := os.Stat(args[0])
				folder := err == nil && fi.IsDir()
				if !folder && len(d.Files) > 1 {
					return api.Errorf(api.ClassUsage, "%d drafts wait, and %s is no folder", len(d.Files), args[0]).WithHint("name a folder that exists")
				}
				written := []string{}
				for _, f := range d.Files {
					path := args[0]
					if folder {
						path = filepath.Join(args[0], filepath.Base(f.Name))
					}
					if err := node.WriteFile(path, f.Body); err != nil {
						return err
					}
					written = append(written, path)
				}
				return a.print(map[string]any{"files": written}, func(w io.Writer) {
					for _, p := range written {
						fmt.Fprintln(w, p)
					}
				})
			})
		},
	}
}

func (a *app) draftImportCmd() *cobra.Command {
	var file string
	c := &cobra.Command{
		Use:     "import FILE|DIR",
		Short:   "take the signatures of drafts that come back",
		Long:    "import adds the signatures in the files to the drafts that wait here, and publishes those that have enough.\n" + exits,
		Example: "  patchmesh draft import /media/stick",
		Args:    exactly(1, "a file or a folder"),
		RunE: func(c *cobra.Command, args []string) error {
			paths := []string{args[0]}
			if fi, err := os.Stat(args[0]); err == nil && fi.IsDir() {
				if paths, err = filepath.Glob(filepath.Join(args[0], "patchmesh-draft-*.json")); err != nil || len(paths) == 0 {
					return api.Errorf(api.ClassNotFound, "no patchmesh-draft-*.json in %s", args[0])
				}
				slices.Sort(paths)
			}
			return a.onSeed(func(s api.Service) error {
				return a.signing(file, func(p api.Secret) error { return a.importDrafts(c, s, paths, p) })
			})
		},
	}
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase of an approver key here")
	return c
}

func (a *app) importDrafts(c *cobra.Command, s api.Service, paths []string, passphrase api.Secret) error {
	var errs []error
	for _, path := range paths {
		b, err := node.ReadDraftFile(path)
		if err != nil {
			return err
		}
		if err := a.published(s.ImportDraft(c.Context(), api.DraftFile{Name: filepath.Base(path), Body: b, Passphrase: passphrase})); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}
