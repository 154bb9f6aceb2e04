package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"

	"patchmesh/content"
	"patchmesh/content/bundle"
	"patchmesh/node/api"
	"patchmesh/node/media"
)

// The categories of hostile sticks, by the threats that they are about.
const (
	t20 = "T20 a stick in hostile hands"
	t21 = "T21 names that lead elsewhere"
	t22 = "T22 links and what lay there before"
	t24 = "T24 much out of little"
)

// category says what a hostile stick is about.
func category(name string) string {
	for _, c := range []struct{ cat, words string }{
		{t22, "link|folder is a|is a folder|is a pipe|is a socket"},
		{t21, "path|named|name it|names"},
		{t24, "TiB|GiB|zeros|nested|million|9999|65536|200000|40 MiB|2^35|unpack|2 MiB|too large|list of numbers|bomb|window|times"},
	} {
		for word := range strings.SplitSeq(c.words, "|") {
			if strings.Contains(name, word) {
				return c.cat
			}
		}
	}
	return t20
}

// leads are names that lead elsewhere on one system or another.
var leads = []string{
	"../../x", "/etc/x", `..\..\x`, `C:\x`, "C:x", `\\host\share\x`, "a/../../x", "....//x", "%2e%2e%2fx", "x\x00y", "x\ny", "CON", "aux.car", "x:stream",
	strings.Repeat("../", 80) + "x", "\u202ex", "vol-0001.car", "index.json",
}

// pathSticks put such names wherever a stick may hold text.
func pathSticks() map[string]func(evil) {
	out := map[string]func(evil){}
	for i, lead := range leads {
		out[fmt.Sprintf("a payload named %q", lead)] = func(e evil) {
			e.index(func(x *bundle.Index) { x.Payloads[0].Update = lead })
			e.write(vol, e.read(vol)[:2000])
		}
		if i%3 == 0 {
			out[fmt.Sprintf("a site named %q", lead)] = func(e evil) {
				e.index(func(x *bundle.Index) { x.Site, x.Org, x.Group = lead, lead, lead })
			}
		}
	}
	out["files named in every way"] = func(e evil) {
		for _, name := range []string{"vol-0001.car.part", "vol-1.car", "vol-00001.car", "return-x.car", "return-.car", "vol--001.car", "docs-0001.car ", ".car", "...", "index.json~", "INDEX.JSON"} {
			e.write(name, []byte("x"))
		}
	}
	out["volume number as a path"] = func(e evil) {
		e.write("index.json", bytes.ReplaceAll(e.read("index.json"), []byte(`"number": 1`), []byte(`"number": 1, "name": "/etc/passwd"`)))
	}
	return out
}

