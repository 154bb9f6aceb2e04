package node

import (
	"context"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/policy"
)

func propertyOf(all []policy.Property, name string) string {
	i := slices.IndexFunc(all, func(p policy.Property) bool { return p.Name == name })
	if i < 0 {
		return ""
	}
	return all[i].Value
}

// R-A8, R-G8, R-B8: the properties of an update can be read on the seed, and on a machine of what its approvals name:
// with its revisions, how it stands in its chain, and what is approved.
func TestRA8TheCatalogueIsShown(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	ctx := context.Background()
	m.file("u1", payload(1000))
	m.fileWith("u1", api.ImportRules{Restart: "always"})
	if _, err := m.seed.Import(ctx, api.ImportRequest{FileName: "u2", SizeBytes: 1, ID: "u2", Title: "newer\x1b[31m", CVEs: []string{"CVE-2026-7"}, Supersedes: []string{"u1"}, Installer: "file",
		InstallerArgs: map[string]string{"dest": "/srv/u2"}}, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	m.approve("u1")
	list, err := m.seed.Catalogue(ctx, api.CatalogueQuery{})
	if err != nil || len(list.Updates) != 2 || list.Updates[0].Chain != api.ChainSuperseded || list.Updates[1].Chain != api.ChainNewest ||
		!slices.Equal(list.Updates[0].SupersededBy, []string{"u2"}) || len(list.Updates[0].Approvals) != 1 {
		t.Fatalf("%+v, %v", list, err)
	}
	show := func(n *Node, q api.CatalogueQuery) api.CatalogueEntry {
		t.Helper()
		v, err := n.Catalogue(ctx, q)
		if err != nil || len(v.Updates) != 1 {
			t.Fatalf("%+v, %v", v, err)
		}
		return v.Updates[0]
	}
	if e := show(m.seed.Node, api.CatalogueQuery{Update: "u1"}); e.Revision != 2 || !slices.Equal(e.Revisions, []int{1, 2}) || propertyOf(e.Properties, "restart") != "always" {
		t.Errorf("%+v", e)
	}
	if e := show(m.seed.Node, api.CatalogueQuery{Update: "u1", Revision: 1}); e.Revision != 1 || propertyOf(e.Properties, "restart") == "always" {
		t.Errorf("%+v", e)
	}
	if e := show(m.seed.Node, api.CatalogueQuery{Update: "u2"}); propertyOf(e.Properties, "cves") != "CVE-2026-7" || propertyOf(e.Properties, "argument") != "dest=/srv/u2" ||
		strings.Contains(e.Title+propertyOf(e.Properties, "title"), "\x1b") {
		t.Errorf("%+v", e)
	}
	until(t, "the machine to know the update", func() bool { return a.update(t, "u1").State == "installed" })
	if e := show(a.Node, api.CatalogueQuery{Update: "u1"}); e.Revision != 2 || e.DescriptorID == "" || propertyOf(e.Properties, "sha256") == "" {
		t.Errorf("on the machine: %+v", e)
	}
	for _, n := range []*Node{m.seed.Node, a.Node} {
		if _, err := n.Catalogue(ctx, api.CatalogueQuery{Update: "u9"}); api.ClassOf(err) != api.ClassNotFound {
			t.Errorf("what there is not: %v", err)
		}
	}
}

// R-A8, G8: a draft is shown with the description that its hash names, and with nothing else: a description that is
// missing, has other bytes or is of another update is told as such.
func TestRA8ADraftIsShownWithWhatItSigns(t *testing.T) {
	of := func(id string, rev int) []byte {
		d := policy.Descriptor{Update: policy.UpdateID(id), Revision: rev, Title: id, Severity: "low", Installer: "script", FileName: "f", SHA256: strings.Repeat("ab", 32),
			Payload: content.Sum([]byte(id)), MapBytes: 1, PlainBytes: 1, StoredBytes: 1, InstallerArgs: map[string]string{"args": "--wipe"}}
		b, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	good := of("u", 1)
	for name, c := range map[string]struct {
		update policy.UpdateID
		named  []byte
		shown  []byte
		ok     bool
		warned string
	}{
		"as it is":       {"u", good, good, true, ""},
		"missing":        {"u", good, nil, false, "cannot be shown"},
		"exchanged":      {"u", good, of("u", 2), false, "cannot be shown"},
		"another update": {"v", good, good, true, "do not sign it"},
	} {
		change := api.DraftChange{}
		described(&change, &policy.Approval{Update: c.update, Revision: 1, Descriptor: content.Sum(c.named)}, c.shown)
		if (change.Descriptor != nil) != c.ok || (propertyOf(change.Properties, "argument") == "args=--wipe") != c.ok || c.warned == "" != (change.Warning == "") || !strings.Contains(change.Warning, c.warned) {
			b, _ := json.Marshal(change)
			t.Errorf("%s: %s", name, b)
		}
	}
}
