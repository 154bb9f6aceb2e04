package node

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/node/media"
)

// A tool that is not ours lists the volumes with the names that we gave their blocks, verifies them, and
// finds a byte that was changed: nobody needs patchmesh to look into a stick.
func TestAnotherCARToolListsAndVerifiesTheVolumes(t *testing.T) {
	tool, err := exec.LookPath("ipfs-car")
	if err != nil {
		t.Skip("ipfs-car is not installed: 'npm install --global ipfs-car' brings it")
	}
	s := newSite(t)
	s.update("u1", static(3<<20))
	s.export(ExportRequest{Dir: s.stick, Site: "north"})
	e := evil{t, s.stick}
	for name := range files(t, s.stick) {
		if !strings.HasSuffix(name, ".car") {
			continue
		}
		path := filepath.Join(s.stick, media.FolderName, name)
		out, err := exec.Command(tool, "blocks", "--verify", path).Output()
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		var want []string
		for _, b := range e.blocks(name) {
			want = append(want, b.id.String())
		}
		if got := strings.Fields(string(out)); strings.Join(got, " ") != strings.Join(want, " ") {
			t.Errorf("%s: %d blocks by the other tool, %d by ours", name, len(got), len(want))
		}
		b := e.read(name)
		b[len(b)-10] ^= 1
		bad := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(bad, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if out, err := exec.Command(tool, "blocks", "--verify", bad).CombinedOutput(); err == nil {
			t.Errorf("%s with a bit turned passes: %.200s", name, out)
		}
	}
}
