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

func (a *app) trustShowCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "show",
		Short: "roles, thresholds, keys, ages and expiry",
		Long: "show prints which keys count for what, how many of them are needed, how old every signature is and when it\n" +
			"expires, and warns of what somebody should change: a single key that can approve, keys that lie together, signatures\n" +
			"that people must soon make again. Beside a stopped node it reads the trust folder, and changes nothing.\n" + exits,
		Example: "  patchmesh trust show\n  patchmesh trust show --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			var t *api.TrustState
			err := a.onSeed(func(s api.Service) (err error) {
				t, err = s.TrustState(c.Context())
				return err
			})
			if api.ClassOf(err) == api.ClassUnreachable && !node.IsSeed(a.data) { // a machine's node is not running
				t, err = node.ReadTrustState(a.data, time.Now)
			}
			if err != nil {
				return err
			}
			return a.print(t, func(w io.Writer) { showTrust(w, t) })
		},
	}
}

func showTrust(w io.Writer, t *api.TrustState) {
	fmt.Fprintf(w, "organisation      %s\n", api.Clean(t.Org))
	if t.Fingerprint != "" {
		fmt.Fprintf(w, "root fingerprint  %s\n", t.Fingerprint)
	}
	fmt.Fprintf(w, "epoch %d, head %d\n", t.Epoch, t.Head)
	for _, r := range t.Roles {
		name := r.Name
		if r.Delegated {
			name = "role " + r.Name
		}
		fmt.Fprintf(w, "\n%-16s %d of %d keys", name, r.Threshold, len(r.Keys))
		if r.Version > 0 {
			fmt.Fprintf(w, ", version %d", r.Version)
		}
		if !r.IssuedAt.IsZero() {
			fmt.Fprintf(w, ", %s old", days(t.AsOf.Sub(r.IssuedAt)))
		}
		if !r.ExpiresAt.IsZero() {
			fmt.Fprintf(w, ", expires %s (%s)", r.ExpiresAt.UTC().Format(time.DateOnly), left(r.ExpiresAt.Sub(t.AsOf)))
		}
		fmt.Fprintln(w)
		if len(r.Groups) > 0 {
			fmt.Fprintf(w, "  may %s for groups %s\n", strings.Join(r.Actions, ", "), strings.Join(r.Groups, ", "))
		}
		for _, id := range r.Keys {
			fmt.Fprintf(w, "  %s\n", id)
		}
		if len(r.Here) > 0 {
			fmt.Fprintf(w, "  private keys on this machine: %s\n", strings.Join(r.Here, ", "))
		}
	}
	if t.LogEntries > 0 {
		fmt.Fprintf(w, "\napproval log      %d entries, ends in %s\n", t.LogEntries, t.LogHead)
	}
	for _, warning := range t.Warnings {
		fmt.Fprintf(w, "WARNING %s\n", api.Clean(warning))
	}
}

func days(d time.Duration) string {
	if d < 48*time.Hour {
		return fmt.Sprintf("%d hours", int(d.Hours()))
	}
	return fmt.Sprintf("%d days", int(d.Hours()/24))
}

func left(d time.Duration) string {
	if d <= 0 {
		return "EXPIRED"
	}
	return "in " + days(d)
}
