package tuftest

import (
	"bytes"
	"encoding/json"
	"strings"
)

// hostileCases serve documents that no honest tool writes. Where the signer is honest they are
// changed after signing, as a mirror would; where a role itself is hostile they are signed.
func hostileCases() []Case {
	var out []Case
	for name, edit := range map[string]func([]byte) []byte{
		"empty":                func([]byte) []byte { return []byte{} },
		"cut off":              func(b []byte) []byte { return b[:len(b)/2] },
		"no object":            func([]byte) []byte { return []byte(`[1,2]`) },
		"null":                 func([]byte) []byte { return []byte(`null`) },
		"data behind it":       func(b []byte) []byte { return append(b, "{}"...) },
		"not UTF-8":            func(b []byte) []byte { return bytes.Replace(b, []byte(`"_type"`), []byte("\"\xff\":1,\"_type\""), 1) },
		"nested without end":   func([]byte) []byte { return []byte(`{"signed":` + strings.Repeat("[", 1<<12)) },
		"a field twice":        func(b []byte) []byte { return bytes.Replace(b, []byte(`{`), []byte(`{"signatures":[],`), 1) },
		"a signed field twice": func(b []byte) []byte { return bytes.Replace(b, []byte(`"_type"`), []byte(`"version":9,"_type"`), 1) },
		"a field in other case": func(b []byte) []byte {
			return bytes.Replace(b, []byte(`"_type"`), []byte(`"Meta":{"x":null},"_type"`), 1)
		},
		"no signatures":                      func(b []byte) []byte { return bytes.Replace(b, []byte(`"signatures"`), []byte(`"others"`), 1) },
		"signatures of nothing":              func(b []byte) []byte { return tree(b, func(d Object) { d["signatures"] = []any{nil} }) },
		"a signature without a key":          func(b []byte) []byte { return tree(b, func(d Object) { d["signatures"] = []any{Object{"sig": ""}} }) },
		"a thousand signatures":              func(b []byte) []byte { return tree(b, manySignatures) },
		"nothing signed":                     func(b []byte) []byte { return tree(b, func(d Object) { d["signed"] = nil }) },
		"a fraction as version":              func(b []byte) []byte { return tree(b, func(d Object) { d["signed"].(Object)["version"] = 1.5 }) },
		"a fraction in a field of one's own": func(b []byte) []byte { return tree(b, func(d Object) { d["signed"].(Object)["x"] = 0.5 }) },
		"version 0":                          func(b []byte) []byte { return tree(b, func(d Object) { d["signed"].(Object)["version"] = 0 }) },
		"an entry that is null":              func(b []byte) []byte { return tree(b, func(d Object) { nullEntries(d["signed"].(Object)) }) },
		"a date without its zone": func(b []byte) []byte {
			return tree(b, func(d Object) { d["signed"].(Object)["expires"] = "2031-01-01T00:00:00" })
		},
		"another specification": func(b []byte) []byte {
			return tree(b, func(d Object) { d["signed"].(Object)["spec_version"] = "2.0.0" })
		},
		"larger than any may be": func(b []byte) []byte { return append(b, bytes.Repeat([]byte(" "), 9<<20)...) },
		"one value changed": func(b []byte) []byte {
			return tree(b, func(d Object) { d["signed"].(Object)["spec_version"] = "1.0.30" })
		},
		"one unknown field smuggled": func(b []byte) []byte { return tree(b, func(d Object) { d["signed"].(Object)["x"] = 1 }) },
	} {
		for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
			out = append(out, Case{name + "/" + role, func(x *X) {
				x.Publish("root", "targets", "snapshot", "timestamp")
				x.init()
				x.Edit(role, edit(x.Newest(role)))
				x.refused()
				if v := x.trusted(role); v > 1 {
					x.Fatalf("%s %d is trusted", role, v)
				}
			}})
		}
	}
	return append(out, signedHostileCases()...)
}

func tree(b []byte, f func(Object)) []byte {
	var d Object
	must(json.Unmarshal(b, &d))
	f(d)
	out, err := json.Marshal(d)
	must(err)
	return out
}

func manySignatures(d Object) {
	sigs := d["signatures"].([]any)
	for i := range 1000 {
		sigs = append(sigs, Object{"keyid": strings.Repeat("0", i), "sig": ""})
	}
	d["signatures"] = sigs
}

