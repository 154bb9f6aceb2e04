package main

import (
	"fmt"
	"io"
	"path"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

// surveyor calls f with what the running node knows of machines.
func (a *app) surveyor(f func(api.Surveyor) error) error {
	return a.running(func(s api.Service) error {
		v, ok := s.(api.Surveyor)
		if !ok {
			return api.Errorf(api.ClassFailed, "this node knows no inventories")
		}
		return f(v)
	})
}

func (a *app) inventoryCmd() *cobra.Command {
	var q api.InventoryQuery
	var rescan bool
	c := &cobra.Command{
		Use:   "inventory [MACHINE]",
		Short: "hardware and software of machines",
		Long: "inventory prints what is known of a machine: its system, hardware, packages and groups. Without a name it is this\n" +
			"machine; a seed knows those of all, as they have reported them. Packages come from dpkg, rpm and, on Windows, the list\n" +
			"of installed programs.\n" + exits,
		Example: `  patchmesh inventory
  patchmesh inventory till-3 --package 'openssl*'
  patchmesh inventory --all --json
  patchmesh inventory --rescan`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(c *cobra.Command, args []string) error {
			if len(args) > 0 {
				q.Machine = args[0]
			}
			if q.Machine != "" && (q.All || rescan) {
				return api.Errorf(api.ClassUsage, "--all and --rescan go without a machine's name").WithHint("--rescan looks at this machine; others look at themselves: run it there")
			}
			if _, err := path.Match(q.Package, ""); err != nil {
				return api.Errorf(api.ClassUsage, "%q is no pattern", q.Package).WithHint("such as 'lib*'")
			}
			return a.surveyor(func(s api.Surveyor) error {
				if rescan {
					if _, err := s.Scan(c.Context(), api.ScanRequest{}); err != nil {
						return err
					}
				}
				v, err := s.Inventory(c.Context(), q)
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) { writeInventories(w, v, q.All, q.Package != "") })
			})
		},
	}
	c.Flags().BoolVar(&q.All, "all", false, "every machine that is known here")
	c.Flags().StringVar(&q.Package, "package", "", "only packages whose names fit this pattern")
	c.Flags().BoolVar(&rescan, "rescan", false, "look at this machine anew first")
	return c
}

func writeInventories(w io.Writer, v *api.Inventories, all, packages bool) {
	if !all {
		for _, m := range v.Machines {
			writeInventory(w, v, m)
		}
		return
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "MACHINE\tSYSTEM\tVERSION\tARCH\tMEMORY\tDISK FREE\tPACKAGES\tPATCHMESH\tAS OF")
	for _, m := range v.Machines {
		i := m.Inventory
		if i == nil {
			fmt.Fprintf(t, "%s\t-\t-\t-\t-\t-\t-\t-\t%s\n", api.Clean(m.Name), api.Clean(m.Detail))
			continue
		}
		system := i.OS
		if i.Distribution != "" {
			system = i.Distribution
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s of %s\t%d\t%s\t%s\n", api.Clean(m.Name), api.Clean(system), api.Clean(i.Version), api.Clean(i.Arch),
			api.Size(i.MemoryBytes), api.Size(i.FreeBytes), api.Size(i.DiskBytes), len(i.Packages), api.Clean(i.Agent), api.Ago(i.At, v.AsOf))
		for _, p := range i.Packages {
			if packages {
				fmt.Fprintf(t, "\t%s\t%s\t%s\t\t\t\t\t\n", api.Clean(p.Name), api.Clean(p.Version), api.Clean(p.Arch))
			}
		}
	}
	_ = t.Flush()
}

func writeInventory(w io.Writer, v *api.Inventories, m api.MachineInventory) {
	fmt.Fprintf(w, "%s, site %s\n", api.Clean(m.Name), api.Clean(m.Site))
	var groups []string
	for _, g := range m.Groups {
		groups = append(groups, fmt.Sprintf("%s (%s)", g.Group, g.Source))
	}
	fmt.Fprintf(w, "groups    %s\n", api.Clean(strings.Join(groups, ", ")))
	if m.Detail != "" {
		fmt.Fprintf(w, "note      %s\n", api.Clean(m.Detail))
	}
	i := m.Inventory
	if i == nil {
		return
	}
	fmt.Fprintf(w, "system    %s %s %s, %s, kernel %s\n", api.Clean(i.OS), api.Clean(i.Distribution), api.Clean(i.Version), api.Clean(i.Arch), api.Clean(i.Kernel))
	fmt.Fprintf(w, "made by   %s, model %s\n", first(api.Clean(i.Vendor), "unknown"), first(api.Clean(i.Model), "unknown"))
	fmt.Fprintf(w, "hardware  %s of memory, %s free of %s on the disk, serial %s\n", api.Size(i.MemoryBytes), api.Size(i.FreeBytes), api.Size(i.DiskBytes), first(api.Clean(i.Serial), "unknown"))
	fmt.Fprintf(w, "zone      %s\n", first(api.Clean(i.Zone), "unknown"))
	fmt.Fprintf(w, "started   %s\npatchmesh %s\nas of     %s\n", api.Ago(i.BootedAt, v.AsOf), api.Clean(i.Agent), api.Ago(i.At, v.AsOf))
	for _, s := range i.Systems {
		if s.Error != "" {
			fmt.Fprintf(w, "the packages of %s cannot be found out: %s\n", api.Clean(s.Name), api.Clean(s.Error))
		}
	}
	if i.Truncated {
		fmt.Fprintln(w, "the list of packages is not whole")
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	for _, p := range i.Packages {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\n", api.Clean(p.Name), api.Clean(p.Version), api.Clean(p.Arch), api.Clean(p.System))
	}
	_ = t.Flush()
}

func first(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

func (a *app) scanCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "scan",
		Short: "look at this machine now: its inventory, and whether its updates are there",
		Long: "scan looks without waiting for the next scan: the inventory is collected anew and sent on its way, and every update\n" +
			"that is approved for this machine is looked for. It needs no network. Machines also scan by themselves when they\n" +
			"start, when packages change, before an update is fetched or installed, after it, and every scan-interval.\n" + exits,
		Example: "  patchmesh scan\n  patchmesh scan --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.surveyor(func(s api.Surveyor) error {
				v, err := s.Scan(c.Context(), api.ScanRequest{})
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) {
					fmt.Fprintf(w, "%s: %d packages; %d updates are being looked for ('patchmesh status' shows them)\n", api.Clean(v.Machine), v.Packages, v.Updates)
				})
			})
		},
	}
}
