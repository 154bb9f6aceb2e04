package node

import (
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"patchmesh/policy"
)

// R-B3: the process that installs goes by its own look at the machine and by its own folder; what stands there and is no
// list of groups counts for nothing.
func TestRB3TheApplyProcessFindsOutItselfAndBelievesItsFolderAlone(t *testing.T) {
	state, root := t.TempDir(), t.TempDir()
	dpkgRoot(t, root, "openssl=3.0.14-1")
	s := newApplyStock(ApplyConfig{StateDir: state, Root: root, Version: "1.0", Log: slog.New(slog.DiscardHandler)})
	v, claims := s.known()
	if len(claims) != 0 || len(v.Packages) != 1 || v.Agent != "1.0" {
		t.Errorf("%+v, %v", v, claims)
	}
	if told, err := ClaimForApply(state, []string{"kiosks"}); told || err != nil {
		t.Errorf("a folder that was never prepared was written to: %v, %v", told, err)
	}
	for text, want := range map[string][]string{
		`["kiosks"]`: {"kiosks"}, `["../x"]`: nil, `{"a":1}`: nil, "": nil, `["a"`: nil, `["` + strings.Repeat(`a","`, 100) + `a"]`: nil, "null": nil,
	} {
		if err := os.WriteFile(filepath.Join(state, claimsFile), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, got := s.known(); !slices.Equal(got, want) {
			t.Errorf("%.40s: %v", text, got)
		}
	}
	dpkgRoot(t, root, "openssl=3.0.15-1", "curl=8")
	if v, _ := s.known(); len(v.Packages) != 2 {
		t.Errorf("an upgrade went unnoticed: %+v", v.Packages)
	}
	if _, err := v.Installed(policy.SystemDeb, "openssl"); err != nil {
		t.Error(err)
	}
}
