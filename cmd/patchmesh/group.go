package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

func (a *app) groupCmd() *cobra.Command {
	c := &cobra.Command{
		Use:   "group",
		Short: "named sets of machines, and who is in them",
		Long: "A machine is in a group because its token named it, because the group's query fits its inventory, or because it says so\n" +
			"itself where the group lets machines join. Queries are signed with the approvals; every machine answers them by\n" +
			"itself, offline, and a seed comes to the same answer from its report. Groups nest; 'all' and 'unassigned' are built in.\n" + exits,
		Example: `  patchmesh group list
  patchmesh group set bookworm --query '{"os":{"distribution":"debian","version":{"equal":"12"}}}'`,
	}
	c.AddCommand(a.groupListCmd(), a.groupSetCmd(), a.groupDropCmd(), a.groupClaimCmd(false), a.groupClaimCmd(true))
	return c
}

func (a *app) groupListCmd() *cobra.Command {
	var q api.GroupsQuery
	c := &cobra.Command{
		Use:   "list",
		Short: "every group, who is in it, and claims that do not count",
		Long: "list shows the groups with their machines and why each is in it: enrolled, query, claimed or nested. 'unknown' is a\n" +
			"machine of which that cannot be found out; nothing that such a group could forbid is installed there. What machines\n" +
			"say of themselves and what does not count is listed too.\n" + exits,
		Example: "  patchmesh group list\n  patchmesh group list --machine till-3 --json",
		Args:    exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			return a.surveyor(func(s api.Surveyor) error {
				v, err := s.Groups(c.Context(), q)
				if err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) { writeGroups(w, v) })
			})
		},
	}
	c.Flags().StringVar(&q.Machine, "machine", "", "groups of one machine, by name or id")
	return c
}

func writeGroups(w io.Writer, v *api.Groups) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "GROUP\tMACHINE\tWHY")
	for _, g := range v.Groups {
		name := g.String()
		if g.BuiltIn {
			name = g.Name
		}
		fmt.Fprintf(t, "%s\t%d machine(s)\t\n", api.Clean(name), len(g.Machines))
		for _, m := range g.Machines {
			why := m.Source
			if m.Detail != "" {
				why += ": " + m.Detail
			}
			fmt.Fprintf(t, "\t%s\t%s\n", api.Clean(m.Machine), api.Clean(why))
		}
	}
	_ = t.Flush()
	for _, c := range v.Claims {
		if c.Source == api.GroupUnlisted {
			fmt.Fprintf(w, "does not count: %s was enrolled into %s, which the approvals do not list: it counts once something is approved for it, or with 'patchmesh group set %s'\n",
				api.Clean(c.Machine), api.Clean(c.Group), api.Clean(c.Group))
			continue
		}
		fmt.Fprintf(w, "does not count: %s says that it is in %s (%s): %s\n", api.Clean(c.Machine), api.Clean(c.Group), c.Source, api.Clean(c.Detail))
	}
}

const groupSetLong = `set makes a group, or changes one: what is not given is taken away. A query is JSON, here or in a file (@FILE):
  {"all":[...]} {"any":[...]} {"not":...}
  {"os":{"name":"linux","distribution":"debian","version":{"at_least":"12","below":"13"}}}
  {"arch":["amd64"]}
  {"package":{"system":"deb","name":"openssl","version":{"below":"3.0.15-1"}}}   deb, rpm or windows
  {"machine":{"names":["till-*"],"sites":["branch"],"ids":["12D3..."],"agent":{"below":"1.2"},
              "vendors":["Lenovo"],"models":["ThinkPad X1*"],
              "memory_mib":{"at_least":4096},"disk_mib":{"at_least":32768}}}
What an inventory does not tell is neither yes nor no: then nothing is installed that the group could forbid.
`

func (a *app) groupSetCmd() *cobra.Command {
	var r api.GroupRequest
	var query, file string
	c := &cobra.Command{
		Use:   "set NAME",
		Short: "make a group, or change its parent, query or whether machines may join",
		Long:  groupSetLong + exits,
		Example: `  patchmesh group set tills --parent shops --query '{"machine":{"names":["till-*"]}}'
  patchmesh group set old-openssl --query @query.json
  patchmesh group set kiosks --self-join`,
		Args: exactly(1, "the name of one group"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Group.Name = args[0]
			if query != "" {
				q, err := readQuery(query)
				if err != nil {
					return err
				}
				r.Group.Query = q
			}
			return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) { return setGroup(c, s, r) })
		},
	}
	c.Flags().StringVar(&r.Group.Parent, "parent", "", "group that it lies in; none: all")
	c.Flags().StringVar(&query, "query", "", "JSON or @FILE: machines whose inventory fits are in the group")
	c.Flags().BoolVar(&r.Group.SelfJoin, "self-join", false, "machines may say themselves that they are in it ('patchmesh group join')")
	a.groupFlags(c, &r, &file)
	return c
}

