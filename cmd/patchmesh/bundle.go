package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
	"patchmesh/node/control"
)

// maxHaveFile bounds a have-list file.
const maxHaveFile = 8 << 20

func (a *app) bundleCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "bundle",
		Short: "carry approvals, payloads and reports on removable media, both ways",
		Long: "bundle connects sites without a network: on a seed, export writes what a site needs; on any one machine of the\n" +
			"site, import takes it and the machines there share it; export there writes reports for the way back, and\n" +
			"import on the seed shows them. The medium is trusted by nobody: everything on it is verified.\n" + exits,
		Example: "  patchmesh bundle export /media/stick --site north\n  patchmesh bundle import /media/stick",
		Args:    exactly(0, "one of export, import, plan, watch"),
		RunE: func(c *cobra.Command, _ []string) error {
			return api.Errorf(api.ClassUsage, "'%s' needs one of export, import, plan, watch", c.CommandPath()).WithHint("see '%s --help'", c.CommandPath())
		},
	}
	c.AddCommand(a.bundleExportCmd(), a.bundleImportCmd(), a.bundlePlanCmd(), a.bundleWatchCmd())
	return c
}

// bundleFlags are those of export and plan.
type bundleFlags struct {
	r            node.ExportRequest
	have, volume string
}

func (f *bundleFlags) add(c *cobra.Command) {
	p := c.Flags()
	p.StringVar(&f.r.Site, "site", "", "only what machines of this site need")
	p.StringVar(&f.r.Group, "group", "", "only what machines of this group need")
	p.StringVar(&f.have, "have", "", "have-list that came back from the site: what is in it is left out ('last': the newest that was imported)")
	p.StringVar(&f.volume, "volume-size", "1GiB", "largest file, at most 4 GiB less one byte: what FAT32 holds")
}

func (a *app) bundleExportCmd() *cobra.Command {
	f := &bundleFlags{}
	c := &cobra.Command{
		Use:   "export DIR",
		Short: "write what a site needs, or on a site what goes back to the seed",
		Long: "export writes below DIR: on a seed the approvals with all that is approved for a site or group, on another\n" +
			"machine the signed reports of its site and a list of what is there. What the medium holds already is kept: the\n" +
			"same command goes on after a kill or a pulled stick. It ends with what the site will still lack: nothing, or\n" +
			"exactly which chunks. With --site or --group a machine that is no seed packs what it has.\n" + exits,
		Example: "  patchmesh bundle export /media/stick --site north\n  patchmesh bundle export /media/stick --site north --have last",
		Args:    exactly(1, "one folder"),
		RunE: func(c *cobra.Command, args []string) error {
			f.r.Dir = args[0]
			return a.onCarrier(func(s api.Carrier) error { return a.exportBundle(c.Context(), s, f) })
		},
	}
	f.add(c)
	return c
}

func (a *app) bundlePlanCmd() *cobra.Command {
	f := &bundleFlags{}
	c := &cobra.Command{
		Use:     "plan",
		Short:   "what an export would write, how much that is, and whether it is complete",
		Long:    "plan writes nothing. With --have last it counts only what the site has not got.\n" + exits,
		Example: "  patchmesh bundle plan --site north --have last",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			f.r.Plan = true
			return a.onCarrier(func(s api.Carrier) error { return a.exportBundle(c.Context(), s, f) })
		},
	}
	f.add(c)
	return c
}

