package main

import (
	"bytes"
	"fmt"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"patchmesh/policy/tuftest"
)

// verb is the command line of the plain TUF client, with folders of its own, over HTTP.
type verb struct {
	t       *testing.T
	url     string
	dir     string
	exits   []int
	lastErr string
}

func startVerb(t *testing.T, r *tuftest.Repo) tuftest.Client {
	web := httptest.NewServer(r)
	t.Cleanup(web.Close)
	v := &verb{t: t, url: web.URL, dir: t.TempDir()}
	if err := os.Mkdir(filepath.Join(v.dir, "targets"), 0o755); err != nil {
		t.Fatal(err)
	}
	return v
}

func (v *verb) metadata() string { return filepath.Join(v.dir, "metadata") }

// call gives the flags before the verb, as the public suite does.
func (v *verb) call(args ...string) error {
	var out, errOut bytes.Buffer
	code := run(append([]string{"trust", "--all-key-types", "--metadata-dir", v.metadata()}, args...), &out, &errOut)
	v.exits, v.lastErr = append(v.exits, code), errOut.String()
	if code == 1 || code == 2 {
		v.t.Errorf("%v ends with code %d: %s", args, code, v.lastErr)
	}
	if code != 0 {
		return fmt.Errorf("exit code %d: %s", code, v.lastErr)
	}
	return nil
}

func (v *verb) Init(root []byte) error {
	file := filepath.Join(v.dir, "trusted.json")
	if err := os.WriteFile(file, root, 0o600); err != nil {
		v.t.Fatal(err)
	}
	return v.call("init", file)
}

func (v *verb) Refresh(at time.Time) error {
	return v.call("--metadata-url", v.url+"/metadata", "--at", at.Format(time.RFC3339), "refresh")
}

func (v *verb) Download(at time.Time, names ...string) error {
	args := []string{"--metadata-url", v.url + "/metadata/", "--at", at.Format(time.RFC3339)}
	for _, n := range names {
		args = append(args, "--target-name", n)
	}
	return v.call(append(args, "--target-dir", filepath.Join(v.dir, "targets"), "--target-base-url", v.url+"/targets/", "download")...)
}

func (v *verb) Role(name string) []byte {
	b, err := os.ReadFile(filepath.Join(v.metadata(), name+".json"))
	if err != nil && !os.IsNotExist(err) {
		v.t.Fatal(err)
	}
	return b
}

func (v *verb) Roles() int {
	n := 0
	for _, e := range entries(v.t, v.metadata()) {
		if strings.HasSuffix(e, ".json") {
			n++
		}
	}
	return n
}

func (v *verb) Targets() (out []string) {
	for _, e := range entries(v.t, filepath.Join(v.dir, "targets")) {
		b, err := os.ReadFile(filepath.Join(v.dir, "targets", e))
		if err != nil {
			v.t.Fatal(err)
		}
		out = append(out, string(b))
	}
	// Nothing else may lie about, above all not beside the folders.
	for _, e := range entries(v.t, v.dir) {
		if e != "targets" && e != "metadata" && e != "trusted.json" {
			v.t.Errorf("%s was written", e)
		}
	}
	return out
}

func entries(t *testing.T, dir string) (out []string) {
	t.Helper()
	list, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range list {
		out = append(out, e.Name())
	}
	return out
}

// The command line passes every case that the public suite of the TUF project has, and more, and no
// refusal of it is mistaken for a failure of the program.
func TestTrustVerbsPassTheSuite(t *testing.T) {
	n := tuftest.Run(t, startVerb)
	t.Logf("%d cases", n)
}
