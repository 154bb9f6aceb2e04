package main

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

// demoResult is the one object with which demo ends.
type demoResult struct {
	Machines       int     `json:"machines"`
	Sites          int     `json:"sites"`
	PayloadBytes   int64   `json:"payload_bytes"`
	WANBytes       int64   `json:"wan_bytes"`
	Amplification  float64 `json:"wan_amplification"` // WAN bytes / (payload x sites)
	DuplicateRatio float64 `json:"duplicate_ratio"`
	FirstInstalled float64 `json:"first_installed_s"`
	LastInstalled  float64 `json:"last_installed_s"`
	LowerBound     float64 `json:"lower_bound_s"` // 0: loopback has no rate to divide by
	Installed      int     `json:"installed"`
	Failed         int     `json:"failed"`
	Held           int     `json:"held"`    // machines that the hold stopped
	Refused        int     `json:"refused"` // nodes, the seed among them, that turned the tampered bytes away
	Installer      string  `json:"installer"`
	Seconds        float64 `json:"seconds"`

	rows []api.Machine
}

func (a *app) demoCmd() *cobra.Command {
	var nodes int
	var size string
	c := &cobra.Command{
		Use:   "demo",
		Short: "the whole story on this computer",
		Long: "demo runs a seed and two sites as separate processes on loopback: real ports, real bytes. One site has machines\n" +
			"that may not use the WAN. It approves a package, then holds one back, then shows what becomes of tampered\n" +
			"bytes. It needs no rights and leaves nothing behind.\n" + exits,
		Example: `  patchmesh demo
  patchmesh demo --nodes 10 --size 64MiB --json`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			bytes, err := api.ParseSize(size)
			if err != nil || bytes < 1 || bytes > 4<<30 {
				return api.Errorf(api.ClassUsage, "--size %q is no size up to 4 GiB", size).WithHint("like 16MiB")
			}
			if nodes < 2 || nodes > 40 {
				return api.Errorf(api.ClassUsage, "--nodes must be 2 to 40")
			}
			r, err := a.demo(c.Context(), nodes, bytes)
			if err != nil {
				return err
			}
			return a.print(r, func(w io.Writer) { r.write(w) })
		},
	}
	c.Flags().IntVar(&nodes, "nodes", 6, "machines, in two sites")
	c.Flags().StringVar(&size, "size", "16MiB", "size of the update")
	return c
}

// demo tells the story act by act. Whatever happens, the lab is taken down.
func (a *app) demo(ctx context.Context, nodes int, size int64) (*demoResult, error) {
	begin := time.Now()
	l, err := newDemoLab(ctx, a.errOut, nodes)
	if err != nil {
		return nil, err
	}
	defer l.close()
	r := &demoResult{Machines: nodes, Sites: 2, PayloadBytes: size}
	for _, act := range []func(*demoResult) error{l.found, l.enrol, l.deliver, l.holdBack, l.tamper} {
		if err := act(r); err != nil {
			return nil, fmt.Errorf("demo: %w\n%s", err, l.logTail())
		}
	}
	r.Seconds = time.Since(begin).Seconds()
	return r, nil
}

func (r *demoResult) write(w io.Writer) {
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "MACHINE\tSITE\tWAN ALLOWED\tSTATE\tFROM THE SITE\tOVER THE WAN\t")
	for _, m := range r.rows {
		for _, u := range m.Updates {
			if u.Update == demoUpdate {
				fmt.Fprintf(t, "%s\t%s\t%v\t%s\t%s\t%s\t\n", m.Name, m.Site, m.Egress, u.State, api.Size(u.Bytes.Subnet+u.Bytes.Site), api.Size(u.Bytes.WAN()))
			}
		}
	}
	_ = t.Flush()
	fmt.Fprintf(w, `
machines             %d in %d sites, %d installed, %d failed (installer %s)
payload              %s
over the WAN         %s: %.2f times the payload per site
installed            first after %.2f s, last after %.2f s
stopped by a hold    %d machines
tampered bytes       found by %d node(s), installed by none
whole demo           %.1f s; nothing is left behind
`, r.Machines, r.Sites, r.Installed, r.Failed, r.Installer, api.Size(r.PayloadBytes), api.Size(r.WANBytes), r.Amplification,
		r.FirstInstalled, r.LastInstalled, r.Held, r.Refused, r.Seconds)
}
