package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
)

// onlineFor is how long after its last contact a machine counts as online: three heartbeats.
const onlineFor = 150 * time.Second

// offlineAfter is when a machine that fell silent is taken to be switched off or away.
const offlineAfter = 24 * time.Hour

// Status implements api.Service. Who gave which share is asked for with Provenance.
func (n *Node) Status(_ context.Context, q api.StatusQuery) (*api.Fleet, error) {
	f, err := n.statusInDetail(q)
	if err != nil {
		return nil, err
	}
	for i := range f.Machines {
		for j := range f.Machines[i].Updates {
			f.Machines[i].Updates[j].Sources = nil
		}
	}
	f.Vendors = n.vendors(f.Machines)
	return f, nil
}

func (n *Node) statusInDetail(q api.StatusQuery) (*api.Fleet, error) {
	v := n.view.Load()
	f := &api.Fleet{Org: n.member.Org, Epoch: v.Epoch, AsOf: n.cfg.Now().UTC(), Stale: v.Stale, Refused: n.refused()}
	if t := n.nodeTrouble(); t != nil {
		f.Reason, f.Detail = string(t.reason), t.detail
	}
	f.Attention = n.attentions()
	if n.seed != nil {
		rows, err := n.seed.fleet(n.connected())
		if err != nil {
			return nil, err
		}
		f.Machines = rows
		if f.Drafts, err = n.seed.waitingDrafts(); err != nil {
			return nil, err
		}
	} else {
		own := n.ownRow(*v)
		own.LastContact = f.AsOf
		n.budgets().tellAll(&own, f.AsOf)
		f.Machines = []api.Machine{own}
	}
	n.measureBaseline(f.Machines)
	return narrow(f, q, n.knownUpdate, n.knownGroup)
}

// connected names the machines that have a session with this node.
func (n *Node) connected() map[string]bool {
	up := map[string]bool{}
	if n.host == nil { // offline
		return up
	}
	for _, p := range n.host.Peers() {
		up[p.ID] = true
	}
	return up
}

// fleet is every enrolled machine with its last report.
func (s *seed) fleet(connected map[string]bool) ([]api.Machine, error) {
	members, err := s.db.Members()
	if err != nil {
		return nil, err
	}
	reports, err := s.db.Reports()
	if err != nil {
		return nil, err
	}
	byID := map[string]state.ReportRow{}
	for _, r := range reports {
		byID[r.Machine] = r
	}
	out := []api.Machine{}
	for _, k := range members {
		m := api.Machine{ID: k.ID, Updates: []api.Update{}}
		if r, ok := byID[k.ID]; ok {
			if len(r.Body) > 0 {
				if err := json.Unmarshal(r.Body, &m); err != nil {
					return nil, fmt.Errorf("report of %s: %w", k.ID, err)
				}
				m.LastReport = r.At.UTC()
			}
			m.LastContact = r.ContactAt.UTC()
		}
		m.ID, m.Name, m.Site, m.Groups = k.ID, k.Name, k.Site, s.groupsOf(k)
		if connected[k.ID] {
			m.LastContact = s.now().UTC()
		}
		m.Online = !m.LastContact.IsZero() && s.now().Sub(m.LastContact) < onlineFor
		if k.ReplacedBy != "" && !m.Online {
			continue // its row is kept as history: 'enrol list --all' shows it
		}
		if k.ReplacedBy != "" {
			m.Reason, m.Detail = reasonReimaged, "it was set up anew as "+k.ReplacedBy+", but is still there: two machines, or a copied key"
		}
		if k.Replaces != "" && m.LastReport.IsZero() {
			reimaged(&m, k)
		}
		if !m.Online && m.Reason == "" {
			m.Reason = string(policy.ReasonHostSilent)
			if away := s.now().Sub(m.LastContact); !m.LastContact.IsZero() && away > offlineAfter {
				m.Reason, m.Detail = string(policy.ReasonHostOffline), "nothing was heard from it for "+api.Duration(away)
			}
		}
		if v, ok := s.believer.current().Roster().Revocation(k.ID); ok {
			m.Online, m.Reason, m.Detail = false, string(policy.ReasonHostRevoked), revokedError(v).Error()
		}
		s.worked(k).budgets.tellAll(&m, s.now())
		out = append(out, m)
	}
	slices.SortFunc(out, func(a, b api.Machine) int { return strings.Compare(a.Name+a.ID, b.Name+b.ID) })
	return out, nil
}

