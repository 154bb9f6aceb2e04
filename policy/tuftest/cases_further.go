package tuftest

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
)

// furtherCases is what the specification says and the public suite does not ask.
func furtherCases() []Case {
	return append([]Case{
		{"test_static_repository/as other tools spell it", func(x *X) {
			x.AddTarget("targets", "dir/file", []byte("bytes"))
			x.Signed["targets"]["x-signers"] = []any{Object{"name": "a\nb", "since": nil}}
			x.Publish("targets", "snapshot", "timestamp")
			for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
				x.EditTree(role, func(d Object) {
					d["signatures"] = append([]any{Object{"keyid": Hash("sha256", nil), "sig": "", "note": 1}}, d["signatures"].([]any)...)
					d["unsigned"] = Object{"x": nil}
				})
				var b bytes.Buffer
				must(json.Indent(&b, x.Newest(role), "", "\t"))
				b.WriteByte('\n')
				x.Edit(role, b.Bytes())
			}
			x.init()
			x.got("dir/file")
			x.kept("bytes")
			x.same("targets")
		}},
		{"without consistent snapshots", func(x *X) {
			x.Signed["root"]["consistent_snapshot"] = false
			plainNames(x)
		}},
		{"without a word on consistent snapshots", func(x *X) {
			delete(x.Signed["root"], "consistent_snapshot")
			plainNames(x)
		}},
		{"a snapshot of the same version but another hash is fetched again", func(x *X) {
			x.HashMeta = true
			x.Publish("snapshot", "timestamp")
			x.init()
			x.ok()
			x.Signed["snapshot"]["note"] = "another"
			x.Signed["snapshot"]["version"] = 1
			x.Publish("snapshot", "timestamp") // version 2 again, at 3
			x.Edit("snapshot", x.Newest("snapshot"))
			x.Replace("snapshot", 2)
			x.ok()
			x.same("snapshot")
		}},
		{"a refresh that ended half way goes on", func(x *X) {
			x.init()
			good := x.Newest("targets")
			x.EditTree("targets", func(d Object) { d["signatures"] = []any{} })
			x.refused()
			x.trusts(1, 1, 1, 0)
			x.Edit("targets", good)
			x.Asked()
			x.ok()
			x.trusts(1, 1, 1, 1)
			x.asks("root 2", "timestamp", "targets 1")
		}},
		{"a timestamp of the version that is here is not looked into", func(x *X) {
			x.init()
			x.Publish("snapshot", "timestamp")
			x.ok()
			x.Unpublish("timestamp")
			x.Signed["timestamp"]["expires"] = Date(Start.AddDate(0, 0, -1))
			x.Signed["timestamp"]["meta"] = Object{"snapshot.json": Object{"version": 1}}
			x.Publish("timestamp")
			x.ok()
			x.trusts(1, 2, 2, 1)
		}},
		{"a kept snapshot that has expired is not used", func(x *X) {
			x.init()
			x.Signed["snapshot"]["expires"] = Date(Start.AddDate(0, 0, 7))
			x.Publish("snapshot", "timestamp")
			x.ok()
			if x.Client.Refresh(Start.AddDate(0, 0, 8)) == nil {
				x.Fatal("taken")
			}
		}},
		{"kept targets that have expired are not used", func(x *X) {
			x.init()
			x.Signed["targets"]["expires"] = Date(Start.AddDate(0, 0, 7))
			x.Publish("targets", "snapshot", "timestamp")
			x.ok()
			if x.Client.Refresh(Start.AddDate(0, 0, 8)) == nil {
				x.Fatal("taken")
			}
		}},
		{"targets larger than any may be are not asked for", func(x *X) {
			x.init()
			x.ok()
			x.Signed["snapshot"]["meta"].(Object)["targets.json"] = Object{"version": 2, "length": 1 << 40}
			x.Publish("snapshot", "timestamp")
			x.Asked()
			x.refused()
			x.lastAsked("snapshot 2")
			x.trusts(1, 2, 2, 1)
		}},
		{"keys are withdrawn by a root in between", func(x *X) {
			x.init()
			for range 9 {
				x.Publish("snapshot")
			}
			x.Publish("timestamp")
			x.ok()
			x.trusts(1, 2, 10, 1)
			x.RotateKeys("snapshot") // the timestamp key stays, and its timestamp says snapshot 10
			x.Publish("root")
			x.Signed["root"]["note"] = "nothing changes here"
			x.Publish("root")
			x.Unpublish("snapshot")
			x.Signed["snapshot"]["version"] = 1
			x.Publish("snapshot", "timestamp")
			x.ok()
			x.trusts(3, 3, 1, 1)
		}},
		{"a root that withdraws keys and has expired is followed by one that has not", func(x *X) {
			x.init()
			for range 9 {
				x.Publish("snapshot")
			}
			x.Publish("timestamp")
			x.ok()
			x.RotateKeys("snapshot")
			was := x.Signed["root"]["expires"]
			x.Signed["root"]["expires"] = Date(Start.AddDate(0, 0, -1))
			x.Publish("root")
			x.Unpublish("snapshot")
			x.Signed["snapshot"]["version"] = 1
			x.Publish("snapshot", "timestamp")
			x.refused()
			x.trusts(2, 2, 10, 1)
			x.Signed["root"]["expires"] = was
			x.Publish("root")
			x.ok()
			x.trusts(3, 3, 1, 1)
		}},
		{"adding a key withdraws none", func(x *X) {
			x.init()
			x.Publish("timestamp")
			x.ok()
			x.AddKey("timestamp", NewSigner(Ed25519))
			x.Publish("root")
			x.Unpublish("timestamp")
			x.Signed["timestamp"]["version"] = 1
			x.Publish("timestamp")
			x.refused()
			x.trusts(2, 2, 1, 1)
		}},
		{"a timestamp that names an older snapshot", func(x *X) {
			x.init()
			x.Publish("snapshot", "timestamp")
			x.ok()
			x.Signed["timestamp"]["meta"] = Object{"snapshot.json": Object{"version": 1}}
			x.Publish("timestamp")
			x.refused()
			x.trusts(1, 2, 2, 1)
		}},
		{"a delegated role goes back", func(x *X) {
			x.init()
			x.Delegate("targets", "A", Object{"paths": []string{"*"}})
			x.Publish("A")
			x.Publish("A", "targets", "snapshot", "timestamp")
			x.notGot("none")
			x.Signed["snapshot"]["meta"].(Object)["A.json"] = Object{"version": 1}
			x.Publish("snapshot", "timestamp")
			x.refused()
			x.trusts(1, 3, 2, 2)
		}},
		{"a delegated role that does not meet its threshold ends the search", func(x *X) {
			x.init()
			x.Delegate("targets", "A", Object{"paths": []string{"*"}, "threshold": 2})
			x.Delegate("targets", "B", Object{"paths": []string{"*"}})
			x.AddTarget("B", "file", []byte("of B"))
			x.Publish("A", "B", "targets", "snapshot", "timestamp")
			x.notGot("file")
			x.kept()
		}},
		{"a delegated role that has expired ends the search", func(x *X) {
			x.init()
			x.Delegate("targets", "A", Object{"paths": []string{"*"}})
			x.AddTarget("A", "file", []byte("of A"))
			x.Signed["A"]["expires"] = Date(Start.AddDate(0, 0, -1))
			x.Publish("A", "targets", "snapshot", "timestamp")
			x.notGot("file")
			x.kept()
		}},
		{"more roles than one search may visit", func(x *X) {
			x.init()
			last := "targets"
			for i := range 200 {
				role := fmt.Sprintf("r%d", i)
				x.Delegate(last, role, Object{"paths": []string{"*"}})
				last = role
			}
			x.AddTarget(last, "file", []byte("far away"))
			for i := range 200 {
				x.Publish(fmt.Sprintf("r%d", i))
			}
			x.Publish("targets", "snapshot", "timestamp")
			x.Asked()
			x.notGot("file")
			if n := len(x.Asked()); n > 150 {
				x.Fatalf("%d files were fetched", n)
			}
		}},
	}, binCases()...)
}

