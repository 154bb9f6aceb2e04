package policy

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"
)

// R-A8: whoever is to sign an update is shown all of it: every field of a descriptor that is stated changes what is
// shown, those of scripts and rules too. A field that is added and not shown fails here.
func TestRA8EveryPropertyIsShown(t *testing.T) {
	full := func() *Descriptor {
		return newBench(t).update("u", 3, func(d *Descriptor) {
			d.Format = DescriptorFormat
			d.Title, d.Classification, d.Product, d.Licence = "the title", "security", "the product", "line\nline"
			d.CVEs, d.References, d.Languages = []string{"CVE-2026-1"}, []string{"KB5000001"}, []string{"de"}
			d.Supersedes, d.Prerequisites = []UpdateID{"old"}, []UpdateID{"base"}
			d.Restart, d.AsksUser, d.Exclusive, d.Disruptive, d.MaxRunSeconds = "maybe", "never", "no", "yes", 600
			d.Format = DescriptorFormat
			d.InstallerArgs, d.Requires, d.Removable = map[string]string{"dest": "/srv/x"}, []string{"file"}, true
			d.Origins, d.OriginHosts = []string{"https://vendor.example/u"}, []string{"cdn.example"}
			d.Package, d.Version, d.Arch, d.Depends = "pkg", "1.2", "amd64", "libc6"
			d.Applicable, d.Installed, d.Probe = &Condition{Arch: []string{"amd64"}}, &Condition{Arch: []string{"arm64"}}, &Condition{Arch: []string{"386"}}
			d.ProbeSeconds, d.Before, d.After = 7, &Hook{Script: "#!/bin/sh\ntrue\n", TimeoutSeconds: 5}, &Hook{Script: "#!/bin/sh\nfalse\n", TimeoutSeconds: 6}
			d.Mitigates, d.MitigationEnds, d.Withdrawn = "hole", t0.Add(time.Hour), true
			d.Vendor = &Vendor{FileName: "v.zip", SHA256: sumOf("v"), Bytes: 9, Origin: "https://vendor.example/v", Member: "in/side"}
		})
	}
	text := func(d *Descriptor) string { return fmt.Sprint(d.Properties()) }
	whole := text(full())
	hidden := map[string]bool{"Format": true, "Payload": true, "MapBytes": true} // how the bytes are cut for transport: sha256 says which they are
	kind := reflect.TypeFor[Descriptor]()
	for i := range kind.NumField() {
		f := kind.Field(i)
		d := full()
		v := reflect.ValueOf(d).Elem().Field(i)
		if v.IsZero() {
			t.Errorf("%s is not stated in this test", f.Name)
		}
		if v.SetZero(); (text(d) == whole) != hidden[f.Name] {
			t.Errorf("%s: shown %v", f.Name, text(d) != whole)
		}
	}
	if strings.ContainsAny(whole, "\n\x1b") {
		t.Errorf("a text of many lines is shown as it is: %q", whole)
	}
	d := full()
	d.Before.Script += "#"
	if text(d) == whole {
		t.Error("another script looks the same")
	}
}
