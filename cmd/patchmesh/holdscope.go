package main

import (
	"time"

	"github.com/spf13/pflag"

	"patchmesh/node/api"
)

// holdScope is what the flags of a hold say of its kind and end.
type holdScope struct {
	until string
	query string
	span  time.Duration
}

func (h *holdScope) flags(f *pflag.FlagSet, r *api.HoldScope) {
	f.StringVar(&r.Kind, "kind", "", "pause, safeguard (a known issue) or freeze (a calendar) (default pause)")
	f.StringVar(&h.until, "until", "", "when it ends by itself, like 2027-01-04T06:00:00Z")
	f.Var((*spanFlag)(&h.span), "for", "how long it lasts, like 72h or 7d")
	f.StringArrayVar(&r.Match.OS, "if-os", nil, "safeguard: only on this system (linux, windows, darwin); may be repeated")
	f.StringArrayVar(&r.Match.Arch, "if-arch", nil, "safeguard: only on this architecture; may be repeated")
	f.StringArrayVar(&r.Match.Present, "if-present", nil, "safeguard: only where this update is installed; may be repeated")
	f.StringVar(&h.query, "if", "", "safeguard: JSON or @FILE: only on machines whose inventory fits: maker, model, distribution, version, packages, memory")
	f.StringArrayVar(&r.Match.Installer, "if-installer", nil, "safeguard: only where this kind can be installed; may be repeated")
}

func (h *holdScope) read(r *api.HoldScope) error {
	if h.query != "" {
		q, err := readQuery(h.query)
		if err != nil {
			return err
		}
		r.Match.Query = q
	}
	switch {
	case h.until != "" && h.span != 0:
		return api.Errorf(api.ClassUsage, "--until and --for both say when the hold ends")
	case h.span < 0:
		return api.Errorf(api.ClassUsage, "--for %s lies in the past", h.span)
	case h.span > 0:
		r.ExpiresAt = time.Now().Add(h.span).UTC().Truncate(time.Second)
	case h.until != "":
		at, err := time.Parse(time.RFC3339, h.until)
		if err != nil {
			return api.Errorf(api.ClassUsage, "--until %q is no time like 2027-01-04T06:00:00Z", h.until)
		}
		r.ExpiresAt = at.UTC()
	}
	return nil
}
