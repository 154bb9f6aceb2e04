package tuftest

import "strings"

// edge is one delegation of a graph; no paths are all paths.
type edge struct {
	from, to    string
	terminating bool
	paths       []string
}

func (x *X) graph(edges []edge) {
	roles := []string{}
	add := func(role string) {
		for _, r := range roles {
			if r == role {
				return
			}
		}
		roles = append(roles, role)
	}
	for _, e := range edges {
		paths := e.paths
		if paths == nil {
			paths = []string{"*"}
		}
		x.Delegate(e.from, e.to, Object{"paths": paths, "terminating": e.terminating})
		add(e.to)
		add(e.from)
	}
	x.Publish(append(roles, "snapshot", "timestamp")...)
}

// visits checks which delegated roles were asked for, in order.
func (x *X) visits(order string) {
	x.Helper()
	var got []string
	for _, a := range x.Asked() {
		if role, version, _ := strings.Cut(a, " "); role != "root" && role != "timestamp" && role != "snapshot" && role != "targets" {
			if version != "1" {
				x.Fatalf("asked for %s", a)
			}
			got = append(got, role)
		}
	}
	if strings.Join(got, " ") != order {
		x.Fatalf("visited %q, want %q", strings.Join(got, " "), order)
	}
}

func delegationCases() []Case {
	py := []string{"*.py"}
	var out []Case
	for _, c := range []struct {
		name  string
		edges []edge
		order string
	}{
		{"basic-delegation", []edge{{"targets", "A", false, nil}}, "A"},
		{"single-level-delegations", []edge{{"targets", "A", false, nil}, {"targets", "B", false, nil}}, "A B"},
		{"two-level-delegations", []edge{{"targets", "A", false, nil}, {"targets", "B", false, nil}, {"B", "C", false, nil}}, "A B C"},
		{"two-level-test-DFS-order-of-traversal", []edge{{"targets", "A", false, nil}, {"targets", "B", false, nil}, {"A", "C", false, nil}, {"A", "D", false, nil}}, "A C D B"},
		{"three-level-delegation-test-DFS-order-of-traversal", []edge{{"targets", "A", false, nil}, {"targets", "B", false, nil}, {"A", "C", false, nil}, {"C", "D", false, nil}}, "A C D B"},
		{"two-level-terminating-ignores-all-but-roles-descendants", []edge{{"targets", "A", false, nil}, {"targets", "B", false, nil}, {"A", "C", true, nil}, {"A", "D", false, nil}}, "A C"},
		{"three-level-terminating-ignores-all-but-roles-descendants", []edge{{"targets", "A", false, nil}, {"targets", "B", false, nil}, {"A", "C", true, nil}, {"C", "D", false, nil}}, "A C D"},
		{"two-level-ignores-all-branches-not-matching-paths", []edge{{"targets", "A", false, py}, {"targets", "B", false, nil}, {"A", "C", false, nil}}, "B"},
		{"three-level-ignores-all-branches-not-matching-paths", []edge{{"targets", "A", false, nil}, {"targets", "B", false, nil}, {"A", "C", false, py}, {"C", "D", false, nil}}, "A B"},
		{"cyclic-graph", []edge{{"targets", "A", false, nil}, {"targets", "B", false, nil}, {"B", "C", false, nil}, {"C", "D", false, nil}, {"D", "B", false, nil}}, "A B C D"},
		{"two-roles-delegating-to-a-third", []edge{{"targets", "A", false, nil}, {"targets", "B", false, nil}, {"B", "C", false, nil}, {"A", "C", false, nil}}, "A C B"},
		{"two-roles-delegating-to-a-third-different-paths", []edge{{"targets", "A", false, nil}, {"targets", "B", false, nil}, {"B", "C", false, nil}, {"A", "C", false, py}}, "A B C"},
	} {
		out = append(out, Case{"test_graph_traversal/" + c.name, func(x *X) {
			x.init()
			x.graph(c.edges)
			x.notGot("missingpath")
			x.visits(c.order)
		}})
	}
	out = append(out, searchCases()...)
	for _, role := range []string{"?", "#", "/delegatedrole", "../delegatedrole", "a b%2Fc", "Root", "timestamp.json", strings.Repeat("long", 80)} {
		out = append(out, Case{"test_unusual_role_name/" + role, func(x *X) {
			x.Delegate("targets", role, Object{"paths": []string{"*"}})
			x.Publish(role, "targets", "snapshot", "timestamp")
			x.init()
			x.notGot("nonexistent target")
			x.lastAsked(role + " 1")
			if n := x.Client.Roles(); n != 5 {
				x.Fatalf("%d files are trusted, want 5", n)
			}
			x.trusts(1, 2, 2, 2)
			x.notGot("nonexistent target")
			x.asks("root 2", "timestamp") // the role is found again where it was kept
		}})
	}
	return append(out, diamondCases()...)
}

