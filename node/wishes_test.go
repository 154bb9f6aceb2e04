package node

import (
	"context"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

func (m *mesh) setting(name, group, value string) {
	m.t.Helper()
	p, err := m.seed.SetSetting(context.Background(), api.SettingRequest{Setting: policy.Setting{Name: name, Group: group, Value: value}})
	if err != nil || !p.Published {
		m.t.Fatalf("%+v, %v", p, err)
	}
}

// R-C1, R-B18: where policy leaves it to the user, an update is fetched and waits; the user puts it off as
// often as policy allows, and a yes that was given outlasts a restart.
func TestRC1TheUserIsAskedAndMayPostpone(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.setting(policy.SetAutomation, "office", "3")
	m.setting(policy.SetPostponeTimes, "all", "1")
	m.file("u1", payload(1000))
	m.approve("u1")
	until(t, "the update to wait for the user", func() bool { return a.update(t, "u1").State == "waiting-user" })
	if u := a.update(t, "u1"); u.HaveBytes == 0 {
		t.Errorf("nothing was fetched before the user is asked: %+v", u)
	}
	ctx := context.Background()
	if w, err := a.Wish(ctx, api.WishRequest{Update: "u1", For: time.Hour}); err != nil || w.Times != 1 {
		t.Fatalf("%+v, %v", w, err)
	}
	until(t, "the wish to count", func() bool { return a.update(t, "u1").Reason == string(policy.ReasonUserPostponed) })
	if _, err := a.Wish(ctx, api.WishRequest{Update: "u1", For: time.Hour}); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("postponed more often than policy allows: %v", err)
	}
	if _, err := a.Wish(ctx, api.WishRequest{Update: "u2", Accept: true}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("accepted what is not approved: %v", err)
	}
	a.stop()
	a = m.run("a", Config{Egress: EgressYes})
	until(t, "the wish to count after a restart", func() bool { return a.update(t, "u1").Reason == string(policy.ReasonUserPostponed) })
	if w, err := a.Wish(ctx, api.WishRequest{Update: "u1", Accept: true}); err != nil || !w.Accepted {
		t.Fatalf("%+v, %v", w, err)
	}
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
}

// R-C13, R-C14, R-H9: the machine's own file may be stricter, never looser; what counts is shown with where it
// comes from; and a file that cannot be read loosens nothing.
func TestRC13TheLocalFileMayOnlyBeStricter(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	m.setting(policy.SetAutomation, "office", "download-notify")
	write := func(text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(m.dir, "a", localPolicyFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		a.reloadLocal()
	}
	automation := func() policy.Effective {
		v, err := a.Policy(context.Background(), api.PolicyQuery{})
		if err != nil {
			t.Fatal(err)
		}
		return v.Settings[slices.IndexFunc(v.Settings, func(e policy.Effective) bool { return e.Name == policy.SetAutomation })]
	}
	until(t, "the setting to arrive", func() bool { return automation().Source == "office" })
	write(`{"settings": {"automation": "scheduled"}}`)
	if e := automation(); e.Value != "download-notify" || e.Source != "office" {
		t.Errorf("looser: %+v", e)
	}
	write(`{"settings": {"automation": "detect"}, "hold": ["u*"]}`)
	if e := automation(); e.Value != "detect" || e.Source != "local" || e.Signed != "download-notify" {
		t.Errorf("stricter: %+v", e)
	}
	m.file("u1", payload(1000))
	m.approve("u1")
	until(t, "the update to be held back", func() bool { return a.update(t, "u1").Reason == string(policy.ReasonLocalHold) })
	write(`{"hold": ["`)
	v, err := a.Policy(context.Background(), api.PolicyQuery{})
	if err != nil || v.Trouble == "" || !slices.Equal(v.Holds, []string{"*"}) {
		t.Errorf("a broken file: %+v, %v", v, err)
	}
	until(t, "the machine to say that its file is broken", func() bool { return strings.Contains(a.update(t, "u1").Detail, "cannot be read") })
	d, err := a.Doctor(context.Background(), api.DoctorQuery{Scopes: []string{api.ScopeUpdates}})
	if err != nil || d.Healthy || finding(t, d, api.ScopeUpdates, string(policy.ReasonLocalHold)).NextStep == "" {
		t.Errorf("the doctor of a broken file: %+v, %v", d, err)
	}
	if err := os.Remove(filepath.Join(m.dir, "a", localPolicyFile)); err != nil {
		t.Fatal(err)
	}
	a.reloadLocal()
	until(t, "the update to wait for the user", func() bool { return a.update(t, "u1").State == "waiting-user" })
}

// R-C13: the machine's own file measures time in the words that the signed settings are given in.
func TestRC13TheLocalFileReadsDaysAndWeeks(t *testing.T) {
	p, err := parseLocalPolicy(strings.NewReader(`{"settings": {"postpone-for": "1d", "default-run": "90m"}}`))
	if err != nil || p.Settings["postpone-for"] != "24h" || p.Settings["default-run"] != "90m" {
		t.Errorf("%+v, %v", p, err)
	}
	for _, bad := range []string{"9w", "1y", "d", "-1d"} {
		if p, err := parseLocalPolicy(strings.NewReader(`{"settings": {"postpone-for": "` + bad + `"}}`)); err == nil {
			t.Errorf("%s was read as %+v", bad, p)
		}
	}
	m := policy.Manifest{Settings: []policy.Setting{{Name: policy.SetPostponeFor, Group: "all", Value: "72h"}}}
	for _, e := range m.Effectives(policy.Machine{Local: p.Settings}) {
		if e.Name == policy.SetPostponeFor && (e.Value != "24h" || e.Source != "local") {
			t.Errorf("a day is stricter than three: %+v", e)
		}
	}
}

// A file that was right for an earlier version, which took 0 for no limit, must not stop the machine with the next one. Nor may one
// whose zone the system has lost.
func TestALocalFileOfEarlierVersionsIsRead(t *testing.T) {
	for _, limit := range []string{"0", "5Mbit,0@Sat,Sun/00:00-24:00", "5Mbit@08:00-18:00@America/Newtown"} {
		p, err := parseLocalPolicy(strings.NewReader(`{"settings": {"limit-wan-down": "` + limit + `"}}`))
		if err != nil || p.Settings["limit-wan-down"] != limit {
			t.Errorf("%s: %+v, %v", limit, p, err)
		}
	}
	for _, bad := range []string{"5Mbit&1Mbit", "nothing", "5Mbit@08:00-18:00@../zone"} {
		if p, err := parseLocalPolicy(strings.NewReader(`{"settings": {"limit-wan-down": "` + bad + `"}}`)); err == nil {
			t.Errorf("%s was read as %+v", bad, p)
		}
	}
}

// FuzzLocalPolicy: a local file is refused, or says only what may be said.
func FuzzLocalPolicy(f *testing.F) {
	f.Add(`{"settings": {"automation": "detect"}, "hold": ["linux-*"]}`)
	f.Add(`{"hold": ["["]}`)
	f.Add(`{"settings": {"postpone-times": "9"}} {}`)
	f.Fuzz(func(t *testing.T, text string) {
		p, err := parseLocalPolicy(strings.NewReader(text))
		if err != nil {
			return
		}
		for name, value := range p.Settings {
			if err := (policy.Setting{Name: name, Group: "all", Value: value}).ValidateStated(); err != nil {
				t.Errorf("taken up: %v", err)
			}
		}
	})
}
