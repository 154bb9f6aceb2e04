package main

import (
	"encoding/json"
	"strings"
	"testing"

	"patchmesh/node/api"
)

// R-M4: status names the vendor's file that an update is made around, in words and as JSON.
func TestRM4StatusNamesTheVendorsFile(t *testing.T) {
	f := &api.Fleet{Org: "acme", Machines: []api.Machine{{Name: "a", Updates: []api.Update{{Update: "app", Revision: 2}}}}, Vendors: []api.UpdateVendor{
		{Update: "app", Revision: 2, Vendor: api.Vendor{FileName: "app\x1b.jar", SHA256: "3b5d", Bytes: 14, Origin: "https://vendor.example/app.jar"}},
	}}
	var out strings.Builder
	writeFleet(&out, f)
	if !strings.Contains(out.String(), "app (revision 2) is made around a vendor's file: ") || !strings.Contains(out.String(), "sha256 3b5d, from https://vendor.example/app.jar\n") || strings.Contains(out.String(), "\x1b") {
		t.Errorf("%q", out.String())
	}
	b, err := json.Marshal(f)
	if err != nil || !strings.Contains(string(b), `"vendors":[{"update":"app","revision":2,"file_name":`) {
		t.Errorf("%s, %v", b, err)
	}
}
