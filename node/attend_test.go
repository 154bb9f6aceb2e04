//go:build unix

package node

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/apply"
	"patchmesh/node/enrol"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// R-C5: of two updates that wait for a window the one that is declared to disturb nobody does not, where policy says so.
func TestRC5WhatDisturbsNobodyIsInstalledWhileItsWindowIsClosed(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.closedNow()
	m.fileWith("mild", api.ImportRules{Disruptive: "no", Restart: "never"})
	m.fileWith("rough", api.ImportRules{Disruptive: "yes"})
	m.approve("mild")
	m.approve("rough")
	for _, id := range []string{"mild", "rough"} {
		until(t, id+" to wait", func() bool { return a.update(t, id).State == "waiting-window" })
	}
	m.setting(policy.SetUndisturbing, "office", "yes")
	until(t, "the mild one to be installed", func() bool { return a.update(t, "mild").State == "installed" })
	if u := a.update(t, "rough"); u.State != "waiting-window" {
		t.Errorf("the other one: %+v", u)
	}
	if _, err := m.seed.Import(context.Background(), api.ImportRequest{FileName: "x", SizeBytes: 1, ID: "x", Installer: "file",
		InstallerArgs: map[string]string{"dest": "/x"}, ImportRules: api.ImportRules{Disruptive: "no", Restart: "always"}}, strings.NewReader("x")); err == nil {
		t.Error("a restart that disturbs nobody was imported")
	}
}

// R-C8: what the people at a machine are told follows the signed level, and changes with it at once.
func TestRC8NoticesFollowPolicy(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	notices := func() *api.Notices {
		t.Helper()
		v, err := a.Notices(context.Background(), api.NoticesQuery{})
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
	m.setting(policy.SetAutomation, "office", "download-notify")
	m.file("u1", payload(1000))
	m.approve("u1")
	until(t, "the update to wait for the user", func() bool { return a.update(t, "u1").State == "waiting-user" })
	if v := notices(); v.Level != policy.NotifyRestartOnly || len(v.List) != 0 {
		t.Errorf("by default: %+v", v)
	}
	m.setting(policy.SetNotify, "office", policy.NotifyAll)
	until(t, "people to be asked", func() bool { v := notices(); return len(v.List) == 1 && v.List[0].Kind == policy.NoticeAsks })
	if v := notices(); v.List[0].Update != "u1" || !strings.Contains(v.List[0].Text, "patchmesh accept u1") {
		t.Errorf("%+v", v)
	}
	m.setting(policy.SetNotify, "office", policy.NotifyNone)
	until(t, "people to be told nothing", func() bool { v := notices(); return v.Level == policy.NotifyNone && len(v.List) == 0 })
}

// R-C9: no web host is asked where policy says never, whatever the machine was started with; where it may be, it is.
func TestRC9InternetNeverAsksNoWebHost(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	one, two := noise(7, 300<<10), noise(8, 300<<10)
	url, asked := vendor(t, map[string][]byte{"one": one, "two": two})
	m.setting(policy.SetInternet, "all", "never")
	a := m.machine("a", "", Config{Egress: EgressYes, Origin: OriginFirst})
	m.importFrom("one", one, url+"one")
	m.importFrom("two", two, url+"two")
	m.approve("one")
	until(t, "the update to come from the seed", func() bool { return a.update(t, "one").State == "installed" })
	if n, u := asked.Load(), a.update(t, "one"); n != 0 || u.Bytes.Origin != 0 || u.Bytes.Seed == 0 {
		t.Errorf("the web host was asked %d times, it came from %+v", n, u.Bytes)
	}
	m.setting(policy.SetInternet, "all", "allow")
	until(t, "the machine to hear of it", func() bool { return !a.webPolicy().Never })
	m.approve("two")
	until(t, "the other one", func() bool { return a.update(t, "two").State == "installed" })
	if u := a.update(t, "two"); asked.Load() == 0 || u.Bytes.Origin == 0 {
		t.Errorf("it came from %+v", u.Bytes)
	}
}

// R-C10: a machine trusts the root that its token named and no other. Another organisation with the same name can
// neither enrol it with that token nor tell it anything afterwards.
func TestRC10OnlyTheRootOfTheTokenIsTrusted(t *testing.T) {
	t.Parallel()
	m, other := newMesh(t), newMesh(t) // both are called acme
	token, err := enrol.ParseToken(m.token(1))
	if err != nil {
		t.Fatal(err)
	}
	theirs, err := enrol.ParseToken(other.token(1))
	if err != nil {
		t.Fatal(err)
	}
	forged := theirs // it leads to the other seed, and still names the root of ours
	forged.RootDigest = token.RootDigest
	text, err := forged.Encode()
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(m.dir, "fooled")
	if _, err := Join(context.Background(), JoinRequest{DataDir: dir, Token: text, Name: "fooled"}, time.Now); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("it joined through a root that its token does not name: %v", err)
	}
	if f, err := openFolder(dir, time.Now); err == nil {
		f.close()
		t.Error("it is a member all the same")
	}

	a := m.machine("a", "", Config{Egress: EgressYes})
	host := m.infiltrate(&insider{}, 0)
	if _, err := host.Connect(context.Background(), a.id, a.addr); err != nil {
		t.Fatal(err)
	}
	other.file("evil", payload(1000))
	other.approve("evil")
	before := a.believer.current()
	if err := host.Send(a.id, wire.Head{Timestamp: other.seed.believer.current().Files().Timestamp}); err != nil {
		t.Fatal(err)
	}
	until(t, "the other organisation's head to be refused", func() bool {
		return a.refusedFor(t, policy.ReasonTrustUnknownKey) || a.refusedFor(t, policy.ReasonTrustBadSignature)
	})
	if now := a.believer.current(); now.Epoch() != before.Epoch() || !bytes.Equal(now.Files().Root, before.Files().Root) {
		t.Error("what is trusted has changed")
	}
}