func (a *app) exportBundle(ctx context.Context, s api.Carrier, f *bundleFlags) error {
	r := f.r
	r.Now = time.Now()
	var err error
	if r.VolumeBytes, err = parseSize(f.volume); err != nil {
		return err
	}
	seed, err := node.IsSeedCarrier(ctx, s)
	if err != nil {
		return err
	}
	if !seed && !r.Plan && r.Site == "" && r.Group == "" {
		b, err := node.ExportReturn(ctx, s, r.Dir)
		if err != nil {
			return err
		}
		return a.print(b, func(w io.Writer) {
			fmt.Fprintf(w, "%s: reports of %d machines, %d requests to renew memberships, %d receipts, %s\n", b.File, b.Reports, b.Renewals, b.Receipts, api.Size(b.Bytes))
			for _, m := range b.Missing {
				fmt.Fprintf(w, "no report of %s: %s\n", shortID(m.Machine), m.Detail)
			}
			fmt.Fprintln(w, "next: 'patchmesh bundle import' on the seed")
		})
	}
	switch f.have {
	case "":
	case "last":
		if r.Have, err = s.LastHave(ctx, api.CargoQuery{Site: r.Site}); err != nil {
			return err
		}
	default:
		if r.Have, err = readAtMost(f.have, maxHaveFile); err != nil {
			return err
		}
	}
	x, err := node.ExportBundle(ctx, s, r)
	if err != nil {
		return err
	}
	if err := a.print(x, func(w io.Writer) { writeExport(w, x, r.Plan) }); err != nil {
		return err
	}
	if !x.Complete {
		return api.Errorf(api.ClassFailed, "media-incomplete: %d payloads lack chunks that this machine has not got", len(x.Missing)).
			WithHint("see the list above; import those files again, or wait until they are here, and export again")
	}
	return nil
}

func writeExport(w io.Writer, x *node.Exported, plan bool) {
	if plan {
		fmt.Fprintf(w, "%s for %d payloads and %d documents; the site has %s of it\n", api.Size(x.NeedBytes), x.Payloads, x.Documents, api.Size(x.There))
	} else {
		fmt.Fprintf(w, "%s: epoch %d, %d documents, %d payloads in %d volumes; %s written, %s were there, %s are at the site\n",
			x.Dir, x.Epoch, x.Documents, x.Payloads, x.Volumes, api.Size(x.Written), api.Size(x.Kept), api.Size(x.There))
	}
	if len(x.Updates) > 0 {
		fmt.Fprintf(w, "updates: %s\n", api.Clean(strings.Join(x.Updates, " ")))
	}
	for _, f := range x.Fixes {
		fmt.Fprintf(w, "fixes: %s on %d machines, %s\n", api.Clean(f.Update), f.Machines, api.Size(f.Bytes))
	}
	writeMissing(w, x.Complete, x.Missing)
	fmt.Fprintf(w, "the approvals on it are taken until %s\n", x.ExpiresAt.Format(time.RFC3339))
}

func writeMissing(w io.Writer, complete bool, missing []node.MissingFromDisc) {
	if complete {
		fmt.Fprintln(w, "complete: nothing is missing")
	}
	for _, m := range missing {
		fmt.Fprintf(w, "missing: %d of %d chunks of %s (payload %s): %s\n", m.Chunks, m.Of, m.Update, m.Payload, m.Ranges)
	}
}

func (a *app) bundleImportCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "import DIR",
		Short: "take what a medium brings",
		Long: "import takes from the medium below DIR: on a machine of a site newer approvals and the chunks that it lacks,\n" +
			"each verified like from anybody; on a seed the reports that came back, and requests to join. A damaged medium\n" +
			"costs what is damaged; what is missing is named, and a second import goes on.\n" + exits,
		Example: "  patchmesh bundle import /media/stick",
		Args:    exactly(1, "one folder"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.onCarrier(func(s api.Carrier) error { return a.importBundle(c.Context(), s, args[0]) })
		},
	}
}

func (a *app) importBundle(ctx context.Context, s api.Carrier, dir string) error {
	seed, err := node.IsSeedCarrier(ctx, s)
	if err != nil {
		return err
	}
	var i *node.ImportedBundle
	if seed {
		full, _ := s.(api.Service)
		i, err = node.ImportReturns(ctx, s, full, dir)
	} else {
		i, err = node.ImportBundle(ctx, s, dir, time.Now())
	}
	if err != nil {
		return err
	}
	if err := a.print(i, func(w io.Writer) { writeBundleImport(w, i, seed) }); err != nil {
		return err
	}
	switch {
	case i.Reason == "" && (i.Complete || seed):
		return nil
	case i.Reason == "":
		return api.Errorf(api.ClassRefused, "the approvals on the medium are %s: they were not taken", i.Approvals).WithHint("export again at the seed")
	}
	return api.Errorf(api.ClassFailed, "%s: %s", i.Reason, i.Detail).WithHint("what was good is here; export again, and import again: it goes on from here")
}

