package main

import (
	"strconv"
	"strings"

	"patchmesh/node/api"
)

// approveHelp tells what approve does beside the plain case.
const approveHelp = `An approval is of one revision: the newest, or the one that --revision or UPDATE@N names. To go back to an older
one, approve that. Machines that have the newer one find out by looking: a file or an archive is put back; a package
or a program of a version that only grows (deb, rpm, msi, agent) counts as installed and is never taken back to a
lower version, unless that revision was imported with --installer-arg allow-downgrade=true, for the kinds that have it.

--action optional offers the update: nothing is fetched before the machine's user says 'patchmesh accept UPDATE'.
--withdraw takes an approval back. What is installed stays; a machine that has begun looks again before it installs.
An approval rule that fits the update proposes it again: decline it instead, or drop the rule.

`

// readApproved reads UPDATE or UPDATE@REVISION.
func readApproved(r *api.ApproveRequest, arg string, action bool) error {
	id, n, named := strings.Cut(arg, "@")
	r.Update = id
	if named {
		v, err := strconv.Atoi(n)
		if err != nil || v < 1 {
			return api.Errorf(api.ClassUsage, "%q names no revision", arg).WithHint("like %s@2, or --revision 2", id)
		}
		if r.Revision != 0 && r.Revision != v {
			return api.Errorf(api.ClassUsage, "%s and --revision %d name two revisions", arg, r.Revision).WithHint("one approval is of one revision: leave --revision away, or the @%s", n)
		}
		r.Revision = v
	}
	if r.Revision < 0 {
		return api.Errorf(api.ClassUsage, "revision %d", r.Revision).WithHint("revisions are counted from 1")
	}
	if r.Withdraw {
		if action {
			return api.Errorf(api.ClassUsage, "--withdraw takes whatever was approved back: it has no action")
		}
		r.Action = ""
	}
	return nil
}

// readUpdates reads the updates that an approval is of.
func readUpdates(r *api.ApproveRequest, args []string, action, whatIf bool) error {
	revision := r.Revision
	if err := readApproved(r, args[0], action); err != nil || len(args) == 1 {
		return err
	}
	if revision != 0 {
		return api.Errorf(api.ClassUsage, "--revision is about one update").WithHint("name the revision of each, like %s@%d", r.Update, r.Revision)
	}
	if r.Withdraw || whatIf {
		return api.Errorf(api.ClassUsage, "--withdraw and --what-if are about one update").WithHint("name one, and say the others after it")
	}
	for _, arg := range args[1:] {
		var one api.ApproveRequest
		if err := readApproved(&one, arg, false); err != nil {
			return err
		}
		r.Also = append(r.Also, api.Revised{Update: one.Update, Revision: one.Revision})
	}
	return nil
}