// narrow applies a query; a name that nobody knows is an error rather than an empty answer.
func narrow(f *api.Fleet, q api.StatusQuery, knownUpdate, knownGroup func(string) bool) (*api.Fleet, error) {
	if q.Update != "" && !knownUpdate(q.Update) {
		return nil, api.Errorf(api.ClassNotFound, "no update %q is known here", api.Clean(q.Update)).WithHint("'patchmesh status' lists what there is")
	}
	if q.Group != "" && !knownGroup(q.Group) {
		return nil, api.Errorf(api.ClassNotFound, "no group %q", api.Clean(q.Group))
	}
	all := f.Machines
	f.Machines = []api.Machine{}
	for _, m := range all {
		if q.Machine != "" && q.Machine != m.ID && q.Machine != m.Name {
			continue
		}
		if q.Group != "" && q.Group != policy.GroupAll && !slices.Contains(m.Groups, q.Group) &&
			!(q.Group == policy.GroupUnassigned && len(m.Groups) == 0) {
			continue
		}
		if q.Update != "" {
			m.Updates = slices.DeleteFunc(m.Updates, func(u api.Update) bool { return u.Update != q.Update })
		}
		f.Machines = append(f.Machines, m)
	}
	if q.Machine != "" && len(f.Machines) == 0 {
		return nil, api.Errorf(api.ClassNotFound, "no machine %q is known here", api.Clean(q.Machine)).WithHint("'patchmesh status' lists the machines by name and id")
	}
	return f, nil
}

func (n *Node) knownUpdate(id string) bool {
	if n.seed != nil {
		if _, err := n.seed.db.Update(id); err == nil {
			return true
		}
	}
	m := n.believer.current().Manifest()
	return m != nil && slices.ContainsFunc(m.Approvals, func(a policy.Approval) bool { return string(a.Update) == id })
}

func (n *Node) knownGroup(name string) bool {
	if name == policy.GroupAll || name == policy.GroupUnassigned || slices.Contains(n.member.Groups, name) {
		return true
	}
	if n.seed != nil {
		groups, err := n.seed.db.Groups()
		if err == nil && slices.ContainsFunc(groups, func(g state.GroupRow) bool { return g.Name == name }) {
			return true
		}
	}
	m := n.believer.current().Manifest()
	return m != nil && slices.ContainsFunc(m.Groups, func(g policy.Group) bool { return g.Name == name })
}

// Node implements api.Service.
func (n *Node) Node(ctx context.Context) (*api.NodeInfo, error) {
	if n.host == nil {
		return nil, api.Errorf(api.ClassUnreachable, "the node is not running").WithHint("start it with 'patchmesh run'")
	}
	v, err := n.storeView(ctx)
	if err != nil {
		return nil, err
	}
	info := &api.NodeInfo{
		ID: n.id, Name: n.member.Name, Org: n.member.Org, Site: n.member.Site, Seed: n.seed != nil, Egress: v.Egress, Cache: v.Cache, WiFi: v.WiFi,
		Listen: n.host.ListenAddr(), Version: n.cfg.Version, Epoch: v.Epoch, Started: n.started.UTC(), Peers: []api.PeerInfo{},
		Membership: n.renewal.info(), Traffic: n.traffic(v), Abilities: n.abilities(v.Gate),
	}
	info.Peers = n.peerRows(v)
	return info, nil
}

// errNoSeed answers what only a seed can do.
func errNoSeed() error {
	return api.Errorf(api.ClassRefused, "this machine holds no approval keys").WithHint("run the command on the seed, with its --data folder")
}

func onSeed[T any](s *seed, f func(*seed) (*T, error)) (*T, error) {
	if s == nil {
		return nil, errNoSeed()
	}
	r, err := f(s)
	return r, spaceClass(err)
}

// spaceClass gives a full disk its exit code wherever it shows.
func spaceClass(err error) error {
	var e *api.Error
	if err == nil || errors.As(err, &e) || failure(0, err).Reason != policy.ReasonDiskShort {
		return err
	}
	return api.Errorf(api.ClassNoSpace, "%v", err).WithHint("make room on the disk of the data folder")
}

// Invite implements api.Service.
func (n *Node) Invite(_ context.Context, r api.InviteRequest) (*api.Invite, error) {
	return onSeed(n.seed, func(s *seed) (*api.Invite, error) { return s.invite(r) })
}

// Import implements api.Service.
func (n *Node) Import(_ context.Context, r api.ImportRequest, body io.Reader) (*api.Imported, error) {
	return onSeed(n.seed, func(s *seed) (*api.Imported, error) { return s.importPayload(r, body) })
}

// Approve implements api.Service.
func (n *Node) Approve(_ context.Context, r api.ApproveRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.approve(r) })
}

// Hold implements api.Service.
func (n *Node) Hold(_ context.Context, r api.HoldRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.hold(r) })
}

// Release implements api.Service.
func (n *Node) Release(_ context.Context, r api.ReleaseRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.release(r) })
}

// Sign implements api.Service.
func (n *Node) Sign(_ context.Context, r api.SignRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.sign(r) })
}

var _ api.Service = (*Node)(nil)
