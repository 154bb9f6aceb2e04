package main

import (
	"cmp"
	"fmt"
	"io"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"patchmesh/node/api"
)

func (a *app) eligibilityCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "eligibility",
		Short: "which machines give and take chunks now, and why others do not",
		Long: "eligibility tells what this machine does for its site and for itself at present, and of every machine that it is connected\n" +
			"to whether it gives chunks to this one and takes them from here; where not, with the reason, until when, and what to do.\n" +
			"'patchmesh run --gate' says when a machine stops giving; 'status' on a seed shows what every machine of the fleet holds\n" +
			"back, and 'doctor' which limits hold here.\n" + exits,
		Example: "  patchmesh peers eligibility\n  patchmesh peers eligibility --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.running(func(s api.Service) error {
				n, err := s.Node(c.Context())
				if err != nil {
					return err
				}
				e := eligibilityOf(n)
				return a.print(e, func(w io.Writer) { writeEligibility(w, e) })
			})
		},
	}
}

// eligibility is what of a node says who gives and who takes.
type eligibility struct {
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Site      string         `json:"site"`
	Abilities []api.Ability  `json:"abilities"`
	Peers     []peerEligible `json:"peers"`
}

type peerEligible struct {
	ID    string       `json:"id"`
	Name  string       `json:"name,omitempty"`
	Site  string       `json:"site"`
	Seed  bool         `json:"seed,omitempty"`
	Gives api.Eligible `json:"gives"` // chunks to this machine
	Takes api.Eligible `json:"takes"` // chunks from this machine
}

func eligibilityOf(n *api.NodeInfo) eligibility {
	e := eligibility{ID: n.ID, Name: n.Name, Site: n.Site, Abilities: n.Abilities, Peers: []peerEligible{}}
	for _, p := range n.Peers {
		e.Peers = append(e.Peers, peerEligible{p.ID, p.Name, p.Site, p.Seed, p.Gives, p.Takes})
	}
	return e
}

func writeEligibility(w io.Writer, e eligibility) {
	fmt.Fprintf(w, "%s (%s), site %s\n", api.Clean(e.Name), e.ID, e.Site)
	for _, x := range e.Abilities {
		fmt.Fprintf(w, "  %s: %s%s\n", cmp.Or(api.AbilityTexts[x.What], api.Clean(x.What)), x.Text(), nextStep(x.Eligible))
	}
	fmt.Fprintln(w)
	t := tabwriter.NewWriter(w, 0, 4, 2, ' ', 0)
	fmt.Fprintln(t, "PEER\tID\tSITE\tGIVES CHUNKS TO THIS MACHINE\tTAKES CHUNKS FROM IT")
	for _, p := range e.Peers {
		name := api.Clean(p.Name)
		if p.Seed {
			name += " (seed)"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", name, shortID(p.ID), api.Clean(p.Site), p.Gives.Text(), p.Takes.Text())
	}
	_ = t.Flush()
}

func nextStep(e api.Eligible) string {
	if e.NextStep == "" {
		return ""
	}
	return "; next: " + api.Clean(e.NextStep)
}
