package node

import (
	"bytes"
	"context"
	"testing"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// R-B5, R-H5, R-A8: what a person says of an update at its import stands in its signed description, and no approval
// is signed that it cannot follow: a deadline for an installer that asks, the removal of what cannot go.
func TestRB5RH5ApprovalsThatAnUpdateCannotFollowAreRefused(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	ctx := context.Background()
	m.fileWith("asks", api.ImportRules{AsksUser: "maybe", References: []string{"KB5000001"}, Languages: []string{"de"}, Licence: "read me\nfirst"})
	m.fileWith("stays", api.ImportRules{NotRemovable: true})
	m.fileWith("plain", api.ImportRules{})
	row, err := m.seed.seed.update("asks")
	if err != nil {
		t.Fatal(err)
	}
	d, err := policy.DecodeDescriptor(row.Body)
	if err != nil || d.AsksUser != "maybe" || d.References[0] != "KB5000001" || d.Languages[0] != "de" || d.Licence != "read me\nfirst" || !d.Removable {
		t.Errorf("%+v, %v", d, err)
	}
	for _, c := range []struct {
		r       api.ApproveRequest
		refused bool
	}{
		{api.ApproveRequest{Update: "asks", Deadline: time.Now().Add(time.Hour)}, true},
		{api.ApproveRequest{Update: "asks", Expedite: true}, true},
		{api.ApproveRequest{Update: "asks"}, false},
		{api.ApproveRequest{Update: "asks", Action: "remove", Deadline: time.Now().Add(time.Hour)}, false},
		{api.ApproveRequest{Update: "stays", Action: "remove"}, true},
		{api.ApproveRequest{Update: "stays", Deadline: time.Now().Add(time.Hour)}, false},
		{api.ApproveRequest{Update: "plain", Action: "remove"}, false},
	} {
		c.r.Group = "all"
		p, err := m.seed.Approve(ctx, c.r)
		if c.refused != (api.ClassOf(err) == api.ClassRefused) || !c.refused && (err != nil || !p.Published) {
			t.Errorf("%+v: %+v, %v", c.r, p, err)
		}
	}
	for _, args := range []map[string]string{{"args": "[]"}, {"args": "[]", "remove-args": `["-u"]`}} {
		id, body := "script", []byte("#!/bin/sh\n")
		if len(args) == 2 {
			id = "undone"
		}
		if _, err := m.seed.Import(ctx, api.ImportRequest{FileName: id, SizeBytes: int64(len(body)), ID: id, Installer: "script", InstallerArgs: args,
			ImportRules: api.ImportRules{Installed: []byte(`{"file":{"path":"/x"}}`)}}, bytes.NewReader(body)); err != nil {
			t.Fatal(err)
		}
		_, err := m.seed.Approve(ctx, api.ApproveRequest{Update: id, Group: "all", Action: "remove"})
		if (api.ClassOf(err) == api.ClassRefused) != (id == "script") {
			t.Errorf("removal of %s: %v", id, err)
		}
	}
}