func nullEntries(signed Object) {
	for _, name := range []string{"keys", "roles", "meta", "targets"} {
		if _, ok := signed[name]; ok {
			signed[name] = Object{"x": nil}
		}
	}
	signed["delegations"] = Object{"keys": Object{"x": nil}, "roles": []any{nil}}
}

// signedHostileCases are documents of a role that has turned hostile: the signatures hold.
func signedHostileCases() []Case {
	var out []Case
	for name, change := range map[string]func(*X){
		"a delegation to the name of a top-level role": func(x *X) { x.Delegate("targets", "timestamp", Object{"paths": []string{"*"}}) },
		"a delegation without a name":                  func(x *X) { x.Delegate("targets", "", Object{"paths": []string{"*"}}) },
		"two delegations to one role": func(x *X) {
			x.Delegate("targets", "A", Object{"paths": []string{"*"}})
			x.Delegate("targets", "A", Object{"paths": []string{"*"}})
		},
		"paths and hashes in one delegation": func(x *X) {
			x.Delegate("targets", "A", Object{"paths": []string{"*"}, "path_hash_prefixes": []string{"0"}})
		},
		"succinct roles of 33 bits": func(x *X) {
			x.Signed["targets"]["delegations"] = Object{"keys": Object{}, "succinct_roles": Object{"keyids": []string{}, "threshold": 1, "bit_length": 33, "name_prefix": "b"}}
		},
		"roles and succinct roles": func(x *X) {
			x.Delegate("targets", "A", Object{"paths": []string{"*"}})
			x.Signed["targets"]["delegations"].(Object)["succinct_roles"] = Object{"keyids": []string{}, "threshold": 1, "bit_length": 3, "name_prefix": "b"}
		},
		"a target of negative length": func(x *X) {
			x.AddTarget("targets", "file", []byte("x"))
			x.Signed["targets"]["targets"].(Object)["file"].(Object)["length"] = -1
		},
		"a target without a hash": func(x *X) {
			x.AddTarget("targets", "file", []byte("x"))
			x.Signed["targets"]["targets"].(Object)["file"].(Object)["hashes"] = Object{}
		},
		"delegations that are a list":   func(x *X) { x.Signed["targets"]["delegations"] = []any{} },
		"delegation keys that are null": func(x *X) { x.Signed["targets"]["delegations"] = Object{"keys": Object{"a": nil}, "roles": []any{}} },
	} {
		out = append(out, Case{"signed: " + name, func(x *X) {
			x.init()
			x.ok()
			change(x)
			x.Publish("targets", "snapshot", "timestamp")
			x.refused()
			x.trusts(1, 2, 2, 1)
		}})
	}
	meta := func(entry Object) func(*X) {
		return func(x *X) {
			x.Publish("snapshot", "timestamp")
			x.Signed["timestamp"]["meta"] = entry
			x.Publish("timestamp")
		}
	}
	for name, change := range map[string]func(*X){
		"a timestamp that names no snapshot":         meta(Object{}),
		"a snapshot of version 0":                    meta(Object{"snapshot.json": Object{"version": 0}}),
		"a snapshot of negative length":              meta(Object{"snapshot.json": Object{"version": 2, "length": -5}}),
		"a snapshot larger than any may be":          meta(Object{"snapshot.json": Object{"version": 2, "length": 1 << 40}}),
		"a snapshot of another length":               meta(Object{"snapshot.json": Object{"version": 2, "length": 5}}),
		"a snapshot with a hash that nobody can see": meta(Object{"snapshot.json": Object{"version": 2, "hashes": Object{"whirlpool": "00"}}}),
		"a snapshot that names no targets": func(x *X) {
			x.Signed["snapshot"]["meta"] = Object{}
			x.Publish("snapshot", "timestamp")
		},
		"a root without a role": func(x *X) {
			delete(x.Signed["root"]["roles"].(Object), "snapshot")
			x.Publish("root")
		},
		"a root with a threshold of 0": func(x *X) {
			x.Role("snapshot")["threshold"] = 0
			x.Publish("root")
		},
	} {
		out = append(out, Case{"signed: " + name, func(x *X) {
			x.init()
			x.ok()
			change(x)
			x.refused()
			if v := x.trusted("snapshot"); v != 1 {
				x.Fatalf("snapshot %d is trusted", v)
			}
		}})
	}
	return out
}
