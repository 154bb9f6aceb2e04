package node

import (
	"bytes"
	"context"
	"testing"

	"patchmesh/node/api"
)

// R-H4, R-A8: a destination that no machine would take is refused where it is imported, and not by each machine that
// could only say that it may not.
func TestRH4ADestinationThatNoMachineTakesIsRefusedAtItsImport(t *testing.T) {
	t.Parallel()
	n, _ := openSeedFolder(t, "")
	for _, kind := range []string{"file", "archive"} {
		for dest, good := range map[string]bool{
			"": false, "opt/x": false, "/opt/../etc/x": false, "/opt/x/..": false, `C:\x\..\y`: false, "/opt/a\x00b": false,
			"/opt/x": true, "/opt/a..b": true, `C:\Program Files\x`: true, "D:/x/y": true, `/opt/a\..\b`: true,
		} {
			r := api.ImportRequest{FileName: "x.tar", SizeBytes: 1, ID: "u", Installer: kind, InstallerArgs: map[string]string{"dest": dest}}
			if _, err := n.Import(context.Background(), r, bytes.NewReader([]byte("x"))); (err == nil) != good {
				t.Errorf("%s to %q: %v", kind, dest, err)
			}
		}
	}
}
