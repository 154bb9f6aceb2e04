package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/schollz/progressbar/v3"
	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"golang.org/x/term"

	"patchmesh/node/api"
)

func (a *app) importCmd() *cobra.Command {
	var r api.ImportRequest
	var args []string
	var rules ruleFiles
	var vendor api.VendorClaim
	var set bool
	c := &cobra.Command{
		Use:   "import PATH...",
		Short: "put files into the catalogue",
		Long:  "import reads files into the seed's catalogue and prints the id of each update. What a file says of itself\n(.deb: name, version, architecture) is read from it. Nothing reaches a machine before it is approved.\nWhat nobody has decided about for all joins the next signed approvals as detect-only for all machines (the setting list-new):\nthey look whether it is for them and whether they have it, report that as not approved, and fetch nothing.\n" + ruleLanguage + exits,
		Example: `  patchmesh import openssl_3.0.15_amd64.deb
  patchmesh import hosts --installer file --installer-arg dest=/etc/hosts --id hosts-2026-03 --severity important
  patchmesh import --set --id perl-2026-11 perl_5.36_amd64.deb perl-base_5.36_amd64.deb libperl5.36_5.36_amd64.deb
  patchmesh import tool_2.1_amd64.deb --origin https://vendor.example/pool/tool_2.1_amd64.deb
  patchmesh import site-2.1.tar.gz --installer archive --installer-arg dest=/srv/site --probe healthy.json --probe-seconds 60
  patchmesh import tool.msi --installer-arg product-code={01234567-89AB-CDEF-0123-456789ABCDEF} --version-is 2.1.0 --restart maybe
  patchmesh import site-2.1.tar.gz --vendor-member app.jar --vendor-sha256 3b5d... --vendor-origin https://vendor.example/app.jar
  patchmesh import tune.sh --installer script --installed tuned.json --applicable debian12.json`,
		Args: func(c *cobra.Command, paths []string) error {
			if len(paths) == 0 {
				return exactly(1, "one or more files")(c, paths)
			}
			if set {
				return checkSet(r, paths)
			}
			if len(paths) > 1 && r.ID != "" {
				return api.Errorf(api.ClassUsage, "--id names one update, %d files are given", len(paths))
			}
			if len(paths) > 1 && len(r.Origins) > 0 {
				return api.Errorf(api.ClassUsage, "--origin is the place of one file, %d files are given", len(paths))
			}
			return nil
		},
		RunE: func(c *cobra.Command, paths []string) error {
			var err error
			if r.InstallerArgs, err = keyValues(args); err != nil {
				return err
			}
			if err = rules.read(&r.ImportRules); err != nil {
				return err
			}
			if vendor != (api.VendorClaim{}) {
				if r.Vendor = &vendor; vendor.SHA256 == "" || len(paths) > 1 || set {
					return api.Errorf(api.ClassUsage, "--vendor-origin and --vendor-member go with --vendor-sha256, and with one file")
				}
			}
			each := a.importAll
			if set {
				each = a.importSet
			}
			return a.onSeed(func(s api.Service) error { return each(c.Context(), s, r, paths) })
		},
	}
	f := c.Flags()
	importFlags(f, &r, &args, &set)
	vendorFlags(f, &vendor)
	rules.flags(f, &r.ImportRules)
	return c
}

func importFlags(f *pflag.FlagSet, r *api.ImportRequest, args *[]string, set *bool) {
	f.StringVar(&r.ID, "id", "", "id of the update (default: from the file)")
	f.StringVar(&r.Title, "title", "", "title for people")
	f.StringVar(&r.Severity, "severity", "", "critical, important, moderate, low or unspecified")
	f.StringVar(&r.Classification, "classification", "", "security, critical, driver, feature, ... or other")
	f.StringVar(&r.Product, "product", "", "what it is for")
	f.StringArrayVar(&r.CVEs, "cve", nil, "CVE that it fixes; may be repeated")
	f.StringVar(&r.Installer, "installer", "", "file, deb, rpm, msi, msu, archive, script or agent (default: by the name of the file)")
	f.StringArrayVar(args, "installer-arg", nil, "KEY=VALUE for the installer; may be repeated")
	f.BoolVar(set, "set", false, "the .deb files are one update, which dpkg installs in one run: packages that need each other in the same version")
	f.StringArrayVar(&r.Supersedes, "supersedes", nil, "id of an update that this one replaces; may be repeated")
	f.StringArrayVar(&r.Origins, "origin", nil, "URL of the same bytes at their vendor's; machines that reach no seed fetch them there; may be repeated")
	f.StringArrayVar(&r.OriginHosts, "origin-host", nil, "host to which a redirect of --origin may lead; may be repeated")
}