// bombSticks promise little and cost much, unless somebody counts.
func bombSticks() map[string]func(evil) {
	chunk := func(make func(t *testing.T) []byte) func(evil) {
		return func(e evil) {
			b := make(e.t)
			e.rebuild(vol, func(old []rawBlock) []rawBlock {
				for i := range old[2:] {
					old[2+i] = rawOf(b)
				}
				return old
			})
		}
	}
	document := func(b []byte) func(evil) {
		return func(e evil) {
			e.index(func(x *bundle.Index) { x.Head = content.Sum(b) })
			e.rebuild(docs, func(old []rawBlock) []rawBlock { return append([]rawBlock{rawOf(b)}, old...) })
		}
	}
	answers := func(b []byte) func(evil) {
		return func(e evil) {
			e.index(func(x *bundle.Index) { x.Answers = content.Sum(b) })
			e.rebuild(docs, func(old []rawBlock) []rawBlock { return append([]rawBlock{rawOf(b)}, old...) })
		}
	}
	deep := bytes.Repeat([]byte("["), 2<<20)
	wide := []byte(`{"a":[` + strings.Repeat("0,", 1<<20) + `0]}`)
	return map[string]func(evil){
		"a chunk with a window of 2 GiB": chunk(func(*testing.T) []byte { return []byte{0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa8, 0x01, 0x00, 0x00} }),
		"a chunk that says it unpacks to 2^63": chunk(func(*testing.T) []byte {
			return append([]byte{0x28, 0xb5, 0x2f, 0xfd, 0xe0}, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f, 1, 0, 0)
		}),
		"chunks that unpack to chunks that unpack": chunk(func(t *testing.T) []byte {
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			return w.EncodeAll(bomb(), nil)
		}),
		"a thousand frames that unpack one behind the other": chunk(func(t *testing.T) []byte {
			w, err := zstd.NewWriter(nil)
			if err != nil {
				t.Fatal(err)
			}
			return bytes.Repeat(w.EncodeAll(make([]byte, 1<<20), nil), 1000)
		}),
		"a head nested two million times":             document(deep),
		"a head of a million numbers":                 document(wide),
		"a list of renewals nested two million times": answers(deep),
		"a list of renewals of a million numbers":     answers(wide),
		"a list of renewals, too large":               answers(make([]byte, maxAnswersBytes+1)),
		"a list of renewals that is the head":         func(e evil) { e.index(func(x *bundle.Index) { x.Answers = x.Head }) },
		"a list of renewals that is not there":        func(e evil) { e.index(func(x *bundle.Index) { x.Answers = content.Sum([]byte("?")) }) },
		"a list of renewals that nobody signed":       answers([]byte(`{"body":"e30=","sig":"AAAA"}`)),
		"4096 roots, many times the same": func(e evil) {
			e.index(func(x *bundle.Index) {
				for v := range int64(4095) {
					x.Roots = append(x.Roots, bundle.RootRef{Version: v + 2, ID: x.Head})
				}
			})
		},
		"a root with a version of 2^62": func(e evil) {
			e.index(func(x *bundle.Index) { x.Roots = append(x.Roots, bundle.RootRef{Version: 1 << 62, ID: x.Head}) })
		},
		"one document 100000 times": func(e evil) {
			e.rebuild(docs, func(old []rawBlock) []rawBlock {
				many := slices.Repeat([]rawBlock{rawOf([]byte("x"))}, 100_000)
				return append(many, old...)
			})
		},
		"one run 10000 times": func(e evil) {
			e.rebuild(vol, func(old []rawBlock) []rawBlock {
				empty := rawOf(bundle.Run{Payload: content.Sum([]byte("p")), Bits: content.FullBits(1)}.Encode())
				return append(slices.Repeat([]rawBlock{empty, rawOf([]byte("x"))}, 10_000), old...)
			})
		},
		"a header that says it is 2^35 bytes": func(e evil) { e.write(vol, binary.AppendUvarint(nil, 1<<35)) },
		"a header nested a million times": func(e evil) {
			e.write(vol, append(binary.AppendUvarint(nil, 1<<20), bytes.Repeat([]byte{0x81}, 1<<20)...))
		},
	}
}

// moreShapes are things that are no files, and sticks that are not sound otherwise.
func moreShapes() map[string]func(evil) {
	out := map[string]func(evil){
		"5000 files beside": func(e evil) {
			for i := range 5000 {
				e.write(fmt.Sprintf("x%d", i), nil)
			}
		},
		"a folder in a folder in a folder": func(e evil) {
			p := e.path(strings.Repeat("d/", 60))
			if err := os.MkdirAll(p, 0o755); err != nil {
				e.t.Fatal(err)
			}
		},
		"index behind an index": func(e evil) { e.write("index.json", append(e.read("index.json"), e.read("index.json")...)) },
		"volumes swapped with documents": func(e evil) {
			d, v := e.read(docs), e.read(vol)
			e.write(docs, v)
			e.write(vol, d)
		},
		"documents twice, once changed": func(e evil) {
			e.rebuild(docs, func(old []rawBlock) []rawBlock {
				bad := slices.Clone(old)
				for i := range bad {
					bad[i].body = append([]byte(nil), bad[i].body...)
					bad[i].body[0] ^= 1
				}
				return append(old, bad...)
			})
		},
		"epoch of the far future in the index": func(e evil) {
			e.index(func(x *bundle.Index) { x.Epoch, x.HeadNo, x.ExpiresAt = 1<<60, 1<<60, time.Now().AddDate(500, 0, 0) })
			e.write(vol, nil)
		},
		"a volume that counts from minus one": func(e evil) {
			e.write("index.json", bytes.Replace(e.read("index.json"), []byte(`"number": 1`), []byte(`"number": -1`), 1))
		},
	}
	for _, name := range []string{"index.json", docs, vol} {
		out[name+" is a socket"] = func(e evil) {
			e.instead(name, func(p string) error {
				if len(p) > 100 {
					return os.Mkdir(p, 0o700)
				}
				l, err := net.Listen("unix", p)
				if err == nil {
					e.t.Cleanup(func() { _ = l.Close() })
				}
				return err
			})
		}
		out[name+" is a link to itself"] = func(e evil) { e.instead(name, func(p string) error { return os.Symlink(p, p) }) }
		out[name+" is a link to a folder above"] = func(e evil) { e.instead(name, func(p string) error { return os.Symlink("../..", p) }) }
		out[name+" is empty"] = func(e evil) { e.write(name, nil) }
	}
	return out
}