func writeBundleImport(w io.Writer, i *node.ImportedBundle, seed bool) {
	if !seed {
		fmt.Fprintf(w, "approvals %s: epoch %d, valid until %s; %d new chunks (%s), %d were here, %d damaged; %d of %d volumes\n",
			i.Approvals, i.Epoch, i.ExpiresAt.Format(time.RFC3339), i.Chunks, api.Size(i.ChunkBytes), i.Known, i.Damaged, i.Volumes, i.Of)
		writeMissing(w, i.Complete, i.Missing)
		writeRenewals(w, i.Renewals)
	}
	for _, r := range i.Returns {
		fmt.Fprintf(w, "site %s, brought by %s: %d newer reports, %d known, %d refused; as of %s\n",
			api.Clean(r.Site), shortID(r.Machine), r.Newer, r.Older, r.Refused, r.AsOf.Format(time.RFC3339))
		if r.Detail != "" {
			fmt.Fprintf(w, "  %s\n", r.Detail)
		}
	}
	if i.Answers != nil {
		fmt.Fprintf(w, "requests to join: members %d, waiting for an admin %d, refused %d\n", i.Answers.Members, i.Answers.Waiting, i.Answers.Refused)
	}
}

func writeRenewals(w io.Writer, t *api.TakenAnswers) {
	switch {
	case t == nil:
	case t.Detail != "":
		fmt.Fprintf(w, "memberships not renewed: %s\n", t.Detail)
	case t.Renewed:
		fmt.Fprintf(w, "memberships renewed: this machine's, and up to %d of the site's, which fetch theirs\n", t.Answers-1)
	case t.Newer:
		fmt.Fprintf(w, "renewed memberships for up to %d machines of the site, which fetch theirs\n", t.Answers)
	}
}

// onCarrier calls f with the running node of the data folder, or with the folder itself.
func (a *app) onCarrier(f func(api.Carrier) error) error {
	for end := time.Now().Add(startup); ; time.Sleep(50 * time.Millisecond) {
		s, err := control.Dial(a.data)
		if err == nil {
			c, ok := s.(api.Carrier)
			if !ok {
				return api.Errorf(api.ClassFailed, "this node knows nothing of removable media")
			}
			return f(c)
		}
		if api.ClassOf(err) != api.ClassUnreachable {
			return err
		}
		if node.IsSeed(a.data) {
			err = a.onSeed(func(s api.Service) error { return f(s.(api.Carrier)) })
		} else {
			err = node.WithCarrier(a.data, time.Now, f)
		}
		if !errors.Is(err, node.ErrLocked) || time.Now().After(end) {
			return err // locked: a node is just starting, or another command is at work
		}
	}
}

// parseSize reads 512MiB, 2GB or plain bytes.
func parseSize(s string) (int64, error) {
	num := strings.TrimRight(strings.ToLower(strings.TrimSpace(s)), "bikmgt ")
	unit := strings.TrimSpace(strings.ToLower(strings.TrimSpace(s))[len(num):])
	factor, ok := map[string]int64{
		"": 1, "b": 1, "k": 1 << 10, "kib": 1 << 10, "kb": 1000, "m": 1 << 20, "mib": 1 << 20, "mb": 1000_000,
		"g": 1 << 30, "gib": 1 << 30, "gb": 1000_000_000,
	}[unit]
	n, err := strconv.ParseInt(num, 10, 64)
	if err != nil || !ok || n < 0 || n > 1<<40 {
		return 0, api.Errorf(api.ClassUsage, "%q is no size like 512MiB or 2GiB", s)
	}
	return n * factor, nil
}
