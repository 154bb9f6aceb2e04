//go:build unix

package node

import (
	"context"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/restart"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/orch"
	"patchmesh/swarm/wire"
)

// orchestrated is a seed with machines of one group in one site, and an orchestration of them.
func orchestrated(t *testing.T, r api.OrchestrationRequest, cfg Config, names ...string) (*mesh, []*running) {
	t.Helper()
	m := newMesh(t)
	var all []*running
	for _, name := range names {
		c := cfg
		c.Egress = EgressYes
		if len(all) > 0 {
			c.Peers = []string{all[0].addr}
		}
		m.join(name)
		all = append(all, m.run(name, c))
	}
	r.Name, r.Group = "o", "office"
	m.orchestrate(r)
	for _, x := range all {
		until(t, x.member.Name+" to know", func() bool { return x.orch().Orchestration.Name == "o" })
	}
	return m, all
}

func (m *mesh) orchestrate(r api.OrchestrationRequest) {
	m.t.Helper()
	if p, err := m.seed.SetOrchestration(context.Background(), r); err != nil || !p.Published {
		m.t.Fatalf("%+v, %v", p, err)
	}
}

func (r *running) orch() api.OrchestrationInfo {
	v, err := r.Orchestrations(context.Background(), api.OrchestrationQuery{})
	if err != nil || len(v.Orchestrations) == 0 {
		return api.OrchestrationInfo{}
	}
	return v.Orchestrations[0]
}

// hookedFile imports an update with scripts before and after it, which write to a log what they do.
func (m *mesh) hookedFile(id, log string, seconds string) {
	m.t.Helper()
	hook := func(word string) *api.Hook {
		return &api.Hook{Script: fmt.Sprintf("#!/bin/sh\necho %s $PATCHMESH_ROOT >> %s\nsleep %s\n", word, log, seconds), TimeoutSeconds: 30}
	}
	body := payload(20_000)
	_, err := m.seed.Import(context.Background(), api.ImportRequest{
		FileName: id, SizeBytes: int64(len(body)), ID: id, Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/" + id},
		ImportRules: api.ImportRules{Before: hook("drain"), After: hook("serve")},
	}, strings.NewReader(string(body)))
	if err != nil {
		m.t.Fatal(err)
	}
}

// R-H3, R-X14: three machines, one at a time, with the seed away: the script before one's update never runs while
// another's is between its script before and its script behind.
func TestRX14OneMachineAtATimeWithTheSeedAway(t *testing.T) {
	t.Parallel()
	m, all := orchestrated(t, api.OrchestrationRequest{Count: 1}, Config{}, "a", "b", "c")
	log := filepath.Join(m.dir, "log")
	m.hookedFile("u1", log, "0.3")
	m.approve("u1")
	for _, x := range all {
		until(t, "the approval", func() bool { return x.update(t, "u1").Update != "" })
	}
	until(t, "the payload to be in the site", func() bool {
		return slices.ContainsFunc(all, func(x *running) bool { return x.update(t, "u1").HaveBytes > 0 })
	})
	m.seed.stop()
	for _, x := range all {
		until(t, x.member.Name, func() bool { return x.update(t, "u1").State == "installed" })
	}
	b, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	if len(lines) != 6 {
		t.Fatalf("%q", lines)
	}
	for i := 0; i < len(lines); i += 2 {
		if w := strings.TrimPrefix(lines[i], "drain "); w == lines[i] || lines[i+1] != "serve "+w {
			t.Errorf("two at work at once:\n%s", b)
		}
	}
	until(t, "all to be done", func() bool { return all[0].orch().Here.Phase == "idle" && len(all[0].orch().Here.Holders) == 0 })
}

