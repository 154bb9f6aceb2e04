package daemon

import (
	"flag"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

var rewrite = flag.Bool("rewrite", false, "write the golden files anew")

func spec() Spec {
	return Spec{
		Program: "/usr/local/bin/patchmesh", DataDir: "/var/lib/patchmesh", ApplyState: "/var/lib/patchmesh-apply",
		ApplySocket: "/run/patchmesh-apply/apply.sock", User: "patchmesh", StatusFor: "group", Apply: true, Slots: "/usr/local/lib/patchmesh",
	}
}

func TestUnitsAreAsReviewed(t *testing.T) {
	seed := spec()
	seed.Apply, seed.Slots, seed.RunArgs = false, "", []string{"--listen", "10.0.0.5:7700", "--egress=no"}
	for name, got := range map[string]string{
		NetUnit: spec().netUnit(), ApplyUnit: spec().applyUnit(), ShutdownUnit: spec().shutdownUnit(), "patchmesh-seed.service": seed.netUnit(),
	} {
		path := filepath.Join("testdata", name)
		if *rewrite {
			if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(path)
		if err != nil || string(want) != got {
			t.Errorf("%s is not the golden file (%v); run 'go test ./node/daemon -rewrite' and read the difference:\n%s", name, err, got)
		}
	}
}

var exposure = regexp.MustCompile(`Overall exposure level for \S+: ([0-9.]+)`)

// The hardening is measured by systemd's own scale, 0 (closed) to 10.
func TestUnitsAreClosedByTheScaleOfSystemd(t *testing.T) {
	tool, err := exec.LookPath("systemd-analyze")
	if err != nil {
		t.Skip("systemd-analyze is not on this machine (Debian package systemd)")
	}
	dir := t.TempDir()
	for name, c := range map[string]struct {
		text string
		most float64
	}{NetUnit: {spec().netUnit(), 1.5}, ApplyUnit: {spec().applyUnit(), 4.5}} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(c.text), 0o644); err != nil {
			t.Fatal(err)
		}
		out, err := exec.Command(tool, "security", "--offline=true", "--no-pager", path).CombinedOutput()
		m := exposure.FindSubmatch(out)
		if m == nil {
			t.Fatalf("%s: %v: %s", name, err, out)
		}
		got, err := strconv.ParseFloat(string(m[1]), 64)
		if err != nil || got > c.most {
			t.Errorf("%s: exposure %.1f, at most %.1f\n%s", name, got, c.most, out)
		}
		t.Logf("%s: exposure %.1f, at most %.1f", name, got, c.most)
		if strings.Contains(string(out), "Unknown") || strings.Contains(string(out), "ignoring") {
			t.Errorf("%s: systemd does not understand all of it:\n%s", name, out)
		}
	}
}

func TestArgumentsCannotBecomeSettings(t *testing.T) {
	s := spec()
	s.DataDir = `/srv/my "data" 100% $HOME`
	unit := s.netUnit()
	if !strings.Contains(unit, `"/srv/my \"data\" 100%% $$HOME"`) {
		t.Errorf("not quoted:\n%s", unit)
	}
	for name, edit := range map[string]func(*Spec){
		"line break in a path":     func(s *Spec) { s.DataDir = "/srv/x\nUser=root" },
		"line break in a flag":     func(s *Spec) { s.RunArgs = []string{"--peer", "x\nUser=root"} },
		"slots that climb":         func(s *Spec) { s.Slots = "/usr/../etc" },
		"relative program":         func(s *Spec) { s.Program = "patchmesh" },
		"path that climbs":         func(s *Spec) { s.ApplyState = "/var/lib/../../etc" },
		"node that runs as root":   func(s *Spec) { s.User = "root" },
		"user that is no name":     func(s *Spec) { s.User = "a b" },
		"status for an odd circle": func(s *Spec) { s.StatusFor = "friends" },
	} {
		s := spec()
		edit(&s)
		if s.Validate() == nil {
			t.Errorf("%s was accepted", name)
		}
	}
	if err := spec().Validate(); err != nil {
		t.Error(err)
	}
}
