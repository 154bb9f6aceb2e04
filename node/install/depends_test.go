package install

import (
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"
)

// Every pair is compared by dpkg itself too, where it is at hand.
func TestCompareVersionsAgreesWithDpkg(t *testing.T) {
	versions := []string{"0", "1", "1.0", "1.0-1", "1.0-0", "1.0-1~bpo11+1", "1.0~rc1", "1.0~rc1-1", "1.0+dfsg-1", "1.0.1", "1.10", "1.9",
		"1:0.1", "2:0", "1.0a", "1.0A", "1.0-1ubuntu2", "1.0-1build1", "1.00", "1.0-01", "20240101", "1~~", "1~", "1~a"}
	dpkg, err := findTool("dpkg")
	for _, a := range versions {
		for _, b := range versions {
			got, cerr := compareVersions(a, b)
			if cerr != nil {
				t.Fatalf("%s, %s: %v", a, b, cerr)
			}
			if back, _ := compareVersions(b, a); back != -got {
				t.Errorf("%s, %s: %d, but the other way %d", a, b, got, back)
			}
			if err != nil {
				continue
			}
			op := map[int]string{-1: "lt", 0: "eq", 1: "gt"}[got]
			if exec.Command(dpkg, "--compare-versions", a, op, b).Run() != nil {
				t.Errorf("dpkg does not agree that %s %s %s", a, op, b)
			}
		}
	}
}

func TestMissingNamesWhatIsNotThere(t *testing.T) {
	in := newInstalled([]packageRow{
		{name: "libc6", version: "2.36-9", status: 'i'},
		{name: "exim4", version: "4.96", status: 'i', provides: "mail-transport-agent, smtp-server (= 2)"},
		{name: "waiting", version: "1", status: 't'},
		{name: "gone", version: "1", status: 'c'},
		{name: "half", version: "1", status: 'F'},
	}, []Spec{{Package: "self", Version: "3"}})
	for field, want := range map[string]string{
		"":                                  "",
		"libc6":                             "",
		"libc6 (>= 2.36)":                   "",
		"libc6 (>> 2.36-9)":                 "libc6 (>> 2.36-9)",
		"libc6 (<< 2.36-9)":                 "libc6 (<< 2.36-9)",
		"libc6 (= 2.36-9), libc6 (<= 3)":    "",
		"libc6:any (>= 1)":                  "",
		"nothing | libc6":                   "",
		"nothing|libc6(>=3)":                "nothing|libc6(>=3)",
		"mail-transport-agent":              "",
		"mail-transport-agent (>= 1)":       "mail-transport-agent (>= 1)",
		"smtp-server (>= 2)":                "",
		"waiting, gone, half":               "gone, half",
		"self (>= 3)":                       "",
		"absent, libc6,\n also-absent (=1)": "absent, also-absent (=1)",
		"what is (this":                     "", // dpkg decides
		"libc6 (>= not a version)":          "",
		"libc6 (>= notaversion)":            "",
	} {
		if got := strings.Join(in.missing(field), ", "); got != want {
			t.Errorf("%q: missing %q, want %q", field, got, want)
		}
	}
}

func TestArchitectureNames(t *testing.T) {
	for _, c := range []struct {
		spec, row string
		same      bool
	}{
		{"amd64", "amd64", true}, {"386", "i386", true}, {"arm", "armhf", true}, {"arm", "armel", true}, {"ppc64le", "ppc64el", true},
		{"amd64", "i386", false}, {"arm", "arm64", false}, {"", "riscv64", true}, {"all", "amd64", true}, {"amd64", "all", true},
	} {
		if got := sameArch(c.spec, c.row); got != c.same {
			t.Errorf("%q and %q: %v", c.spec, c.row, got)
		}
	}
}

func TestTailIsShortAndPrintable(t *testing.T) {
	got := tail([]byte(strings.Repeat("a\xff", 2*maxLogBytes) + "\x1b[1mend\x07"))
	if len(got) > maxLogBytes || !strings.HasSuffix(got, "[1mend") || strings.ContainsAny(got, "\x1b\x07") || !utf8.ValidString(got) {
		t.Errorf("%d bytes, end %s", len(got), strconv.Quote(got[max(0, len(got)-20):]))
	}
}

func FuzzRelations(f *testing.F) {
	f.Add("a (>= 1:2-3~x) | b, c:any", "1.0", "2.0")
	f.Fuzz(func(t *testing.T, field, a, b string) {
		in := installed{"a": {a}, "c": {b, ""}}
		in.missing(field)
		if c, err := compareVersions(a, b); err == nil {
			if back, err := compareVersions(b, a); err != nil || back != -c {
				t.Fatalf("%q, %q: %d and %d, %v", a, b, c, back, err)
			}
		}
	})
}
