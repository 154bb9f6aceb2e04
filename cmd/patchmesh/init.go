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
	var approvers, roots []string
	c := &cobra.Command{
		Use:   "init --org NAME | init FILE",
		Short: "begin an organisation: root of trust, approval and online keys, the first seed",
		Long: "init makes all keys of a new organisation and the data folder of its first seed.\nThe keys that can approve are encrypted with a passphrase, which is asked for at each signing and never stored.\n" +
			"\nWhere keys were made elsewhere ('patchmesh key new'), init takes their public halves with --approver and --root-key,\nwrites what has to be signed to a file, says by whom, and goes on with 'init FILE' when the file comes back: first the\nroot, then the first manifest, which approves nothing\nand holds the usual deadlines by severity.\n" + exits,
		Example: `  patchmesh init --org "Example Ltd"
  patchmesh init --org "Example Ltd" --threshold 2 --passphrase-file /root/pass --data /srv/seed
  patchmesh init --org "Example Ltd" --threshold 2 --approver alice.pub --approver bob.pub --root-key r1.pub --root-key r2.pub --root-threshold 2
  patchmesh init /media/stick/patchmesh-root-1.json`,
		Args: atMost(1, "at most one file that came back with signatures"),
		RunE: func(_ *cobra.Command, args []string) error {
			noCoreDumps(true)
			if len(args) == 1 {
				return a.continueInit(args[0], file)
			}
			for _, l := range []struct {
				paths []string
				into  *[]string
			}{{approvers, &r.Approvers}, {roots, &r.RootKeys}} {
				for _, p := range l.paths {
					text, err := node.ReadPublicFile(p)
					if err != nil {
						return err
					}
					*l.into = append(*l.into, text)
				}
			}
			insecure = insecure || (file == "" && len(approvers) > 0 && len(roots) > 0) // no key that can approve is made here
			if err := a.newPassphrase(&r, file, insecure); err != nil {
				return err
			}
			r.DataDir = a.data
			f, err := node.Found(r, time.Now)
			if err != nil {
				return err
			}
			return a.founded(f)
		},
	}
	c.Flags().StringArrayVar(&approvers, "approver", nil, "file with the public key of an approver, made elsewhere (repeat)")
	c.Flags().StringArrayVar(&roots, "root-key", nil, "file with the public key of a root holder, made elsewhere (repeat)")
	c.Flags().IntVar(&r.RootThreshold, "root-threshold", 1, "signatures that a root needs")
	c.Flags().StringVar(&r.Out, "out", "", "folder for what has to be signed elsewhere (default: the data folder)")
	c.Flags().StringVar(&r.Org, "org", "", "name of the organisation")
	c.Flags().IntVar(&r.Threshold, "threshold", 1, "approver signatures that an approval needs; as many keys are made")
	c.Flags().StringVar(&r.Site, "site", node.SeedSite, "site of the seed itself")
	c.Flags().StringVar(&r.Name, "name", "", "name of this machine (default: the host name)")
	c.Flags().StringVar(&file, "passphrase-file", "", "file whose first line is the passphrase")
	c.Flags().BoolVar(&insecure, "insecure-no-passphrase", false, "leave the approver keys unencrypted")
	return c
}

// continueInit takes a file that came back with signatures.
func (a *app) continueInit(path, file string) error {
	return a.signing(file, func(p api.Secret) error {
		f, err := node.ContinueFound(a.data, path, p, time.Now)
		if err != nil {
			return err
		}
		return a.founded(f)
	})
}

// founded says what came of init, or what it waits for.
func (a *app) founded(f *node.Founded) error {
	return a.print(f, func(w io.Writer) {
		fmt.Fprintf(w, "organisation      %s\nroot fingerprint  %s\nthreshold         %d of %d approver keys\nseed              %s\ndata folder       %s\n",
			f.Org, f.Fingerprint, f.Threshold, f.Keys, f.SeedID, f.DataDir)
		if !f.Encrypted {
			fmt.Fprintln(w, "WARNING           the approver keys are not encrypted: whoever reads this folder can approve updates")
		}
		if f.Threshold == 1 {
			fmt.Fprintln(w, "WARNING           one key alone can approve updates for every machine")
		}
		if f.Waits != "" {
			fmt.Fprintf(w, "\nwaits for signatures under %s\n", f.Waits)
			for _, id := range f.Missing {
				fmt.Fprintf(w, "  not signed by %s\n", id)
			}
			fmt.Fprintf(w, "next: %s\n", f.Next)
			return
		}
		fmt.Fprintf(w, "\nnext: patchmesh run --data %s\n", f.DataDir)
	})
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