// hostileReturns are files that a seed may find in the place of a return.
func hostileReturns() map[string]func(e evil, name string) {
	root := func(change func(*returnDoc)) func(evil, string) {
		return func(e evil, name string) {
			e.rebuildReturn(name, func(d *returnDoc, rest []rawBlock) []rawBlock { change(d); return rest })
		}
	}
	body := func(b []byte) func(evil, string) {
		return func(e evil, name string) {
			e.rebuildReturn(name, func(d *returnDoc, _ []rawBlock) []rawBlock {
				d.Reports, d.Renewals = []content.ID{content.Sum(b)}, nil
				return []rawBlock{rawOf(b)}
			})
		}
	}
	return map[string]func(evil, string){
		"return of zeros": func(e evil, n string) { e.sparse(n, media.MaxReturnBytes) },
		"return beyond its limit of 512 MiB, too large": func(e evil, n string) { e.sparse(n, media.MaxReturnBytes+1) },
		"empty return":                          func(e evil, n string) { e.write(n, nil) },
		"return is a link to a device":          func(e evil, n string) { e.instead(n, func(p string) error { return os.Symlink("/dev/zero", p) }) },
		"return is a link to the books":         func(e evil, n string) { e.instead(n, func(p string) error { return os.Symlink("/etc/passwd", p) }) },
		"return is a folder":                    func(e evil, n string) { e.instead(n, func(p string) error { return os.Mkdir(p, 0o755) }) },
		"return is a pipe":                      func(e evil, n string) { e.instead(n, mkfifo) },
		"return of another format":              root(func(d *returnDoc) { d.Format = 99 }),
		"return that names a machine as a path": root(func(d *returnDoc) { d.Machine = "../../../x" }),
		"return with a million reports": root(func(d *returnDoc) {
			d.Reports = slices.Repeat([]content.ID{content.Sum([]byte("r"))}, maxReports+1)
		}),
		"return with a million renewals": root(func(d *returnDoc) {
			d.Renewals = slices.Repeat([]content.ID{content.Sum([]byte("r"))}, maxReports+1)
		}),
		"return without its have-list":                  root(func(d *returnDoc) { d.Have = content.Sum([]byte("?")) }),
		"return with a report that nobody signed":       body([]byte(`{"body":"e30=","sig":"AAAA"}`)),
		"return with a report nested two million times": body(bytes.Repeat([]byte("["), 2<<20)),
		"return with a report of 5 MiB, too large":      body(make([]byte, 5<<20)),
		"return with reports for renewals": func(e evil, name string) {
			e.rebuildReturn(name, func(d *returnDoc, rest []rawBlock) []rawBlock {
				d.Renewals, d.Reports = d.Reports, d.Renewals
				return rest
			})
		},
		"return with one renewal 300 times": func(e evil, name string) {
			e.rebuildReturn(name, func(d *returnDoc, rest []rawBlock) []rawBlock {
				id := d.Renewals[0]
				i := slices.IndexFunc(rest, func(b rawBlock) bool { return b.id == id })
				return append(rest, slices.Repeat([]rawBlock{rest[i]}, 300)...)
			})
		},
		"return with renewals of strangers": func(e evil, name string) {
			e.rebuildReturn(name, func(d *returnDoc, rest []rawBlock) []rawBlock {
				for i := range 200 {
					b := fmt.Appendf(nil, `{"v":2,"k":"renew","e":"%064d","c":"AAAA"}`, i)
					d.Renewals, rest = append(d.Renewals, content.Sum(b)), append(rest, rawOf(b))
				}
				return rest
			})
		},
		"400 returns named at random": func(e evil, _ string) {
			for i := range 400 {
				e.write(media.Return(content.Sum(binary.AppendVarint(nil, int64(i)))).String(), []byte("x"))
			}
		},
	}
}

// rebuildReturn writes a return anew.
func (e evil) rebuildReturn(name string, change func(*returnDoc, []rawBlock) []rawBlock) {
	e.t.Helper()
	all := e.blocks(name)
	d := &returnDoc{}
	if err := json.Unmarshal(all[0].body, d); err != nil {
		e.t.Fatal(err)
	}
	rest := change(d, all[1:])
	head, err := json.Marshal(d)
	if err != nil {
		e.t.Fatal(err)
	}
	var out bytes.Buffer
	w, err := bundle.NewWriter(&out, []content.ID{content.Sum(head)})
	for _, b := range append([]rawBlock{rawOf(head)}, rest...) {
		err = errors.Join(err, w.Put(b.id, b.body))
	}
	if err != nil {
		e.t.Fatal(err)
	}
	e.write(name, out.Bytes())
}

