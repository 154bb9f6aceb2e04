package node

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// TestMetricsAreThoseThatAreNamed compares names, types and labels with the golden list: whoever has a
// dashboard relies on them. After a change that is meant: PATCHMESH_REWRITE=1, then read the diff.
func TestMetricsAreThoseThatAreNamed(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	addr := freeAddr(t)
	a := m.machine("a", "", Config{Egress: EgressYes, Metrics: addr})
	m.file("u1", noise(9, 600_000))
	m.approve("u1")
	installed(t, "u1", a)
	if _, err := a.Store(context.Background()); err != nil {
		t.Fatal(err)
	}
	resp, err := http.Get("http://" + addr + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	got := shapeOf(string(body))
	golden := filepath.Join("testdata", "metrics.txt")
	if os.Getenv("PATCHMESH_REWRITE") != "" {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("the metrics are\n%s\nwant\n%s", got, want)
	}
	text := string(body)
	for _, line := range []string{
		`patchmesh_payload_received_bytes_total{tier="seed"} 600000`, `patchmesh_payload_received_bytes_total{tier="origin"} 0`,
		`patchmesh_updates{state="installed"} 1`, `patchmesh_store_payloads 1`, `patchmesh_store_used_bytes 600000`, `patchmesh_wan_payload_bytes 600000`,
	} {
		if !strings.Contains(text, "\n"+line+"\n") {
			t.Errorf("no line %q in\n%s", line, text)
		}
	}
}

// shapeOf lists the metrics of the program's own: name, type, labels.
func shapeOf(text string) string {
	types, labels := map[string]string{}, map[string]string{}
	for _, line := range strings.Split(text, "\n") {
		if f := strings.Fields(line); len(f) == 4 && f[1] == "TYPE" {
			types[f[2]] = f[3]
		}
		name, rest, _ := strings.Cut(line, "{")
		if in, _, ok := strings.Cut(rest, "}"); ok {
			var names []string
			for _, l := range strings.Split(in, ",") {
				n, _, _ := strings.Cut(l, "=")
				names = append(names, n)
			}
			labels[name] = "{" + strings.Join(names, ",") + "}"
		}
	}
	var out []string
	for name, kind := range types {
		// What the Go runtime and the kernel tell differs by version and system.
		if strings.HasPrefix(name, "patchmesh_") && !strings.HasPrefix(name, "patchmesh_go_") && !strings.HasPrefix(name, "patchmesh_process_") {
			out = append(out, name+labels[name]+" "+kind)
		}
	}
	slices.Sort(out)
	return strings.Join(out, "\n") + "\n"
}

func TestMetricNamesFollowTheRules(t *testing.T) {
	b, err := os.ReadFile(filepath.Join("testdata", "metrics.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		name, kind, _ := strings.Cut(line, " ")
		name, _, _ = strings.Cut(name, "{")
		if (kind == "counter") != strings.HasSuffix(name, "_total") {
			t.Errorf("%s is a %s", name, kind)
		}
		for _, unit := range []string{"_ms", "_millis", "_kib", "_mb", "_minutes", "_percent"} {
			if strings.Contains(name, unit) {
				t.Errorf("%s has no base unit", name)
			}
		}
	}
}
