package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/state"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// people is what the machine's own people say: its local file, and the wishes of its user.
type people struct {
	mu      sync.Mutex
	local   localPolicy
	there   bool
	trouble error
	wishes  map[policy.UpdateID]policy.Wish
}

// wishesKey is where the wishes stand in the database.
const wishesKey = "wishes"

// localEvery is how often the local file is looked at.
const localEvery = 10 * time.Second

// maxWishes bounds what users say of updates; those that are approved no more go first.
const maxWishes = 1000

func (n *Node) openPeople() error {
	p := &n.people
	p.local, p.there, p.trouble = readLocalPolicy(n.cfg.DataDir)
	p.wishes = map[policy.UpdateID]policy.Wish{}
	b, err := n.db.Value(wishesKey)
	if errors.Is(err, state.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	if err := json.Unmarshal(b, &p.wishes); err != nil {
		return fmt.Errorf("wishes: %w", err)
	}
	return nil
}

// said puts what people have said into the facts of the machine.
func (p *people) said(m *policy.Machine) {
	p.mu.Lock()
	defer p.mu.Unlock()
	m.Local, m.LocalHolds, m.Wishes = p.local.Settings, p.local.Hold, maps.Clone(p.wishes)
	if p.trouble != nil {
		m.LocalTrouble = api.Clean(p.trouble.Error())
	}
}

// watchLocal takes the local file up when it changes.
func (n *Node) watchLocal(ctx context.Context) {
	t := time.NewTicker(localEvery)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			n.reloadLocal()
		}
	}
}

func (n *Node) reloadLocal() {
	local, there, err := readLocalPolicy(n.cfg.DataDir)
	p := &n.people
	p.mu.Lock()
	same := p.there == there && p.local.equal(local) && (p.trouble == nil) == (err == nil)
	p.local, p.there, p.trouble = local, there, err
	p.mu.Unlock()
	if same {
		return
	}
	if err != nil {
		n.log.Error("the local policy cannot be read; until it is mended every update is held back here", "err", err)
	} else {
		n.log.Info("local policy taken up", "settings", len(local.Settings), "holds", len(local.Hold))
	}
	n.limits.poke()
	n.events.send(swarm.InventoryChanged{Machine: n.machineFacts()})
}

// Wish implements api.Service: the user of this machine accepts an update, takes that back, or postpones it.
func (n *Node) Wish(ctx context.Context, r api.WishRequest) (*api.WishTaken, error) {
	m := n.believer.current().Manifest()
	if m == nil {
		return nil, api.Errorf(api.ClassFailed, "this node has lost its approvals and waits for those of the mesh")
	}
	if n.seed != nil {
		return nil, api.Errorf(api.ClassRefused, "this is a seed, which installs nothing itself").WithHint("run the command on the machine that is meant")
	}
	facts := n.machineFacts()
	facts.Detected = n.found()
	now := n.cfg.Now()
	plan := policy.MakePlan(m, n.describer(), facts, false, now)
	i := slices.IndexFunc(plan.Verdicts, func(v policy.Verdict) bool { return string(v.Update) == r.Update && !v.Listed })
	if i < 0 {
		return nil, api.Errorf(api.ClassNotFound, "no update %q is approved for this machine", api.Clean(r.Update)).WithHint("'patchmesh status' lists what is")
	}
	v := plan.Verdicts[i]
	for _, k := range n.view.Load().Tasks { // there it is known since when the machine knows of it, see policy.SetDeadlineGrace
		if k.Verdict.Update == v.Update && k.Verdict.Revision == v.Revision {
			v.Deadline = k.Verdict.Deadline
		}
	}
	w, taken, err := n.wished(ctx, m, v, facts, r)
	if err != nil || taken.Unchanged {
		return taken, err
	}
	if err := n.keepWish(plan, v.Update, w); err != nil {
		return nil, err
	}
	n.noteWish(ctx, taken)
	n.events.send(swarm.InventoryChanged{Machine: n.machineFacts()})
	return taken, nil
}