// What comes back on a stick is as hostile as what goes out.
func TestHostileReturnsTeachTheSeedNothing(t *testing.T) {
	s := newSite(t)
	s.update("u1", static(1<<20))
	back, err := ExportReturn(context.Background(), s.stopped, s.stick)
	if err != nil || back.Renewals != 1 {
		t.Fatalf("%+v, %v", back, err)
	}
	own := filepath.Base(back.File)
	good := evil{t, s.stick}.read(own)
	if in, err := ImportReturns(context.Background(), s.seed, nil, s.stick); err != nil || len(in.Returns) != 1 { // what it tells is known from here on
		t.Fatalf("%+v, %v", in, err)
	}
	rows := func() string { // what can only come from a report
		t.Helper()
		m := s.seed.row(t, s.id)
		return fmt.Sprint(m.Epoch, m.LastReport, m.LastScan, len(m.Updates), m.Version)
	}
	before := rows()
	for name, f := range hostileReturns() {
		t.Run(name, func(t *testing.T) {
			e := evil{t, t.TempDir()}
			if err := os.Mkdir(filepath.Join(e.dir, media.FolderName), 0o755); err != nil {
				t.Fatal(err)
			}
			e.write(own, good)
			f(e, own)
			var m0, m1 runtime.MemStats
			runtime.ReadMemStats(&m0)
			in, err := ImportReturns(context.Background(), s.seed, nil, e.dir)
			runtime.ReadMemStats(&m1)
			if used := m1.TotalAlloc - m0.TotalAlloc; used > maxStickMemory {
				t.Errorf("%d MiB were allocated", used>>20)
			}
			if err != nil && !strings.Contains(err.Error(), "media-") && api.ClassOf(err) != api.ClassRefused {
				t.Errorf("no reason: %v", err)
			}
			if err == nil {
				for _, r := range in.Returns {
					if r.Newer > 0 {
						t.Errorf("%+v", r)
					}
				}
			}
			if rows() != before {
				t.Error("the books have changed")
			}
		})
	}
}

// linkedSticks lie in wait for an export: what it writes to is there already, and leads elsewhere.
func linkedSticks() []string {
	return []string{"index.json", "index.json.part", docs, docs + ".part", vol, vol + ".part", "vol-0002.car.part", "docs-0002.car.part"}
}

// An export writes into the folder of the medium, whatever lies there.
func TestExportWritesNowhereElse(t *testing.T) {
	s := newSite(t)
	s.update("u1", static(1<<20))
	sticks := 0
	for _, name := range append(linkedSticks(), "") {
		for _, kind := range []string{"file", "folder", "nowhere"} {
			if name == "" && kind == "nowhere" {
				continue
			}
			sticks++
			target := filepath.Join(t.TempDir(), "target")
			if kind == "file" && os.WriteFile(target, []byte("precious"), 0o600) != nil || kind == "folder" && os.Mkdir(target, 0o700) != nil {
				t.Fatal("no target")
			}
			dir := t.TempDir()
			if err := os.Mkdir(filepath.Join(dir, media.FolderName), 0o755); err != nil {
				t.Fatal(err)
			}
			if name == "" {
				evil{t, dir}.instead("../"+media.FolderName, func(p string) error { return os.Symlink(target, p) })
			} else {
				evil{t, dir}.instead(name, func(p string) error { return os.Symlink(target, p) })
			}
			x, err := ExportBundle(context.Background(), s.seed, ExportRequest{Dir: dir, Site: "north", Now: time.Now()})
			if name == "" && err == nil || err != nil && api.ClassOf(err) != api.ClassRefused {
				t.Errorf("%s is a link to a %s: %+v, %v", name, kind, x, err)
			}
			if _, rerr := ExportReturn(context.Background(), s.stopped, dir); name == "" && rerr == nil {
				t.Error("a return went through a link")
			}
			b, _ := os.ReadFile(target)
			entries, _ := os.ReadDir(target)
			if _, lerr := os.Lstat(target); kind == "file" && string(b) != "precious" || len(entries) > 0 || kind == "nowhere" && lerr == nil {
				t.Errorf("%s is a link to a %s, and something was written there", name, kind)
			}
		}
	}
	t.Logf("%d sticks of %s", sticks, t22)
}

// countSticks says how many hostile sticks there are of each kind.
func countSticks(t *testing.T, names []string) {
	t.Helper()
	sum := map[string]int{}
	for _, n := range names {
		sum[category(n)]++
	}
	for n := range hostileReturns() {
		sum[category(n)]++
	}
	sum[t22] += 3*len(linkedSticks()) + 2 // in wait for an export
	all := 0
	for _, c := range slices.Sorted(maps.Keys(sum)) {
		all += sum[c]
		t.Logf("%d sticks: %s", sum[c], c)
		if sum[c] < 20 {
			t.Errorf("only %d sticks of %s", sum[c], c)
		}
	}
	if all < 120 {
		t.Errorf("only %d hostile sticks", all)
	}
	t.Logf("%d hostile sticks", all)
}
