package main

import (
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) storeCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "store",
		Short: "the payloads on this machine",
		Long: "store looks after what this machine holds for itself and for its site. Payloads go by need and never by age: what a\n" +
			"machine of the site still lacks stays, and so do a few copies of everything approved. Without a verb it lists.\n" + exits,
		Example: `  patchmesh store list
  patchmesh store pin openssl-3.0.15
  patchmesh store verify --json`,
		Args: exactly(0, "a verb: list, verify, pin, unpin or drop"),
		RunE: func(c *cobra.Command, _ []string) error { return a.storeList(c) },
	}
	c.AddCommand(a.storeListCmd(), a.storeVerifyCmd(), a.storePinCmd(false), a.storePinCmd(true), a.storeDropCmd())
	return c
}

// storekeeper calls f with the store of the running node.
func (a *app) storekeeper(f func(api.Storekeeper) error) error {
	return a.running(func(s api.Service) error {
		k, ok := s.(api.Storekeeper)
		if !ok {
			return api.Errorf(api.ClassFailed, "this node has no store to look after")
		}
		return f(k)
	})
}

func (a *app) storeListCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "list",
		Short: "what is in the store, and why",
		Long: "list shows every payload with its size, who needs it, how many copies the site has, and why it stays or goes first.\n" +
			exits,
		Example: "  patchmesh store list --json",
		Args:    exactly(0, "no arguments"),
		RunE:    func(c *cobra.Command, _ []string) error { return a.storeList(c) },
	}
}

func (a *app) storeList(c *cobra.Command) error {
	return a.storekeeper(func(k api.Storekeeper) error {
		s, err := k.Store(c.Context())
		if err != nil {
			return err
		}
		return a.print(s, func(w io.Writer) { writeStore(w, s) })
	})
}

func writeStore(w io.Writer, s *api.Store) {
	fmt.Fprintf(w, "%s of a quota of %s; %s free on the disk, %s of that in reserve\n", api.Size(s.UsedBytes), api.Size(s.QuotaBytes), api.Size(s.FreeBytes), api.Size(s.ReserveBytes))
	if s.OverBytes > 0 {
		fmt.Fprintf(w, "SHORT OF ROOM: %s have to go and may not; see below why, and raise --store-quota or unpin\n", api.Size(s.OverBytes))
	}
	scrub := "never yet"
	if !s.Scrub.PassEndedAt.IsZero() {
		scrub = api.Ago(s.Scrub.PassEndedAt, s.AsOf)
	}
	fmt.Fprintf(w, "last whole check: %s; %d chunks found damaged since the start, %d healed\n\n", scrub, s.Scrub.DamagedChunks, s.Scrub.HealedChunks)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "UPDATE\tHERE\tOF\tCOPIES\tFETCHING\tAWAY\tGIVEN\tKEPT\tWHY")
	for _, p := range s.Payloads {
		name := p.Update
		if name == "" {
			name = "(payload " + p.Payload[max(0, len(p.Payload)-8):] + ")"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%d\t%d\t%d\t%s\t%s\t%s\n", name, api.Size(p.HeldBytes), api.Size(p.StoredBytes), p.SiteCopies, p.Wanting, p.Absent, api.Size(p.SentBytes), p.Keep, p.Text)
	}
	_ = t.Flush()
}

func (a *app) storeVerifyCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "verify",
		Short: "hash all of it again",
		Long: "verify hashes every chunk in the store. Damaged ones are put aside, so that nobody is given them and nothing is installed\n" +
			"from them, and come again from other machines. It exits with 3 if there was damage.\n" + exits,
		Example: "  patchmesh store verify",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.storekeeper(func(k api.Storekeeper) error {
				v, err := k.StoreVerify(c.Context())
				if err != nil {
					return err
				}
				if err := a.print(v, func(w io.Writer) { writeVerified(w, v) }); err != nil {
					return err
				}
				if len(v.Damaged) > 0 {
					return api.Errorf(api.ClassRefused, "%d payloads were damaged on disk", len(v.Damaged)).
						WithHint("the damaged chunks were put aside and come again by themselves; look after the disk")
				}
				return nil
			})
		},
	}
}

func writeVerified(w io.Writer, v *api.StoreVerified) {
	took := time.Duration(v.Seconds * float64(time.Second))
	fmt.Fprintf(w, "%d payloads, %d chunks, %s hashed in %s\n", v.Payloads, v.Chunks, api.Size(v.CheckedBytes), api.Duration(took))
	for _, d := range v.Damaged {
		name := d.Update
		if name == "" {
			name = d.Payload
		}
		fmt.Fprintf(w, "damaged: %s, %d chunks, the first is number %d\n", name, len(d.Chunks), d.Chunks[0])
	}
}

func (a *app) storePinCmd(unpin bool) *cobra.Command {
	c := &cobra.Command{
		Use:     "pin UPDATE",
		Short:   "keep an update's payload whatever happens",
		Long:    "pin keeps the payload of an update in this machine's store, even when no approval names it any more.\n" + exits,
		Example: "  patchmesh store pin openssl-3.0.15",
	}
	if unpin {
		c.Use, c.Short, c.Example = "unpin UPDATE", "let an update's payload go when nobody needs it", "  patchmesh store unpin openssl-3.0.15"
		c.Long = "unpin ends a pin. The payload then stays as long as somebody needs it.\n" + exits
	}
	c.Args = exactly(1, "the id of one update")
	c.RunE = func(c *cobra.Command, args []string) error {
		return a.storekeeper(func(k api.Storekeeper) error {
			p, err := k.StorePin(c.Context(), api.PinRequest{Update: args[0], Unpin: unpin})
			if err != nil {
				return err
			}
			return a.print(p, func(w io.Writer) {
				what := "pinned"
				if unpin {
					what = "no longer pinned"
				}
				if p.Pinned && !p.Here {
					what += "; it is not here yet and stays once it is"
				}
				fmt.Fprintf(w, "%s is %s\n", p.Update, what)
			})
		})
	}
	return c
}

func (a *app) storeDropCmd() *cobra.Command {
	var r api.DropRequest
	c := &cobra.Command{
		Use:   "drop UPDATE",
		Short: "remove an update's payload now",
		Long: "drop removes the payload of an update from this machine's store. What is installed stays installed. A payload that is\n" +
			"pinned, or that this machine or another one of the site still needs, is refused without --force.\n" + exits,
		Example: "  patchmesh store drop openssl-3.0.14",
		Args:    exactly(1, "the id of one update"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Update = args[0]
			return a.storekeeper(func(k api.Storekeeper) error {
				d, err := k.StoreDrop(c.Context(), r)
				if err != nil {
					return err
				}
				return a.print(d, func(w io.Writer) { fmt.Fprintf(w, "%s is dropped: %s are free\n", d.Update, api.Size(d.FreedBytes)) })
			})
		},
	}
	c.Flags().BoolVar(&r.Force, "force", false, "although it is pinned or still needed")
	return c
}
