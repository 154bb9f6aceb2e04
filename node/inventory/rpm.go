package inventory

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"strings"

	"patchmesh/policy"
)

// rpmDatabases are the files of rpm's database, of today and of earlier versions.
var rpmDatabases = []string{
	"/usr/lib/sysimage/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/Packages.db", "/var/lib/rpm/rpmdb.sqlite", "/var/lib/rpm/Packages.db", "/var/lib/rpm/Packages",
}

// rpmTools are where rpm is looked for; the caller's PATH could name somebody else's.
var rpmTools = []string{"/usr/bin/rpm", "/bin/rpm"}

const rpmFormat = `%{NAME}\t%{EPOCHNUM}\t%{VERSION}-%{RELEASE}\t%{ARCH}\n`

// rpm asks the tool: its database has had three forms.
func (q Question) rpm(ctx context.Context) ([]policy.Package, error) {
	here := false
	for _, p := range rpmDatabases {
		if _, err := os.Stat(q.below(p)); err == nil {
			here = true
		}
	}
	if !here {
		return nil, errNoSystem
	}
	tool := ""
	for _, p := range rpmTools {
		if fi, err := os.Stat(p); err == nil && fi.Mode().IsRegular() && tool == "" {
			tool = p
		}
	}
	if tool == "" {
		return nil, errors.New("there is a database of rpm, but no rpm to read it")
	}
	args := []string{"-qa", "--queryformat", rpmFormat}
	if !q.system() {
		args = append([]string{"--root", q.Root}, args...)
	}
	out, err := ask(ctx, tool, args...)
	if err != nil {
		return nil, err
	}
	return ParseRPM(bytes.NewReader(out))
}

// ask runs a tool that only reads, within bounds.
func ask(ctx context.Context, tool string, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, toolPatience)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, args...)
	cmd.Env, cmd.Dir = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL=C.UTF-8"}, "/"
	pipe, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, plainError(err)
	}
	out, rerr := io.ReadAll(io.LimitReader(pipe, maxToolOutput+1))
	if len(out) > maxToolOutput {
		cancel()
	}
	err = cmd.Wait()
	if len(out) > maxToolOutput {
		return nil, errors.New("the list of packages is too long")
	}
	return out, errors.Join(err, rerr)
}

// ParseRPM reads what rpm writes in rpmFormat. Keys that rpm lists as packages are none. A line of another form
// is an error, with what was read before it.
func ParseRPM(r io.Reader) ([]policy.Package, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxToolOutput))
	if err != nil {
		return nil, err
	}
	var out []policy.Package
	for text := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimRight(text, "\r\n"), "\t")
		if len(f) != 4 {
			return out, errors.New("rpm has written something else than its list of packages")
		}
		if f[0] == "gpg-pubkey" {
			continue
		}
		version := f[2]
		if f[1] != "0" && f[1] != "" && f[1] != "(none)" {
			version = f[1] + ":" + version
		}
		p := policy.Package{System: policy.SystemRPM, Name: f[0], Version: version, Arch: strings.TrimPrefix(f[3], "(none)")}
		if out = append(out, p); len(out) > 4*policy.MaxPackages {
			return out, errors.New("more packages than a machine has")
		}
	}
	return out, nil
}