// plainNames runs a repository whose files have no versions and hashes in their names.
func plainNames(x *X) {
	x.AddTarget("targets", "dir/file", []byte("bytes"))
	x.Unpublish("root")
	x.Publish("root", "targets", "snapshot", "timestamp")
	x.init()
	x.got("dir/file")
	x.asks("root 2", "timestamp", "snapshot", "targets")
	x.kept("bytes")
	if asked := x.AskedTargets(); len(asked) != 1 || asked[0] != "dir/file " {
		x.Fatalf("fetched %q", asked)
	}
}

// Replace shows the newest publication of a role in the place of an older one.
func (r *Repo) Replace(role string, version int) {
	b := r.Newest(role)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.published[role][version-1] = b
}

func binCases() []Case {
	hashOf := func(name string) string {
		sum := sha256.Sum256([]byte(name))
		return hex.EncodeToString(sum[:])
	}
	out := []Case{
		{"path_hash_prefixes", func(x *X) {
			x.init()
			x.Delegate("targets", "not-this", Object{"path_hash_prefixes": []string{flip(hashOf("file")[:2])}})
			x.Delegate("targets", "this", Object{"path_hash_prefixes": []string{flip(hashOf("file")[:3]), hashOf("file")[:4]}})
			x.AddTarget("not-this", "file", []byte("wrong bin"))
			x.AddTarget("this", "file", []byte("right bin"))
			x.Publish("not-this", "this", "targets", "snapshot", "timestamp")
			x.got("file")
			x.kept("right bin")
			x.visits("this")
		}},
		{"no paths and no path_hash_prefixes is nothing delegated", func(x *X) {
			x.init()
			x.Delegate("targets", "A", nil)
			x.AddTarget("A", "file", []byte("of A"))
			x.Publish("A", "targets", "snapshot", "timestamp")
			x.notGot("file")
			x.visits("")
		}},
		{"sets in a pattern stay within a segment", func(x *X) {
			x.init()
			x.Delegate("targets", "A", Object{"paths": []string{"a[!b]c", "[^a]x", "[bad", "d/[!b]/f"}})
			for _, name := range []string{"axc", "abc", "a/c", "d/e/f", "d/b/f"} {
				x.AddTarget("A", name, []byte(name))
			}
			x.Publish("A", "targets", "snapshot", "timestamp")
			x.got("axc", "d/e/f")
			x.notGot("abc")
			x.notGot("a/c")
			x.notGot("d/b/f")
			x.notGot("[bad")
		}},
	}
	for _, bits := range []int{1, 4, 5, 8, 16} {
		out = append(out, Case{fmt.Sprintf("succinct roles of %d bits", bits), func(x *X) { succinct(x, bits) }})
	}
	return out
}