// R-X14: one machine of three that hears of nobody begins nothing, says whom it misses, and goes on when they are back.
func TestRX14AMinorityWaitsAndSaysForWhom(t *testing.T) {
	t.Parallel()
	m, all := orchestrated(t, api.OrchestrationRequest{Count: 2}, Config{}, "a", "b", "c")
	all[1].stop()
	all[2].stop()
	m.file("u1", payload(10_000))
	m.approve("u1")
	until(t, "a to wait for votes", func() bool {
		u := all[0].update(t, "u1")
		return u.State == "waiting-orchestration" && u.Reason == string(policy.ReasonOrchWaiting) && strings.Contains(u.Detail, "of the 2 votes")
	})
	e, err := all[0].Explain(context.Background(), "u1", "a")
	if err != nil || !slices.ContainsFunc(e.Chain, func(f api.Fact) bool {
		return f.Step == "orchestration" && strings.Contains(f.Text, "2 of 3 members at once")
	}) || !strings.Contains(e.NextStep, "orchestration show") {
		t.Errorf("%+v, %v", e, err)
	}
	m.run("b", Config{Peers: []string{all[0].addr}, Egress: EgressYes})
	until(t, "a to install", func() bool { return all[0].update(t, "u1").State == "installed" })
}

// R-H3: a member that fails stops the others, in the order that was asked for; a reset lets them go on.
func TestRH3AFailureStopsTheOthersUntilAReset(t *testing.T) {
	t.Parallel()
	m, all := orchestrated(t, api.OrchestrationRequest{Count: 1, Order: []string{"b", "a"}}, Config{}, "a", "b")
	body := payload(10_000)
	if err := os.MkdirAll(all[1].root, 0o755); err != nil {
		t.Fatal(err)
	}
	flag := filepath.Join(all[1].root, "broken")
	if err := os.WriteFile(flag, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	_, err := m.seed.Import(context.Background(), api.ImportRequest{
		FileName: "u1", SizeBytes: int64(len(body)), ID: "u1", Installer: "file", InstallerArgs: map[string]string{"dest": "/srv/u1"},
		ImportRules: api.ImportRules{Before: &api.Hook{Script: "#!/bin/sh\ntest ! -e $PATCHMESH_ROOT/broken\n", TimeoutSeconds: 30}},
	}, strings.NewReader(string(body)))
	if err != nil {
		t.Fatal(err)
	}
	m.approve("u1")
	until(t, "b to fail", func() bool { return all[1].update(t, "u1").Failures > 0 })
	until(t, "the seed to know that it has stopped", func() bool {
		v, err := m.seed.Orchestrations(context.Background(), api.OrchestrationQuery{Name: "o"})
		e, explained := m.seed.Explain(context.Background(), "u1", "a")
		return err == nil && explained == nil && strings.Contains(v.Orchestrations[0].Stopped, "b failed") && e.Owner == "admin" && strings.Contains(e.NextStep, "reset")
	})
	until(t, "a to know why it waits", func() bool {
		return strings.Contains(all[0].update(t, "u1").Detail, "has stopped since b failed")
	})
	if h := all[0].orch().Here; !h.Locked || h.LockedBy != "b" {
		t.Errorf("%+v", h)
	}
	if err := os.Remove(flag); err != nil {
		t.Fatal(err)
	}
	m.orchestrate(api.OrchestrationRequest{Name: "o", Reset: true})
	until(t, "a to install", func() bool { return all[0].update(t, "u1").State == "installed" })
	until(t, "b to be let go on", func() bool { return !all[1].orch().Here.Locked })
}

// R-H3: install and restart are one holding: the slot is given back when the machine has been restarted.
func TestRH3TheSlotIsHeldUntilTheMachineIsRestarted(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	type box struct {
		*running
		root, state string
		cfg         Config
		restarts    *atomic.Int32
	}
	var all []*box
	for _, name := range []string{"a", "b"} {
		m.join(name)
		x := &box{root: filepath.Join(m.dir, name+"-system"), restarts: &atomic.Int32{}}
		if err := os.MkdirAll(x.root, 0o755); err != nil {
			t.Fatal(err)
		}
		socket, state := m.applyProcess(name, x.root, func(c *ApplyConfig) {
			c.RestartWith = restart.Run(func(context.Context, []string) error { x.restarts.Add(1); return nil })
		})
		x.state, x.cfg = state, Config{Egress: EgressYes, ApplySocket: socket}
		if len(all) > 0 {
			x.cfg.Peers = []string{all[0].addr}
		}
		x.running = m.run(name, x.cfg)
		all = append(all, x)
	}
	m.orchestrate(api.OrchestrationRequest{Name: "o", Group: "office", Count: 1})
	for name, value := range map[string]string{policy.SetRestart: policy.RestartAlways, policy.SetRestartSpread: "0s", policy.SetRestartDelay: "0s"} {
		if _, err := m.seed.SetSetting(context.Background(), api.SettingRequest{Setting: policy.Setting{Name: name, Group: policy.GroupAll, Value: value}}); err != nil {
			t.Fatal(err)
		}
	}
	body := "#!/bin/sh\necho done > \"$PATCHMESH_ROOT/half\"\nexit 194\n"
	_, err := m.seed.Import(context.Background(), api.ImportRequest{
		FileName: "u1", SizeBytes: int64(len(body)), ID: "u1", Installer: "script",
		InstallerArgs: map[string]string{"interpreter": "/bin/sh", "exit-restart": "194"},
		ImportRules:   api.ImportRules{Installed: json.RawMessage(`{"file":{"path":"/whole"}}`)},
	}, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	m.approve("u1")
	begun := func(x *box) bool { _, err := os.Stat(filepath.Join(x.root, "half")); return err == nil }
	until(t, "one to install", func() bool { return begun(all[0]) || begun(all[1]) })
	first, second := all[0], all[1]
	if begun(second) {
		first, second = second, first
	}
	until(t, "its restart", func() bool { first.turnRestart(context.Background()); return first.restarts.Load() > 0 })
	until(t, "the other to wait for it", func() bool {
		u := second.update(t, "u1")
		return u.State == "waiting-orchestration" && strings.Contains(u.Detail, "held by "+first.member.Name)
	})
	if begun(second) || first.orch().Here.Phase != "holding" {
		t.Fatalf("the other has begun, or the slot is free, while the first restarts: %+v", first.orch().Here)
	}
	first.stop()
	if err := os.WriteFile(filepath.Join(first.root, "whole"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(keptDir(first.state), "restart.json"), []byte(`[{"update":"u1","at":"2026-01-01T00:00:00Z","boot":"an earlier one"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	time.Sleep(300 * time.Millisecond)
	if begun(second) {
		t.Fatal("the other has begun while the first is off")
	}
	first.running = m.run(first.member.Name, first.cfg)
	until(t, "the other to begin", func() bool { return begun(second) })
	until(t, "the first to be whole", func() bool { return first.update(t, "u1").State == "installed" })
}

// R-H3: a newcomer of the group waits until it is on the signed list; the user of a machine may go out of turn only
// where that is signed; a change of members keeps the list before.
func TestRH3NewcomersWaitAndUsersMayBypass(t *testing.T) {
	t.Parallel()
	m, all := orchestrated(t, api.OrchestrationRequest{Count: 1}, Config{}, "a")
	m.join("b")
	b := m.run("b", Config{Peers: []string{all[0].addr}, Egress: EgressYes})
	m.file("u1", payload(10_000))
	m.approve("u1")
	until(t, "a to install alone", func() bool { return all[0].update(t, "u1").State == "installed" })
	until(t, "b to know that it is on no list", func() bool { return strings.Contains(b.update(t, "u1").Detail, "not on its signed list") })
	v, err := m.seed.Orchestrations(context.Background(), api.OrchestrationQuery{Name: "o"})
	if err != nil || !slices.Equal(v.Orchestrations[0].NotMembers, []string{"b"}) {
		t.Fatalf("%+v, %v", v, err)
	}
	if _, err := b.Wish(context.Background(), api.WishRequest{Update: "u1", Accept: true}); err != nil {
		t.Fatal(err)
	}
	m.orchestrate(api.OrchestrationRequest{Name: "o", Refresh: true})
	until(t, "b to install", func() bool { return b.update(t, "u1").State == "installed" })
	v, err = m.seed.Orchestrations(context.Background(), api.OrchestrationQuery{Name: "o"})
	if o := v.Orchestrations[0]; err != nil || len(o.Members) != 2 || len(o.Earlier) != 1 || len(o.Earlier[0].Members) != 1 {
		t.Fatalf("%+v, %v", v, err)
	}

	// Users may: a machine that has no majority installs by its user's hand.
	m.orchestrate(api.OrchestrationRequest{Name: "o", Group: "office", Count: 1, Bypass: true})
	all[0].stop()
	m.file("u2", payload(10_000))
	m.approve("u2")
	until(t, "b to wait", func() bool { return b.update(t, "u2").State == "waiting-orchestration" })
	if _, err := b.Wish(context.Background(), api.WishRequest{Update: "u2", Accept: true}); err != nil {
		t.Fatal(err)
	}
	until(t, "b to install by hand", func() bool { return b.update(t, "u2").State == "installed" })

	for name, r := range map[string]api.OrchestrationRequest{
		"no such":       {Name: "nobody", Reset: true},
		"an empty site": {Name: "x", Group: "office", Site: "moon", Count: 1},
		"half an order": {Name: "o", Group: "office", Count: 1, Order: []string{"b"}},
		"two at once":   {Name: "x", Group: "office", Count: 1},
	} {
		if _, err := m.seed.SetOrchestration(context.Background(), r); err == nil {
			t.Errorf("%s: signed", name)
		}
	}
	first := func() uint64 {
		v, err := m.seed.Orchestrations(context.Background(), api.OrchestrationQuery{Name: "o"})
		if err != nil || len(v.Orchestrations) != 1 {
			t.Fatalf("%+v, %v", v, err)
		}
		return v.Orchestrations[0].Since
	}
	since := first()
	m.orchestrate(api.OrchestrationRequest{Name: "o", Drop: true})
	if v, err := m.seed.Orchestrations(context.Background(), api.OrchestrationQuery{}); err != nil || len(v.Orchestrations) != 0 {
		t.Errorf("%+v, %v", v, err)
	}
	m.orchestrate(api.OrchestrationRequest{Name: "o", Group: "office", Count: 1})
	again := first()
	m.orchestrate(api.OrchestrationRequest{Name: "o", Reset: true})
	if since == 0 || again <= since || first() != again {
		t.Errorf("set in epoch %d; dropped and set anew it is of epoch %d, and of %d after a reset", since, again, first())
	}
}

// R-X14: a machine that held a slot and slept restarts in it no longer, though nobody has told its core yet.
func TestRX14ASleeperHasNoTimeLeftInItsSlot(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	v := &swarm.View{At: at, Orch: &swarm.OrchView{RestartFor: time.Hour}}
	for after, want := range map[time.Duration]time.Duration{0: time.Hour, time.Minute: 59 * time.Minute, 2 * time.Hour: -time.Hour, -time.Minute: time.Hour} {
		if got := slotLeft(v, at.Add(after)); got != want {
			t.Errorf("after %s %s are left", after, got)
		}
	}
	if slotLeft(&swarm.View{At: at}, at) > 0 {
		t.Error("without an orchestration there is a slot")
	}
}

// A card is believed from its member alone, for this site alone, and no longer than the member is one of the mesh.
func TestRX14ForgedCardsAreRefused(t *testing.T) {
	t.Parallel()
	m, all := orchestrated(t, api.OrchestrationRequest{Count: 1}, Config{}, "a", "b")
	a, b := all[0], all[1]
	body, err := orch.Card{Name: "o", Member: b.id, Seq: 1 << 40, Generation: 1, Phase: orch.Failed, Reset: 0}.Encode()
	if err != nil {
		t.Fatal(err)
	}
	for name, sig := range map[string][]byte{
		"another member's key": ed25519.Sign(a.key, orch.ToSign("acme", "main", body)),
		"another site":         ed25519.Sign(b.key, orch.ToSign("acme", "other", body)),
	} {
		a.cardArrived(m.seed.id, wire.Card{Signed: append(slices.Clone(body), sig...)})
		if !a.refusedFor(t, policy.ReasonTrustBadSignature) {
			t.Errorf("%s: not refused", name)
		}
	}
	m.file("u1", payload(10_000))
	m.approve("u1")
	for _, x := range all {
		until(t, x.member.Name+" to install", func() bool { return x.update(t, "u1").State == "installed" })
	}
	good := wire.Card{Signed: append(slices.Clone(body), ed25519.Sign(b.key, orch.ToSign("acme", "main", body))...)}
	if _, ok := a.believeCard(m.seed.id, good); !ok {
		t.Error("a good card is not believed")
	}
	if _, err := m.seed.Revoke(context.Background(), api.RevokeRequest{Machine: b.id, Reason: "stolen"}); err != nil {
		t.Fatal(err)
	}
	until(t, "a to know that b is locked out", func() bool { return a.isRevoked(b.id) })
	if _, ok := a.believeCard(m.seed.id, good); ok {
		t.Error("a card of a machine that was locked out is believed")
	}
}
