package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/secure-systems-lab/go-securesystemslib/cjson"
	"github.com/theupdateframework/go-tuf/v2/metadata"
	"github.com/theupdateframework/go-tuf/v2/metadata/trustedmetadata"

	"patchmesh/policy/tuftest"
)

// FuzzTUFTree: what is read has one canonical form, which is read as the same again, and is the one
// that another library writes.
func FuzzTUFTree(f *testing.F) {
	for _, s := range []string{`{"a":[1,-2,true,null,"x\u0000\"\\é"]}`, `[]`, `"\ud800"`, `{"":{"":{}}}`, `1e9`, `-0`, "{\"a\":1,\"a\":2}"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		tree, err := parseTree(b)
		if err != nil {
			if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
				t.Fatalf("%v", err)
			}
			return
		}
		form, err := canonical(tree)
		if err != nil {
			return
		}
		marshalled, err := json.Marshal(tree)
		if err != nil {
			t.Fatal(err)
		}
		again, err := parseTree(marshalled)
		if err != nil || !reflect.DeepEqual(tree, again) {
			t.Fatalf("%q is read as %v, then as %v, %v", b, tree, again, err)
		}
		if _, isObject := tree.(map[string]any); !isObject || bytes.Contains(form, []byte("000000000000")) {
			return // the other library reads numbers as machine words
		}
		if other, err := cjson.EncodeCanonical(tree); err == nil && !bytes.Equal(form, other) && !longNumber(form) {
			t.Fatalf("%q, another library writes %q", form, other)
		}
	})
}

// longNumber: the other library turns numbers of many digits into others.
func longNumber(b []byte) bool {
	run := 0
	for _, c := range b {
		if run++; c < '0' || c > '9' {
			run = 0
		}
		if run > 15 {
			return true
		}
	}
	return false
}

// FuzzTUFDocument: no document of any role panics, and one whose signatures hold is the one that was
// signed, whatever was done to it on the way.
func FuzzTUFDocument(f *testing.F) {
	r := tuftest.NewRepo()
	r.HashMeta = true
	r.AddTarget("targets", "a/b", []byte("x"), "sha256", "sha512")
	r.Delegate("targets", "A", tuftest.Object{"paths": []string{"a/*"}})
	r.Publish("A", "targets", "snapshot", "timestamp")
	roles := []string{"root", "timestamp", "snapshot", "targets"}
	root, err := decodeTUFRoot("root", r.Newest("root"))
	if err != nil {
		f.Fatal(err)
	}
	for i, role := range roles {
		f.Add(byte(i), r.Newest(role))
	}
	type decoded struct {
		payload []byte
		sigs    map[string][]byte
		signed  any
	}
	decode := []func([]byte) (decoded, error){
		func(b []byte) (d decoded, err error) {
			x, err := decodeTUFRoot("root", b)
			if err == nil {
				d = decoded{x.payload, x.sigs, x.signed}
			}
			return d, err
		},
		func(b []byte) (d decoded, err error) {
			x, err := decodeTUFTimestamp(b)
			if err == nil {
				d = decoded{x.payload, x.sigs, x.signed}
			}
			return d, err
		},
		func(b []byte) (d decoded, err error) {
			x, err := decodeTUFSnapshot(b)
			if err == nil {
				d = decoded{x.payload, x.sigs, x.signed}
			}
			return d, err
		},
		func(b []byte) (d decoded, err error) {
			x, err := decodeTUFTargets("targets", b)
			if err == nil {
				d = decoded{x.payload, x.sigs, x.signed}
			}
			return d, err
		},
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		i := int(which) % len(roles)
		d, err := decode[i](b)
		if err != nil {
			return
		}
		if rootKeys(root, roles[i]).check(roles[i], d.payload, d.sigs, true) != nil {
			return
		}
		want, err := decode[i](r.Newest(roles[i]))
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(d.payload, want.payload) || !reflect.DeepEqual(d.signed, want.signed) {
			t.Fatalf("a %s that nobody signed is taken: %s", roles[i], b)
		}
	})
}

// FuzzTUFAgainstGoTUF: whatever our client takes of a mirror, go-tuf's state machine takes too. It
// may take more (it does not mind a name twice), never less.
func FuzzTUFAgainstGoTUF(f *testing.F) {
	r := tuftest.NewRepo()
	r.HashMeta = true
	r.Publish("root", "targets", "snapshot", "timestamp")
	for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
		f.Add(role, r.Newest(role))
		f.Add(role, []byte(strings.ReplaceAll(string(r.Newest(role)), "\":", "\" :")))
	}
	f.Add("", []byte{})
	roles := []string{"root", "timestamp", "snapshot", "targets"}
	good := map[string][]byte{}
	for _, name := range roles {
		good[name] = r.Newest(name)
	}
	whole := mirrored(NewTUFClient(r.Version("root", 1), 0, tuftest.Start, TUFOptions{}), good)
	if whole.Err() != nil {
		f.Fatal(whole.Err())
	}
	f.Fuzz(func(t *testing.T, role string, b []byte) {
		if b == nil {
			return
		}
		if good[role] == nil {
			role = roles[len(role)%len(roles)]
		}
		docs := maps.Clone(good)
		docs[role] = b
		c := whole.at(role)
		if role == "root" {
			c = NewTUFClient(r.Version("root", 1), 0, tuftest.Start, TUFOptions{})
		}
		if mirrored(c, docs).Err() != nil {
			return // they may take more
		}
		if theirs := goTUF(r.Version("root", 1), docs, tuftest.Start); theirs != nil {
			t.Fatalf("we take a %s that go-tuf refuses: %v\n%s", role, theirs, b)
		}
	})
}

