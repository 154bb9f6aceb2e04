package policy

import (
	"errors"
	"strings"
	"testing"

	"patchmesh/content"
)

func nothingKnown(content.ID) *Descriptor { return nil }

// debDescriptor and fileDescriptor are the two kinds of payload that exist today.
func debDescriptor() *Descriptor {
	return &Descriptor{
		Update: "openssl_3.0.11-1", Revision: 1, Title: "OpenSSL 3.0.11", Severity: "important", Classification: "security",
		CVEs: []string{"CVE-2026-0001"}, References: []string{"DSA-1"}, Supersedes: []UpdateID{"openssl_3.0.10-1"},
		Installer: "deb", Requires: []string{"deb"}, Removable: true, FileName: "openssl_3.0.11-1_amd64.deb",
		Payload: content.Sum([]byte("map")), MapBytes: 100, PlainBytes: 1 << 20, StoredBytes: 1 << 19,
		SHA256: strings.Repeat("ab", 32), Package: "openssl", Version: "3.0.11-1", Arch: "amd64", Depends: "libc6 (>= 2.34)",
		Restart: "maybe", AsksUser: "never", Exclusive: "no", MaxRunSeconds: 300,
	}
}

func fileDescriptor() *Descriptor {
	return &Descriptor{
		Update: "motd", Revision: 3, Title: "Message of the day", Severity: "unspecified", Classification: "other",
		Installer: "file", InstallerArgs: map[string]string{"dest": "/etc/motd", "mode": "0644"}, Requires: []string{"file"},
		FileName: "motd", Payload: content.Sum([]byte("map 2")), MapBytes: 90, PlainBytes: 11, StoredBytes: 11,
		SHA256: strings.Repeat("cd", 32),
	}
}

func TestDescriptorsOfPackagesAndFilesSurviveTheWire(t *testing.T) {
	for _, d := range []*Descriptor{debDescriptor(), fileDescriptor()} {
		b, err := d.Encode()
		if err != nil {
			t.Fatal(err)
		}
		got, err := DecodeDescriptor(b)
		if err != nil {
			t.Fatal(err)
		}
		if got.ID() != content.Sum(b) || got.ID() != d.ID() {
			t.Errorf("%s: the ID is not that of the bytes", d.Update)
		}
		if got.InstallerArgs["dest"] != d.InstallerArgs["dest"] || got.Package != d.Package || got.Depends != d.Depends {
			t.Errorf("%s came back as %+v", d.Update, got)
		}
	}
}

// Descriptors are shared by whoever decides about them: to ask for the name of one must not write to it.
func TestToNameADescriptorChangesNothing(t *testing.T) {
	d := fileDescriptor()
	d.Format = 0
	id := d.ID()
	if d.Format != 0 || d.Restart != "" || d.AsksUser != "" || d.Exclusive != "" {
		t.Errorf("naming it has made it %+v", d)
	}
	if b, err := d.Encode(); err != nil || content.Sum(b) != id {
		t.Errorf("it is named %s, not as what it is encoded to: %v", id, err)
	}
}

func TestWhatNobodyStatedIsUnknown(t *testing.T) {
	d := fileDescriptor()
	if _, err := d.Encode(); err != nil {
		t.Fatal(err)
	}
	if d.Restart != Unknown || d.AsksUser != Unknown || d.Exclusive != Unknown || d.MaxRunSeconds != 0 {
		t.Fatalf("%q %q %q %d", d.Restart, d.AsksUser, d.Exclusive, d.MaxRunSeconds)
	}
}

func TestDescriptorsThatCouldHarmAreRefused(t *testing.T) {
	for name, edit := range map[string]func(*Descriptor){
		"path as file name":           func(d *Descriptor) { d.FileName = "../../etc/passwd" },
		"path of another system":      func(d *Descriptor) { d.FileName = `..\evil` },
		"drive as file name":          func(d *Descriptor) { d.FileName = "c:evil" },
		"parent folder as file name":  func(d *Descriptor) { d.FileName = ".." },
		"no file name":                func(d *Descriptor) { d.FileName = "" },
		"zero byte in file name":      func(d *Descriptor) { d.FileName = "a\x00b" },
		"terminal sequence in title":  func(d *Descriptor) { d.Title = "\x1b[2J" },
		"text that runs backwards":    func(d *Descriptor) { d.Title = "safe\u202eexe.deb" },
		"two lines in a title":        func(d *Descriptor) { d.Title = "a\nb" },
		"no valid UTF-8":              func(d *Descriptor) { d.Title = "\xff" },
		"no payload":                  func(d *Descriptor) { d.Payload = content.ID{} },
		"short hash":                  func(d *Descriptor) { d.SHA256 = "abcd" },
		"hash in capitals":            func(d *Descriptor) { d.SHA256 = strings.Repeat("AB", 32) },
		"negative size":               func(d *Descriptor) { d.PlainBytes = -1 },
		"endless size":                func(d *Descriptor) { d.PlainBytes = 1 << 62 },
		"stored form that grows":      func(d *Descriptor) { d.StoredBytes = d.PlainBytes + 1 },
		"map beyond its limit":        func(d *Descriptor) { d.MapBytes = content.MaxMapBytes + 1 },
		"no installer":                func(d *Descriptor) { d.Installer = "" },
		"unknown severity":            func(d *Descriptor) { d.Severity = "apocalyptic" },
		"unknown answer on restarts":  func(d *Descriptor) { d.Restart = "perhaps" },
		"update id that is an option": func(d *Descriptor) { d.Update = "--force" },
		"update that replaces itself": func(d *Descriptor) { d.Supersedes = []UpdateID{d.Update} },
		"endless run time":            func(d *Descriptor) { d.MaxRunSeconds = 1 << 30 },
		"endless text":                func(d *Descriptor) { d.Title = strings.Repeat("a", 5000) },
	} {
		d := debDescriptor()
		edit(d)
		if _, err := d.Encode(); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
