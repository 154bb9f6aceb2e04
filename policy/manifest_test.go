package policy

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

func sampleManifest() *Manifest {
	d := content.Sum([]byte("d"))
	return &Manifest{
		Org: "acme", Epoch: 3, IssuedAt: t0,
		Groups: []Group{{Name: "web", Parent: "servers"}, {Name: "servers"}},
		Approvals: []Approval{
			{Update: "b", Revision: 1, Descriptor: d, DescriptorBytes: 900, Group: "web", Action: ActionInstall, At: t0, Deadline: t0.Add(day)},
			{Update: "a", Revision: 2, Descriptor: d, DescriptorBytes: 900, Group: "all", Action: ActionDecline, At: t0},
		},
		Holds: []Hold{{ID: "h1", Update: AllUpdates, Kind: "freeze", Reason: "new year <b>", At: t0, ExpiresAt: t0.Add(day)}},
	}
}

func TestManifestSurvivesTheWire(t *testing.T) {
	m := sampleManifest()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeManifest(b)
	if err != nil {
		t.Fatal(err)
	}
	again, err := got.Encode()
	if err != nil || !bytes.Equal(again, b) {
		t.Fatalf("%v\n%s\n%s", err, b, again)
	}
	if got.Approvals[0].Update != "a" || !got.Approvals[0].Deadline.IsZero() || !got.Approvals[1].Deadline.Equal(t0.Add(day)) {
		t.Fatalf("%+v", got.Approvals)
	}
}

func TestManifestsThatMeanTwoThingsAreRefused(t *testing.T) {
	d := content.Sum([]byte("d"))
	for name, edit := range map[string]func(*Manifest){
		"epoch 0":                      func(m *Manifest) { m.Epoch = 0 },
		"epoch beyond TUF versions":    func(m *Manifest) { m.Epoch = maxEpoch + 1 },
		"no organisation":              func(m *Manifest) { m.Org = "" },
		"two approvals for one group":  func(m *Manifest) { m.Approvals = append(m.Approvals, m.Approvals[0]) },
		"two holds of one id":          func(m *Manifest) { m.Holds = append(m.Holds, m.Holds[0]) },
		"two groups of one name":       func(m *Manifest) { m.Groups = append(m.Groups, Group{Name: "web"}) },
		"a built-in group":             func(m *Manifest) { m.Groups = append(m.Groups, Group{Name: "all"}) },
		"an unknown parent":            func(m *Manifest) { m.Groups[1].Parent = "nowhere" },
		"a group below itself":         func(m *Manifest) { m.Groups[1].Parent = "servers" },
		"an approval of nothing":       func(m *Manifest) { m.Approvals[0].Descriptor = content.ID{} },
		"an approval of everything":    func(m *Manifest) { m.Approvals[0].Update = AllUpdates },
		"an unknown action":            func(m *Manifest) { m.Approvals[0].Action = "explode" },
		"revision 0":                   func(m *Manifest) { m.Approvals[0].Revision = 0 },
		"an endless descriptor":        func(m *Manifest) { m.Approvals[0].DescriptorBytes = MaxDescriptorBytes + 1 },
		"an unknown kind of hold":      func(m *Manifest) { m.Holds[0].Kind = "nap" },
		"a hold that writes terminals": func(m *Manifest) { m.Holds[0].Reason = "\x1b]0;x\a" },
		"a group name with a path":     func(m *Manifest) { m.Approvals[0].Group = "../all" },
	} {
		m := sampleManifest()
		edit(m)
		if _, err := m.Encode(); !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
	b, _ := sampleManifest().Encode()
	for name, pair := range map[string][2]string{
		"a field named twice":    {`"epoch":3`, `"epoch":9,"epoch":3`},
		"a field in capitals":    {`"epoch":3`, `"Epoch":3`},
		"an unknown field":       {`"epoch":3`, `"epoch":3,"quietly":true`},
		"a newer format":         {`"format":1`, `"format":2`},
		"spaces":                 {`"epoch":3`, `"epoch": 3`},
		"approvals out of order": {`"update":"a"`, `"update":"z"`},
	} {
		bad := bytes.Replace(b, []byte(pair[0]), []byte(pair[1]), 1)
		if _, err := DecodeManifest(bad); !errors.Is(err, ErrFormat) || bytes.Equal(bad, b) {
			t.Errorf("%s: %v, want ErrFormat", name, err)
		}
	}
	many := &Manifest{Org: "acme", Epoch: 1}
	for i := range maxApprovals + 1 {
		many.Approvals = append(many.Approvals, Approval{Update: UpdateID(fmt.Sprint("u", i)), Revision: 1, Descriptor: d, DescriptorBytes: 9, Group: "all", Action: ActionInstall})
	}
	if _, err := many.Encode(); !errors.Is(err, ErrTooLarge) {
		t.Errorf("too many approvals: %v", err)
	}
}

// Ten thousand groups, each below the one before, must not take minutes to check.
func TestDeepGroupsAreRefusedQuickly(t *testing.T) {
	m := &Manifest{Org: "acme", Epoch: 1, Groups: []Group{{Name: "g0"}}}
	for i := 1; i < maxGroups; i++ {
		m.Groups = append(m.Groups, Group{Name: fmt.Sprint("g", i), Parent: fmt.Sprint("g", i-1)})
	}
	begin := time.Now()
	if _, err := m.Encode(); !errors.Is(err, ErrFormat) || !strings.Contains(err.Error(), "32") {
		t.Fatalf("%v", err)
	}
	if took := time.Since(begin); took > 2*time.Second {
		t.Fatalf("took %v", took)
	}
}