// R-C12: on a link that is metered nothing crosses the WAN, until what is signed for the machine's group allows it.
func TestRC12AMeteredLinkIsUsedAsPolicySays(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	g, err := ParseGates([]string{"link=metered"}, "", "")
	if err != nil || g.MeteredOwn {
		t.Fatalf("%+v, %v", g, err)
	}
	own, err := ParseGates([]string{"link=metered"}, "peers-only", "")
	if err != nil || !own.MeteredOwn {
		t.Fatalf("%+v, %v", own, err)
	}
	a := m.machine("a", "", Config{Egress: EgressYes, Gates: g})
	m.file("u1", payload(1000))
	m.approve("u1")
	metered := func(r *running) bool {
		i, err := r.Node.Node(context.Background())
		return err == nil && i.Traffic != nil && slices.ContainsFunc(i.Traffic.Gates, func(g api.Gate) bool { return g.Reason == string(policy.ReasonNetMetered) })
	}
	until(t, "the gate to close", func() bool { return metered(a) })
	m.setting(policy.SetMetered, "office", policy.MeteredAllow)
	until(t, "the gate to open", func() bool { return !metered(a) })
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	a.stop()
	a = m.run("a", Config{Egress: EgressYes, Gates: own})
	until(t, "the machine's own word to be the stricter one", func() bool { return metered(a) })
}

// R-H10: at shutdown the apply role installs what waits for a window and is done in time, if it sees itself that the
// machine goes down, and if that is signed; never on the word of whoever asks.
func TestRH10WhatWaitsForAWindowIsInstalledAtShutdown(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	m.join("a")
	root := filepath.Join(m.dir, "system")
	if err := os.MkdirAll(root, 0o755); err != nil {
		t.Fatal(err)
	}
	var down atomic.Bool
	socket, _ := m.applyProcess("a", root, func(c *ApplyConfig) { c.GoingDown = func(context.Context) bool { return down.Load() } })
	a := m.run("a", Config{Egress: EgressYes, ApplySocket: socket})
	m.closedNow()
	m.fileWith("short", api.ImportRules{MaxRunSeconds: 30})
	m.fileWith("long", api.ImportRules{MaxRunSeconds: 1200})
	m.approve("short")
	m.approve("long")
	for _, id := range []string{"short", "long"} {
		until(t, id+" to wait", func() bool { return a.update(t, id).State == "waiting-window" })
	}
	there := func(id string) bool { _, err := os.Stat(filepath.Join(root, "srv", id)); return err == nil }
	stop := func(within time.Duration) *api.ShutdownDone {
		t.Helper()
		d, err := a.AtShutdown(context.Background(), api.ShutdownRequest{Within: within})
		if err != nil {
			t.Fatal(err)
		}
		return d
	}
	down.Store(true)
	if d := stop(10 * time.Minute); len(d.Installed)+len(d.Failed) != 0 {
		t.Errorf("policy does not say so: %+v", d)
	}
	m.setting(policy.SetAtShutdown, "office", "5m")
	until(t, "the setting to arrive", func() bool {
		v, err := a.Policy(context.Background(), api.PolicyQuery{})
		return err == nil && strings.Contains(effective(v, policy.SetAtShutdown), "5m office")
	})
	down.Store(false)
	client := apply.NewClient(socket, offers{a.Node})
	for _, k := range a.view.Load().Tasks {
		var refusal *apply.Error
		if _, err := client.Do(context.Background(), k.Verdict.Descriptor, apply.InstallAtShutdown); !errors.As(err, &refusal) || refusal.Reason != policy.ReasonPolicyDeferred {
			t.Errorf("%s on a machine that stays on: %v", k.Verdict.Update, err)
		}
	}
	if d := stop(10 * time.Minute); len(d.Installed) != 0 || there("short") {
		t.Errorf("on a machine that stays on: %+v", d)
	}
	down.Store(true)
	if d := stop(10 * time.Second); len(d.Installed) != 0 {
		t.Errorf("with ten seconds left: %+v", d)
	}
	if d := stop(10 * time.Minute); len(d.Installed) != 1 || d.Installed[0] != "short" || !there("short") || there("long") {
		t.Errorf("%+v, short %v, long %v", d, there("short"), there("long"))
	}
	until(t, "the node to know", func() bool { return a.update(t, "short").State == "installed" })
}

func effective(p *api.Policy, name string) string {
	for _, e := range p.Settings {
		if e.Name == name {
			return e.Value + " " + e.Source
		}
	}
	return ""
}