// keepWish makes a wish durable before it counts, and forgets those of updates that are approved no more.
func (n *Node) keepWish(plan policy.Plan, u policy.UpdateID, w policy.Wish) error {
	p := &n.people
	p.mu.Lock()
	defer p.mu.Unlock()
	next := maps.Clone(p.wishes)
	if next[u] = w; w.Revision == 0 { // forgotten
		delete(next, u)
	}
	maps.DeleteFunc(next, func(u policy.UpdateID, _ policy.Wish) bool {
		return !slices.ContainsFunc(plan.Verdicts, func(v policy.Verdict) bool { return v.Update == u })
	})
	if len(next) > maxWishes {
		return api.Errorf(api.ClassRefused, "too many wishes are kept already")
	}
	b, err := json.Marshal(next)
	if err != nil {
		return err
	}
	if err := n.db.PutValue(wishesKey, b); err != nil {
		return err
	}
	p.wishes = next
	return nil
}

// SetSetting implements api.Service.
func (n *Node) SetSetting(_ context.Context, r api.SettingRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.setSetting(r) })
}

func (s *seed) setSetting(r api.SettingRequest) (*api.Published, error) {
	r.Setting = r.Setting.Plain()
	w := wish{passphrase: r.Passphrase, reason: r.Reason, summary: "setting " + r.Setting.String()}
	if r.Drop {
		w.summary = fmt.Sprintf("take setting %s for group %s back", r.Setting.Name, r.Setting.Group)
	} else if err := r.Setting.Validate(); err != nil {
		var names []string
		for _, i := range policy.SettingInfos {
			names = append(names, i.Name)
		}
		return nil, api.Errorf(api.ClassUsage, "%v", err).WithHint("settings: %s; 'patchmesh policy show' tells their meaning", strings.Join(names, ", "))
	}
	return s.change(w, func(m *sheet) error {
		n := len(m.settings)
		m.settings = slices.DeleteFunc(m.settings, func(o policy.Setting) bool { return o.Name == r.Setting.Name && o.Group == r.Setting.Group })
		if r.Drop {
			if len(m.settings) == n {
				return api.Errorf(api.ClassNotFound, "nothing says %s for group %s", api.Clean(r.Setting.Name), api.Clean(r.Setting.Group)).WithHint("'patchmesh policy show' tells what is said where")
			}
			return nil
		}
		if err := s.needGroup(m, r.Setting.Group); err != nil {
			return err
		}
		m.settings = append(m.settings, r.Setting)
		return nil
	})
}

// Policy implements api.Service.
func (n *Node) Policy(ctx context.Context, q api.PolicyQuery) (*api.Policy, error) {
	m := n.believer.current().Manifest()
	if m == nil {
		return nil, api.Errorf(api.ClassFailed, "this node has lost its approvals and waits for those of the mesh")
	}
	facts, own, err := n.factsOf(ctx, q.Machine)
	if err != nil {
		return nil, err
	}
	a := &api.Policy{Machine: facts.Name, Groups: nonNil(facts.Groups), Epoch: m.Epoch, Settings: m.Effectives(facts), Holds: nonNil(facts.LocalHolds)}
	if own {
		n.people.mu.Lock()
		defer n.people.mu.Unlock()
		if n.people.there {
			a.Local = localPolicyFile
		}
		if n.people.trouble != nil {
			a.Holds = []string{"*"}
			a.Trouble = api.Clean(n.people.trouble.Error())
		}
	}
	return a, nil
}

// factsFor is what is known here of a machine of the fleet.
func (n *Node) factsFor(row api.Machine) policy.Machine {
	if row.ID == n.id {
		return n.machineFacts()
	}
	facts := policy.Machine{ID: row.ID, Name: row.Name, Site: row.Site, Groups: row.Groups}
	if n.seed != nil {
		facts.Inventory, facts.Claims, _ = n.seed.inventoryOf(row.ID)
	}
	facts.Zone, _ = facts.Inventory.ClockOf(time.Local)
	facts.Installers = installerKinds()
	if v := facts.Inventory; v != nil {
		facts.OS, facts.Arch = v.OS, v.Arch
	}
	return facts
}

// factsOf gives what is known here of a machine, by id or name; own is true for this one.
func (n *Node) factsOf(ctx context.Context, machine string) (facts policy.Machine, own bool, err error) {
	facts = n.machineFacts()
	if machine == "" || machine == n.id || machine == n.member.Name {
		return facts, true, nil
	}
	f, err := n.Status(ctx, api.StatusQuery{Machine: machine})
	if err != nil {
		return facts, false, err
	}
	return n.factsFor(f.Machines[0]), false, nil
}