// succinct puts a target where TAP 15 has it, computed here on the text of the hash in binary.
func succinct(x *X, bits int) {
	x.init()
	k := NewSigner(Ed25519)
	x.Signed["targets"]["delegations"] = Object{"keys": Object{k.ID: k.Public}, "succinct_roles": Object{
		"keyids": []string{k.ID}, "threshold": 1, "bit_length": bits, "name_prefix": "bin",
	}}
	sum := sha256.Sum256([]byte("dir/file"))
	binary := ""
	for _, b := range sum {
		binary += fmt.Sprintf("%08b", b)
	}
	number := 0
	for _, c := range binary[:bits] {
		number = number*2 + int(c-'0')
	}
	last := fmt.Sprintf("%x", 1<<bits-1)
	role := fmt.Sprintf("%x", number)
	role = "bin-" + strings.Repeat("0", len(last)-len(role)) + role
	x.Signed[role], x.Signers[role] = NewTargets(), []*Signer{k}
	x.AddTarget(role, "dir/file", []byte("of the bin"))
	x.Publish(role, "targets", "snapshot", "timestamp")
	x.got("dir/file")
	x.visits(role)
	x.kept("of the bin")
}

// flip changes the first digit.
func flip(hex string) string {
	if hex[0] == '0' {
		return "1" + hex[1:]
	}
	return "0" + hex[1:]
}