// mirrored drives a client on documents of a mirror, each in its version 2.
func mirrored(c *TUFClient, docs map[string][]byte) *TUFClient {
	for s, more := c.Next(); more; s, more = c.Next() {
		switch {
		case s.Kind != TUFFetch:
			c.Supply(nil)
		case s.File == "2.root.json":
			c.Supply(docs["root"])
		case s.File == "timestamp.json", s.File == "2.snapshot.json", s.File == "2.targets.json":
			c.Supply(docs[strings.TrimPrefix(strings.TrimSuffix(s.File, ".json"), "2.")])
		default:
			c.Supply(nil)
		}
	}
	return c
}

// goTUF walks the same documents through go-tuf.
func goTUF(root []byte, docs map[string][]byte, now time.Time) error {
	tm, err := trustedmetadata.New(root)
	if err != nil {
		return err
	}
	tm.RefTime = now
	if _, err := tm.UpdateRoot(docs["root"]); err != nil {
		return err
	}
	if _, err := tm.UpdateTimestamp(docs["timestamp"]); err != nil {
		return err
	}
	if _, err := tm.UpdateSnapshot(docs["snapshot"], false); err != nil {
		return err
	}
	_, err = tm.UpdateTargets(docs["targets"])
	return err
}

// FuzzTUFClient lets a mirror say anything at any time: the client ends, asks for no more than it may
// and saves nothing that does not verify.
func FuzzTUFClient(f *testing.F) {
	r := tuftest.NewRepo()
	r.Delegate("targets", "A", tuftest.Object{"paths": []string{"*"}})
	r.Publish("A", "targets", "snapshot", "timestamp")
	f.Add(bytes.Join([][]byte{nil, r.Newest("timestamp"), r.Newest("snapshot"), r.Newest("targets"), r.Newest("A")}, []byte{0}), "file", false)
	f.Add([]byte("{}\x00{}"), "", true)
	trusted := NewTUFClient(r.Version("root", 1), 0, tuftest.Start, TUFOptions{AllKeyTypes: true}).root
	f.Fuzz(func(t *testing.T, script []byte, target string, marked bool) {
		answers := bytes.Split(script, []byte{0})
		next := func() []byte {
			if len(answers) == 0 {
				return nil
			}
			b := answers[0]
			answers = answers[1:]
			if len(b) == 0 {
				return nil
			}
			return b
		}
		c := &TUFClient{now: tuftest.Start, all: true, root: trusted, targets: map[string][]byte{}}
		if marked {
			c.mark = 1
		}
		c.nextRoot()
		steps := 0
		run := func() {
			for s, more := c.Next(); more; s, more = c.Next() {
				if steps++; steps > 10000 {
					t.Fatal("it does not end")
				}
				switch s.Kind {
				case TUFFetch:
					if strings.ContainsAny(s.File, "/?#\\ ") || s.MaxBytes <= 0 || s.MaxBytes > MaxTargetsBytes {
						t.Fatalf("asks for %q, %d bytes", s.File, s.MaxBytes)
					}
					c.Supply(next())
				case TUFSave:
					if !bytes.Contains(script, s.Body) {
						t.Fatal("saves what nobody sent")
					}
					c.Supply(nil)
				default:
					c.Supply(nil)
				}
			}
		}
		run()
		c.Find(target)
		run()
		if got, err := c.Target(); err == nil && got.Name != target {
			t.Fatalf("%q was asked for, %q found", target, got.Name)
		}
	})
}

// FuzzTUFPath: a pattern never matches across a slash, and a name without wildcards matches itself.
func FuzzTUFPath(f *testing.F) {
	f.Add("a/*", "a/b")
	f.Add("[^a]", "/")
	f.Fuzz(func(t *testing.T, pattern, name string) {
		if matchTUFPath(pattern, name) && strings.Count(pattern, "/") != strings.Count(name, "/") {
			t.Fatalf("%q matches %q", pattern, name)
		}
		if !strings.ContainsAny(name, `*?[\`) && !matchTUFPath(name, name) {
			t.Fatalf("%q does not match itself", name)
		}
		if e := EscapeTUFName(name); strings.ContainsAny(e, "/?#\\ \n") {
			t.Fatalf("%q is escaped as %q", name, e)
		}
		bins := &metadata.SuccinctRoles{BitLength: 1 + len(pattern)%32, NamePrefix: "b"}
		if got := binOf(bins, name); !bins.IsDelegatedRole(got) || got != bins.GetRolesForTarget(name)[0].Name {
			t.Fatalf("bin %s of %q", got, name)
		}
	})
}
