package install

import (
	"context"
	"errors"
	"path/filepath"
	"strings"
)

// rpm is RPM's tool on one root.
type rpm struct{ root string }

func newRPM(j Job) rpm {
	root := j.Root
	if root == "" {
		root = "/"
	}
	if abs, err := filepath.Abs(root); err == nil {
		root = abs
	}
	return rpm{root}
}

// rpmVersionFormat prints epoch:version-release; a package without an epoch has 0.
const rpmVersionFormat = `%{EPOCHNUM}:%{VERSION}-%{RELEASE}\n`

func (r rpm) queryArgs(name string) []string {
	return []string{"--root=" + r.root, "--query", "--queryformat=" + rpmVersionFormat, "--", name}
}

// versions lists the installed versions of a package.
func (r rpm) versions(ctx context.Context, name string) ([]string, error) {
	out, code, err := runQuery(ctx, "rpm", r.queryArgs(name)...)
	if err != nil {
		return nil, err
	}
	return readRPMVersions(string(out), code)
}

// readRPMVersions tells "not there" from a database that cannot be read: rpm ends with 1 for both.
func readRPMVersions(out string, exitCode int) ([]string, error) {
	if exitCode != 0 {
		if strings.Contains(out, "is not installed") {
			return nil, nil
		}
		e := failed(ReasonExit, errors.New("the package database cannot be read"), "run rpm")
		e.ExitCode = exitCode
		return nil, e
	}
	return strings.Fields(out), nil
}