func searchCases() []Case {
	var out []Case
	for _, c := range []struct {
		name, target string
		found        bool
		order        string
	}{
		{"no delegations", "targetfile", true, ""},
		{"targetpath matches wildcard", "README.md", true, "A"},
		{"targetpath with separators x", "releases/x/x_v1", true, "B C"},
		{"targetpath with separators y", "releases/y/y_v1.zip", true, "B D"},
		{"targetpath is not delegated by all roles in the chain", "releases/z/z_v1.zip", false, "B"},
		{"wildcard does not match path separator", "releases/README.md", false, ""},
		{"targetpath matches question mark wildcard", "foo-1.tgz", true, "A"},
		{"targetpath does not match question mark wildcard", "foo-alpha.tgz", false, ""},
		{"targetpath matching is case sensitive", "README.MD", false, ""},
	} {
		out = append(out, Case{"test_targetfile_search/" + c.name, func(x *X) {
			x.init()
			for role, names := range map[string][]string{
				"targets": {"targetfile"}, "A": {"README.md", "releases/README.md", "foo-1.tgz", "foo-alpha.tgz"}, "C": {"releases/x/x_v1"},
				"D": {"releases/y/y_v1.zip", "releases/z/z_v1.zip"},
			} {
				if x.Signed[role] == nil {
					x.Signed[role] = NewTargets()
				}
				for _, name := range names {
					x.AddTarget(role, name, []byte("bytes of "+name))
				}
			}
			x.graph([]edge{
				{"targets", "A", false, []string{"*.doc", "*.md", "foo-?.tgz"}}, {"targets", "B", false, []string{"releases/*/*"}},
				{"B", "C", false, []string{"releases/x/*"}}, {"B", "D", false, []string{"releases/y/*.zip"}},
			})
			if !c.found {
				x.notGot(c.target)
				x.kept()
			} else {
				x.got(c.target)
				x.kept("bytes of " + c.target)
			}
			x.visits(c.order)
		}})
	}
	return out
}

func diamondCases() []Case {
	diamond := func(x *X) (a, b *Signer) {
		x.init()
		x.Delegate("targets", "parent-a", Object{"paths": []string{"team-a/*"}})
		x.Delegate("targets", "parent-b", Object{"paths": []string{"team-b/*"}})
		a = x.Delegate("parent-a", "release", Object{"paths": []string{"team-a/*"}})
		b = x.Delegate("parent-b", "release", Object{"paths": []string{"team-b/*"}})
		x.AddTarget("release", "team-a/root.json", []byte("trusted A"))
		x.AddTarget("release", "team-b/root.json", []byte("malicious B"))
		return a, b
	}
	publish := func(x *X, signers ...*Signer) {
		x.Signers["release"] = signers
		x.Publish("release", "parent-a", "parent-b", "targets", "snapshot", "timestamp")
	}
	return []Case{
		{"test_cached_role_is_verified_against_current_delegator", func(x *X) {
			a, _ := diamond(x)
			publish(x, a)
			x.notGot("team-a/root.json", "team-b/root.json")
			x.kept("trusted A")
		}},
		{"a role kept on disk is verified against the current delegator", func(x *X) {
			a, _ := diamond(x)
			publish(x, a)
			x.got("team-a/root.json")
			x.notGot("team-b/root.json")
			x.kept("trusted A")
		}},
		{"a role that both delegators trust serves both", func(x *X) {
			a, b := diamond(x)
			publish(x, a, b)
			x.got("team-a/root.json", "team-b/root.json")
			x.kept("trusted A", "malicious B")
		}},
		{"test_delegation_not_in_snapshot", func(x *X) {
			x.init()
			x.Delegate("targets", "delegated", Object{"paths": []string{"delegatedpath/*"}})
			x.Publish("delegated", "targets")
			delete(x.Signed["snapshot"]["meta"].(Object), "delegated.json")
			x.Publish("snapshot", "timestamp")
			x.ok()
			x.Asked()
			x.notGot("delegatedpath/foo")
			x.asks("root 2", "timestamp")
			if x.Client.Roles() != 4 {
				x.Fatal("the delegated role is trusted")
			}
		}},
	}
}
