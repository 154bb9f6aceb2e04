package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) initCmd() *cobra.Command {
	var r node.FoundRequest
	var file string
	var insecure bool
	c := &cobra.Command{
		Use:   "init --org NAME",
		Short: "begin an organisation: root of trust, approval and online keys, the first seed",
		Long:  "init makes all keys of a new organisation and the data folder of its first seed.\nThe keys that can approve are encrypted with a passphrase, which is asked for at each signing and never stored.\n" + exits,
		Example: `  patchmesh init --org "Example Ltd"
  patchmesh init --org "Example Ltd" --threshold 2 --passphrase-file /root/pass --data /srv/seed`,
		Args: exactly(0, "no arguments"),
		RunE: func(*cobra.Command, []string) error {
			noCoreDumps(true)
			if err := a.newPassphrase(&r, file, insecure); err != nil {
				return err
			}
			r.DataDir = a.data
			f, err := node.Found(r, time.Now)
			if err != nil {
				return err
			}
			return a.print(f, func(w io.Writer) {
				fmt.Fprintf(w, "organisation      %s\nroot fingerprint  %s\nthreshold         %d of %d approver keys\nseed              %s\ndata folder       %s\n",
					f.Org, f.Fingerprint, f.Threshold, f.Keys, f.SeedID, f.DataDir)
				if !f.Encrypted {
					fmt.Fprintln(w, "WARNING           the approver keys are not encrypted: whoever reads this folder can approve updates")
				}
				fmt.Fprintf(w, "\nnext: patchmesh run --data %s\n", f.DataDir)
			})
		},
	}
	c.Flags().StringVar(&r.Org, "org", "", "name of the organisation")
	c.Flags().IntVar(&r.Threshold, "threshold", 1, "approver signatures that an approval needs; as many keys are made")
	c.Flags().StringVar(&r.Site, "site", node.SeedSite, "site of the seed itself")
	c.Flags().StringVar(&r.Name, "name", "", "name of this machine (default: the host name)")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase")
	c.Flags().BoolVar(&insecure, "insecure-no-passphrase", false, "leave the approver keys unencrypted")
	return c
}

func (a *app) newPassphrase(r *node.FoundRequest, file string, insecure bool) (err error) {
	switch {
	case file != "" && insecure:
		return api.Errorf(api.ClassUsage, "--passphrase-file and --insecure-no-passphrase exclude each other")
	case insecure:
		return nil
	case file != "":
		r.Passphrase, err = readPassphraseFile(file)
	case onTerminal():
		r.Passphrase, err = a.askPassphrase("passphrase for the approver keys", true)
	default:
		return api.Errorf(api.ClassUsage, "the approver keys need a passphrase").
			WithHint("give --passphrase-file FILE, or --insecure-no-passphrase for a test")
	}
	return err
}