// listingText says what becomes of an update that nobody decides about, and how that is hurried on.
func listingText(i *api.Imported) string {
	switch i.Listing {
	case api.ListingNext:
		return fmt.Sprintf("%s is not approved: with the next signed approvals machines begin to look whether they have it; at once with 'patchmesh approve %s --group all --action detect-only'", i.Update, i.Update)
	case api.ListingNot:
		return fmt.Sprintf("%s is not approved, and not looked for by machines: it is withdrawn, replaced or a mitigation, its rules run a command ('patchmesh approve %s --group all --action detect-only' has them run), or 200 newer ones are looked for", i.Update, i.Update)
	case api.ListingOff:
		return fmt.Sprintf("%s is not approved, and not looked for by machines: the setting list-new is no", i.Update)
	}
	return ""
}

func keyValues(args []string) (map[string]string, error) {
	out := map[string]string{}
	for _, x := range args {
		k, v, ok := strings.Cut(x, "=")
		if !ok || k == "" {
			return nil, api.Errorf(api.ClassUsage, "--installer-arg %q is not KEY=VALUE", x)
		}
		out[k] = v
	}
	return out, nil
}

// importAll imports one file after the other.
func (a *app) importAll(ctx context.Context, s api.Service, r api.ImportRequest, paths []string) error {
	var done []*api.Imported
	for _, p := range paths {
		i, err := a.importOne(ctx, s, r, p)
		if err != nil {
			return err
		}
		if !a.json {
			err = a.tellImported([]*api.Imported{i}, func(*api.Imported) string { return filepath.Base(p) })
		}
		if err != nil {
			return err
		}
		done = append(done, i)
	}
	if a.json {
		return a.tellImported(done, nil)
	}
	return nil
}

// tellImported says what came of imports. With --json it prints one object for one file, and a list for several.
func (a *app) tellImported(done []*api.Imported, name func(*api.Imported) string) error {
	if a.json {
		var facts any = done
		if len(done) == 1 {
			facts = done[0]
		}
		return a.print(facts, func(io.Writer) {})
	}
	for _, i := range done {
		note := ""
		if i.Unchanged {
			note = " (was there already)"
		}
		fmt.Fprintf(a.errOut, "%s: %s, %s in %d chunks, installer %s, revision %d%s\n", name(i), i.Title, api.Size(i.SizeBytes), i.Chunks, i.Installer, i.Revision, note)
		if next := listingText(i); next != "" {
			fmt.Fprintln(a.errOut, next)
		}
		for _, t := range i.Warnings {
			fmt.Fprintf(a.errOut, "warning: %s: %s\n", i.Update, api.Clean(t))
		}
		fmt.Fprintln(a.out, i.Update)
	}
	return nil
}

// openRegular opens a file to be imported.
func openRegular(path string) (*os.File, os.FileInfo, error) {
	f, err := os.Open(path)
	if err != nil {
		if os.IsNotExist(err) {
			return nil, nil, api.Errorf(api.ClassNotFound, "no file %s", path)
		}
		return nil, nil, api.Errorf(api.ClassFailed, "%v", err)
	}
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		f.Close()
		return nil, nil, api.Errorf(api.ClassUsage, "%s is no regular file", path)
	}
	return f, fi, nil
}

func (a *app) importOne(ctx context.Context, s api.Service, r api.ImportRequest, path string) (*api.Imported, error) {
	f, fi, err := openRegular(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	r.FileName, r.SizeBytes = filepath.Base(path), fi.Size()
	var body io.Reader = f
	if term.IsTerminal(int(os.Stderr.Fd())) && !a.json {
		bar := progressbar.DefaultBytes(fi.Size(), r.FileName)
		defer func() { _ = bar.Finish() }()
		body = io.TeeReader(f, bar)
	}
	return s.Import(ctx, r, body)
}
