package main

import (
	"fmt"
	"io"
	"path/filepath"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) keyCmd() *cobra.Command {
	c := &cobra.Command{
		Use:     "key",
		Short:   "make and show keys of approvers and of the root",
		Long:    "key makes keys for people who sign: approvers and holders of the root. The private key stays in its folder; the\npublic one (NAME.pub) goes to whoever gives it a role.\n" + exits,
		Example: "  patchmesh key new alice --out /media/alice\n  patchmesh key show --out /media/alice",
	}
	c.AddCommand(a.keyNewCmd(), a.keyShowCmd())
	return c
}

func (a *app) keyNewCmd() *cobra.Command {
	var file, out string
	var insecure bool
	c := &cobra.Command{
		Use:     "new NAME",
		Short:   "make a key",
		Long:    "new makes an Ed25519 key and encrypts it with a passphrase (age, scrypt), which is asked for at each signing and\nnever stored.\n" + exits,
		Example: "  patchmesh key new alice --out /media/alice --passphrase-file /root/pass",
		Args:    exactly(1, "a name"),
		RunE: func(_ *cobra.Command, args []string) error {
			r := node.FoundRequest{}
			if err := a.newPassphrase(&r, file, insecure); err != nil {
				return err
			}
			if err := a.ownKeys(out); err != nil {
				return err
			}
			k, err := node.NewKey(keyFolder(a, out), args[0], r.Passphrase)
			if err != nil {
				return err
			}
			return a.print(k, func(w io.Writer) { showKey(w, *k) })
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder for the key (default: keys in the data folder)")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase")
	c.Flags().BoolVar(&insecure, "insecure-no-passphrase", false, "leave the key unencrypted")
	return c
}

func (a *app) keyShowCmd() *cobra.Command {
	var out string
	c := &cobra.Command{
		Use:     "show [NAME]",
		Short:   "list the keys of a folder",
		Long:    "show lists keys with their ids, as 'patchmesh trust show' prints them. No passphrase is needed.\n" + exits,
		Example: "  patchmesh key show --out /media/alice",
		Args:    atMost(1, "at most one name"),
		RunE: func(_ *cobra.Command, args []string) error {
			if err := a.ownKeys(out); err != nil {
				return err
			}
			all, err := node.ShowKeys(keyFolder(a, out))
			if err != nil {
				return err
			}
			if len(args) == 1 {
				for _, k := range all {
					if k.Name == args[0] {
						return a.print(k, func(w io.Writer) { showKey(w, k) })
					}
				}
				return api.Errorf(api.ClassNotFound, "no key %q in %s", api.Clean(args[0]), keyFolder(a, out))
			}
			return a.print(all, func(w io.Writer) {
				for _, k := range all {
					showKey(w, k)
				}
			})
		},
	}
	c.Flags().StringVar(&out, "out", "", "folder of the keys (default: keys in the data folder)")
	return c
}

// ownKeys: keys of the data folder are its owner's business, whoever asks.
func (a *app) ownKeys(out string) error {
	if out != "" {
		return nil
	}
	return node.ActAsOwner(a.data)
}

func keyFolder(a *app, out string) string {
	if out != "" {
		return out
	}
	return filepath.Join(a.data, "keys")
}

func showKey(w io.Writer, k node.KeyInfo) {
	guard := "encrypted with a passphrase"
	if !k.Protected {
		guard = "NOT ENCRYPTED"
	}
	fmt.Fprintf(w, "%s\n  id      %s\n  public  %s\n  private %s\n", k.Name, k.ID, k.Public, guard)
}