// maxQueryText bounds what is read of a file.
const maxQueryText = 256 << 10

func readQuery(text string) (*node.Query, error) {
	if name, isFile := strings.CutPrefix(text, "@"); isFile {
		f, err := os.Open(name)
		if err != nil {
			return nil, api.Errorf(api.ClassNotFound, "query: %v", err)
		}
		defer f.Close()
		b, err := io.ReadAll(io.LimitReader(f, maxQueryText+1))
		if err != nil || len(b) > maxQueryText {
			return nil, api.Errorf(api.ClassUsage, "query: %s is larger than %d bytes or cannot be read", name, maxQueryText)
		}
		text = string(b)
	}
	q, err := node.ParseQuery([]byte(text))
	if err != nil {
		return nil, api.Errorf(api.ClassUsage, "query: %v", err).WithHint("'patchmesh group set --help' shows queries")
	}
	return q, nil
}

func (a *app) groupFlags(c *cobra.Command, r *api.GroupRequest, file *string) {
	c.Flags().StringVar(&r.Reason, "reason", "", "why, for the approval log")
	c.Flags().StringVar(file, "passphrase-file", "", "file whose first line is the passphrase of the approver key")
}

func setGroup(c *cobra.Command, s api.Service, r api.GroupRequest) (*api.Published, error) {
	v, ok := s.(api.Surveyor)
	if !ok {
		return nil, api.Errorf(api.ClassFailed, "this node knows no groups")
	}
	return v.SetGroup(c.Context(), r)
}

func (a *app) groupDropCmd() *cobra.Command {
	r := api.GroupRequest{Drop: true}
	var file string
	c := &cobra.Command{
		Use:     "drop NAME",
		Short:   "drop a group that nothing is about any more",
		Long:    "drop takes a group out of the approvals. One that approvals, holds, windows, settings or rings name stays.\n" + exits,
		Example: "  patchmesh group drop kiosks",
		Args:    exactly(1, "the name of one group"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Group.Name = args[0]
			return a.decide(file, &r.Passphrase, func(s api.Service) (*api.Published, error) { return setGroup(c, s, r) })
		},
	}
	a.groupFlags(c, &r, &file)
	return c
}

func (a *app) groupClaimCmd(leave bool) *cobra.Command {
	r := api.ClaimRequest{Leave: leave}
	var state string
	c := &cobra.Command{
		Use:   "join NAME",
		Short: "say that this machine is in a group",
		Long: "join counts where the group lets machines join by themselves; that is signed with the approvals. A claim that does not\n" +
			"count is shown to the admin ('patchmesh group list' on the seed) and changes nothing. Where updates are installed by\n" +
			"a separate process, root must say it, since that process believes root alone.\n" + exits,
		Example: "  patchmesh group join kiosks",
		Args:    exactly(1, "the name of one group"),
		RunE: func(c *cobra.Command, args []string) error {
			r.Group = args[0]
			return a.surveyor(func(s api.Surveyor) error {
				v, err := s.Claim(c.Context(), r)
				if err != nil {
					return err
				}
				if _, err := node.ClaimForApply(state, v.Claims); err != nil {
					return err
				}
				return a.print(v, func(w io.Writer) { writeClaimed(w, v, r) })
			})
		},
	}
	if leave {
		c.Use, c.Short, c.Example = "leave NAME", "take such a word back", "  patchmesh group leave kiosks"
		c.Long = "leave takes back what join said. Groups that the machine was enrolled into, or whose query it fits, stay.\n" + exits
	}
	c.Flags().StringVar(&state, "apply-state", node.DefaultApplyState, "folder of the apply role, where there is one")
	return c
}

func writeClaimed(w io.Writer, v *api.Claimed, r api.ClaimRequest) {
	switch {
	case r.Leave:
		fmt.Fprintf(w, "%s no longer says that it is in %s\n", api.Clean(v.Machine), r.Group)
	case v.Counts:
		fmt.Fprintf(w, "%s is in %s\n", api.Clean(v.Machine), r.Group)
	default:
		fmt.Fprintf(w, "%s says that it is in %s, which does not count yet: %s\n", api.Clean(v.Machine), r.Group, api.Clean(v.Detail))
	}
}
