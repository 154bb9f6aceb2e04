package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"patchmesh/node/daemon"
)

func TestServiceDryRunShowsUnitsForMachinesAndSeeds(t *testing.T) {
	dir := t.TempDir()
	seed := filepath.Join(dir, "seed")
	if code, _, errOut := call("init", "--org", "acme", "--insecure-no-passphrase", "--data", seed); code != 0 {
		t.Fatal(errOut)
	}
	show := func(data string, more ...string) map[string]string {
		code, out, errOut := call(append([]string{"service", "install", "--dry-run", "--json", "--data", data}, more...)...)
		var r daemon.Report
		if err := json.Unmarshal([]byte(out), &r); code != 0 || err != nil || r.Started {
			t.Fatalf("%d %q %q %v", code, out, errOut, err)
		}
		return r.Units
	}
	units := show(filepath.Join(dir, "machine"), "--peer", "10.0.0.6:7700", "--egress", "no")
	net, apply := units["/etc/systemd/system/patchmesh.service"], units["/etc/systemd/system/patchmesh-apply.service"]
	if !strings.Contains(net, "--apply-socket") || !strings.Contains(net, "--peer 10.0.0.6:7700 --egress no") || !strings.Contains(apply, "PrivateNetwork=yes") {
		t.Errorf("units %q", units)
	}
	if units := show(seed); len(units) != 1 {
		t.Errorf("a seed installs nothing, yet it has %d units", len(units))
	}
	for name, args := range map[string][]string{
		"no verb": {"service"}, "a verb that is none": {"service", "restart"}, "a peer that is no address": {"service", "install", "--dry-run", "--peer", "x"},
		"a user that is no name": {"service", "install", "--dry-run", "--user", "a b"}, "root as user": {"service", "install", "--dry-run", "--user", "root"},
	} {
		if code, _, errOut := call(args...); code != 2 || !strings.HasPrefix(errOut, "patchmesh: ") {
			t.Errorf("%s: %d %q", name, code, errOut)
		}
	}
	if code, out, errOut := call("service", "status", "--json"); code != 0 || !strings.Contains(out, "patchmesh-apply.service") {
		t.Errorf("status: %d %q %q", code, out, errOut)
	}
}
