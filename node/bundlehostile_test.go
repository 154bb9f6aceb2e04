package node

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
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

// evil is a stick in hostile hands: a good one at first.
type evil struct {
	t   *testing.T
	dir string
}

func (e evil) path(name string) string { return filepath.Join(e.dir, media.FolderName, name) }

func (e evil) write(name string, b []byte) {
	e.t.Helper()
	if err := os.WriteFile(e.path(name), b, 0o644); err != nil {
		e.t.Fatal(err)
	}
}

func (e evil) read(name string) []byte {
	e.t.Helper()
	b, err := os.ReadFile(e.path(name))
	if err != nil {
		e.t.Fatal(err)
	}
	return b
}

// instead puts something else in a file's place.
func (e evil) instead(name string, f func(path string) error) {
	e.t.Helper()
	if err := os.RemoveAll(e.path(name)); err != nil {
		e.t.Fatal(err)
	}
	if err := f(e.path(name)); err != nil {
		e.t.Fatal(err)
	}
}

// sparse makes a file of that size without its bytes.
func (e evil) sparse(name string, size int64) {
	e.t.Helper()
	e.instead(name, func(p string) error {
		return errors.Join(os.WriteFile(p, nil, 0o644), os.Truncate(p, size))
	})
}

func (e evil) index(change func(*bundle.Index)) {
	e.t.Helper()
	x, err := bundle.DecodeIndex(e.read("index.json"))
	if err != nil {
		e.t.Fatal(err)
	}
	change(x)
	b, err := x.Encode()
	if err != nil {
		e.t.Fatal(err)
	}
	e.write("index.json", b)
}

// rawBlock is a block as it stands, whether its name is true or not.
type rawBlock struct {
	id   content.ID
	body []byte
}

func (e evil) blocks(name string) (out []rawBlock) {
	e.t.Helper()
	r, err := bundle.NewReader(bytes.NewReader(e.read(name)))
	if err != nil {
		e.t.Fatal(err)
	}
	for {
		id, size, err := r.Next()
		if errors.Is(err, io.EOF) {
			return out
		}
		if err == nil {
			var b []byte
			b, err = r.Body(make([]byte, size))
			out = append(out, rawBlock{id, b})
		}
		if err != nil {
			e.t.Fatal(err)
		}
	}
}

// rebuild writes the blocks of a file anew, with what the change makes of them.
func (e evil) rebuild(name string, change func([]rawBlock) []rawBlock) {
	e.t.Helper()
	var out bytes.Buffer
	w, err := bundle.NewWriter(&out, nil)
	for _, b := range change(e.blocks(name)) {
		err = errors.Join(err, w.Put(b.id, b.body))
	}
	if err != nil {
		e.t.Fatal(err)
	}
	e.write(name, out.Bytes())
}

func rawOf(b []byte) rawBlock { return rawBlock{content.Sum(b), b} }

const vol, docs = "vol-0001.car", "docs-0001.car"

// shapes are sticks whose files are not what they should be.
func shapes() map[string]func(evil) {
	m := map[string]func(evil){
		"folder is a link": func(e evil) {
			real := e.t.TempDir()
			e.instead("../"+media.FolderName, func(p string) error { return os.Symlink(real, p) })
		},
		"folder is a file": func(e evil) {
			e.instead("../"+media.FolderName, func(p string) error { return os.WriteFile(p, nil, 0o644) })
		},
		"index of 1 TiB":       func(e evil) { e.sparse("index.json", 1<<40) },
		"index just too large": func(e evil) { e.sparse("index.json", bundle.MaxIndexBytes+1) },
		"index of zeros":       func(e evil) { e.sparse("index.json", bundle.MaxIndexBytes) },
		"empty index":          func(e evil) { e.write("index.json", nil) },
		"index nested deeply":  func(e evil) { e.write("index.json", bytes.Repeat([]byte("["), 4<<20)) },
		"index names a path": func(e evil) {
			e.write("index.json", bytes.Replace(e.read("index.json"), []byte(`"number": 1`), []byte(`"number": "../../x"`), 1))
		},
		"index has a field for it": func(e evil) {
			e.write("index.json", append([]byte(`{"path":"/etc/passwd",`), e.read("index.json")[1:]...))
		},
		"index is a list of numbers": func(e evil) { e.write("index.json", []byte("["+strings.Repeat("0,", 1<<20)+"0]")) },
		"volume beyond 4 GiB":        func(e evil) { e.sparse(vol, 1<<32+5) },
		"volume of zeros":            func(e evil) { e.sparse(vol, 1<<32-1) },
		"documents of zeros":         func(e evil) { e.sparse(docs, 1<<32-1) },
		"documents beyond 4 GiB":     func(e evil) { e.sparse(docs, 1<<40) },
		"documents gone":             func(e evil) { e.instead(docs, func(string) error { return nil }) },
		"volume gone":                func(e evil) { e.instead(vol, func(string) error { return nil }) },
		"another format": func(e evil) {
			e.write("index.json", bytes.Replace(e.read("index.json"), []byte(`"format": 1`), []byte(`"format": 9`), 1))
		},
	}
	for _, name := range []string{"index.json", docs, vol} {
		m[name+" is a link to a file"] = func(e evil) {
			target := filepath.Join(e.t.TempDir(), "secret")
			e.instead(name, func(p string) error { return errors.Join(os.Rename(e.copyOf(name), target), os.Symlink(target, p)) })
		}
		m[name+" is a link to a device"] = func(e evil) { e.instead(name, func(p string) error { return os.Symlink("/dev/zero", p) }) }
		m[name+" is a dangling link"] = func(e evil) { e.instead(name, func(p string) error { return os.Symlink("/nowhere/at/all", p) }) }
		m[name+" is a folder"] = func(e evil) { e.instead(name, func(p string) error { return os.Mkdir(p, 0o755) }) }
		m[name+" is a pipe"] = func(e evil) { e.instead(name, mkfifo) }
	}
	return m
}

// copyOf copies a file of the stick aside.
func (e evil) copyOf(name string) string {
	p := filepath.Join(e.t.TempDir(), "copy")
	b, err := os.ReadFile(filepath.Join(e.dir, "good", name))
	if err == nil {
		err = os.WriteFile(p, b, 0o644)
	}
	if err != nil {
		e.t.Fatal(err)
	}
	return p
}

// lies are sticks whose files have the right form and wrong contents.
func lies() map[string]func(evil) {
	packed := bomb()
	huge := content.FullBits(content.MaxChunks)
	put := func(name string, b ...rawBlock) func(evil) {
		return func(e evil) { e.rebuild(name, func(old []rawBlock) []rawBlock { return append(b, old...) }) }
	}
	only := func(b ...rawBlock) func(evil) {
		return func(e evil) { e.rebuild(vol, func([]rawBlock) []rawBlock { return b }) }
	}
	swap := func(f func(body []byte) []byte, rename bool) func(evil) {
		return func(e evil) {
			e.rebuild(vol, func(old []rawBlock) []rawBlock {
				for i := range old[2:] {
					b := &old[2+i]
					if b.body = f(b.body); rename {
						b.id = content.Sum(b.body)
					}
				}
				return old
			})
		}
	}
	header := func(name string, behind ...byte) func(evil) {
		return func(e evil) { e.write(name, append(e.read(name)[:bundle.HeaderBytes(1)], behind...)) }
	}
	return map[string]func(evil){
		"9999 volumes": func(e evil) {
			e.index(func(x *bundle.Index) {
				x.Volumes = nil
				for i := range bundle.MaxFiles {
					x.Volumes = append(x.Volumes, bundle.File{Number: i + 1, SizeBytes: 1 << 30, Blocks: 1 << 30})
				}
			})
		},
		"65536 payloads": func(e evil) {
			e.index(func(x *bundle.Index) {
				p := x.Payloads[0]
				for i := range 1 << 15 {
					x.Payloads = append(x.Payloads, bundle.Payload{ID: content.Sum(binary.AppendVarint(nil, int64(i))), Chunks: content.MaxChunks, StoredBytes: 1 << 40, Update: p.Update})
				}
			})
			e.write(vol, e.read(vol)[:1000])
		},
		"the head is the manifest": func(e evil) { e.index(func(x *bundle.Index) { x.Head = x.Documents[len(x.Documents)-3] }) },
		"the head is not there":    func(e evil) { e.index(func(x *bundle.Index) { x.Head = content.Sum([]byte("?")) }) },
		"a root that is not there": func(e evil) {
			e.index(func(x *bundle.Index) {
				x.Roots = append(x.Roots, bundle.RootRef{Version: 2, ID: content.Sum([]byte("?"))})
			})
		},
		"a newer root that is the head": func(e evil) {
			e.index(func(x *bundle.Index) { x.Roots = append(x.Roots, bundle.RootRef{Version: 2, ID: x.Head}) })
		},
		"the first root again as newer": func(e evil) {
			e.index(func(x *bundle.Index) { x.Roots = append(x.Roots, bundle.RootRef{Version: 2, ID: x.Roots[0].ID}) })
		},
		"a document of 40 MiB promised": func(e evil) {
			e.index(func(x *bundle.Index) { x.Head = content.Sum([]byte("big")) })
			put(docs, rawBlock{content.Sum([]byte("big")), make([]byte, 20<<20)})(e)
		},
		"200000 tiny documents": func(e evil) {
			e.rebuild(docs, func(old []rawBlock) []rawBlock {
				var many []rawBlock
				for i := range 200000 {
					many = append(many, rawOf(binary.AppendVarint(nil, int64(i))))
				}
				return append(many, old...)
			})
		},
		"a document under another's name": func(e evil) {
			e.rebuild(docs, func(old []rawBlock) []rawBlock { old[0].id, old[1].id = old[1].id, old[0].id; return old })
		},
		"a block of 2^35 bytes":            header(vol, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"documents: a block of 2^35 bytes": header(docs, 0xff, 0xff, 0xff, 0xff, 0x7f),
		"a block without a name":           header(vol, 5, 1, 2, 3, 4, 5),
		"a block of another codec":         header(vol, append([]byte{0x29, 1, 0x70, 0x12, 0x20}, make([]byte, 40)...)...),
		"a run of a million chunks":        only(rawOf(bundle.Run{Payload: content.Sum([]byte("p")), Bits: huge}.Encode())),
		"a run that promises too much":     func(e evil) { e.rebuild(vol, func(old []rawBlock) []rawBlock { return old[:len(old)-1] }) },
		"a run of no chunk":                only(rawOf(append(bundle.Run{Payload: content.Sum([]byte("p")), Bits: content.NewBits(8)}.Encode()[:44], 0, 0, 0, 0))),
		"a run with stray bits":            only(rawOf(append(bundle.Run{Payload: content.Sum([]byte("p")), Bits: content.NewBits(4)}.Encode()[:48], 0xff))),
		"a run under a wrong name": func(e evil) {
			e.rebuild(vol, func(old []rawBlock) []rawBlock { old[1].id = content.Sum([]byte("x")); return old })
		},
		"chunks of zeros":                  swap(func(b []byte) []byte { return make([]byte, len(b)) }, true),
		"chunks of zeros, names as before": swap(func(b []byte) []byte { return make([]byte, len(b)) }, false),
		"chunks with one bit turned":       swap(func(b []byte) []byte { b[len(b)/2] ^= 4; return b }, true),
		"chunks a byte short":              swap(func(b []byte) []byte { return b[:len(b)-1] }, true),
		"chunks a byte long":               swap(func(b []byte) []byte { return append(b, 0) }, true),
		"empty chunks":                     swap(func([]byte) []byte { return nil }, true),
		"chunks of 2 MiB":                  swap(func([]byte) []byte { return make([]byte, 2<<20) }, true),
		"chunks that unpack without end":   swap(func([]byte) []byte { return packed }, true),
		"chunks in another order": func(e evil) {
			e.rebuild(vol, func(old []rawBlock) []rawBlock { old[2], old[3] = old[3], old[2]; return old })
		},
		"the same run again and again": func(e evil) {
			e.rebuild(vol, func(old []rawBlock) []rawBlock { return append(append(old, old[:2]...), old[3:]...) })
		},
		"runs beyond the end of a payload": func(e evil) {
			e.rebuild(vol, func(old []rawBlock) []rawBlock {
				r, err := bundle.DecodeRun(old[1].body)
				if err != nil {
					e.t.Fatal(err)
				}
				r.First += 500000
				old[1] = rawOf(r.Encode())
				return old
			})
		},
		"chunks of a payload nobody approved": func(e evil) {
			e.rebuild(vol, func(old []rawBlock) []rawBlock {
				r, _ := bundle.DecodeRun(old[1].body)
				r.Payload = content.Sum([]byte("other"))
				old[1] = rawOf(r.Encode())
				return old
			})
		},
	}
}

// bomb unpacks to 256 MiB and does not say so.
func bomb() []byte {
	var out bytes.Buffer
	w, err := zstd.NewWriter(&out)
	for range 256 {
		_, werr := w.Write(make([]byte, 1<<20))
		err = errors.Join(err, werr)
	}
	if err = errors.Join(err, w.Close()); err != nil {
		panic(err)
	}
	return out.Bytes()
}

// TestHostileSticksAreRefusedAndCostNothing is S-USB, S-PATH and S-BOMB (T20-T22, T24).
func TestHostileSticksAreRefusedAndCostNothing(t *testing.T) {
	s := newSite(t)
	s.update("u1", static(3<<20))
	s.export(ExportRequest{Dir: s.stick, Site: "north"})
	cases := shapes()
	for name, f := range lies() {
		cases[name] = f
	}
	count := len(s.Docs(t))
	for n := range soak(4, count) { // S-BUNDLE: each document left out
		cases[fmt.Sprintf("without document %d", n)] = func(e evil) {
			e.rebuild(docs, func(old []rawBlock) []rawBlock { return append(old[:n], old[n+1:]...) })
		}
	}
	for n := range soak(2, 60) {
		for _, name := range []string{docs, vol} {
			cases[fmt.Sprintf("%s with byte %d/60 changed", name, n)] = func(e evil) {
				b := e.read(name)
				b[len(b)*n/60] ^= 0x41
				e.write(name, b)
			}
		}
	}
	for _, more := range []map[string]func(evil){moreShapes(), pathSticks(), bombSticks()} {
		maps.Copy(cases, more)
	}
	countSticks(t, slices.Collect(maps.Keys(cases)))
	restore := s.saved(t)
	before := s.footprint(t)
	head := s.believer.current().HeadVersion()
	for name, f := range cases {
		t.Run(name, func(t *testing.T) {
			s.hostile(t, f, before)
			if now := s.believer.current().HeadVersion(); now != head && now != s.seed.believer.current().HeadVersion() {
				t.Errorf("head %d is trusted, it was %d", now, head)
			}
			restore(t)
		})
	}
	if i, err := s.take(s.stick); err != nil || !i.Complete {
		t.Fatalf("the good stick after all of them: %+v, %v", i, err)
	}
}

// Docs are the documents of the good stick.
func (s *site) Docs(t *testing.T) []rawBlock { return evil{t, s.stick}.blocks(docs) }

// maxStickMemory is what all allocations of one import may come to: its memory cannot be more at any time.
const maxStickMemory = 128 << 20

func (s *site) hostile(t *testing.T, make func(evil), before map[string]string) {
	e := evil{t, t.TempDir()}
	for _, to := range []string{media.FolderName, "good"} {
		if err := os.CopyFS(filepath.Join(e.dir, to), os.DirFS(filepath.Join(s.stick, media.FolderName))); err != nil {
			t.Fatal(err)
		}
	}
	make(e)
	var m0, m1 runtime.MemStats
	runtime.ReadMemStats(&m0)
	i, err := s.take(e.dir)
	runtime.ReadMemStats(&m1)
	if used := m1.TotalAlloc - m0.TotalAlloc; used > maxStickMemory {
		t.Errorf("%d MiB were allocated", used>>20)
	}
	switch {
	case err != nil && api.ClassOf(err) != api.ClassNotFound && !strings.Contains(err.Error(), "media-"):
		t.Errorf("no reason: %v", err)
	case err == nil && i.Complete:
		// Only where what was changed is of no use to this machine, such as a root that it has.
		if err := s.store.Publish(s.payload("u1")); err != nil || s.believer.current().HeadVersion() != s.seed.believer.current().HeadVersion() {
			t.Errorf("taken for good: %+v, %v", i, err)
		}
	case err == nil && i.Reason == "" && i.Approvals != "older":
		t.Errorf("no reason: %+v", i)
	}
	if err == nil {
		t.Logf("%s: %s", i.Reason, i.Detail)
	} else {
		t.Log(err)
	}
	s.checkStore(s.payload("u1"))
	for name, was := range s.footprint(t) {
		if before[name] != was {
			t.Errorf("%s is %q now, was %q", name, was, before[name])
		}
	}
}

// footprint is every file of the data folder but the database and the payloads, with those above it.
func (s *site) footprint(t *testing.T) map[string]string {
	t.Helper()
	out := map[string]string{}
	err := filepath.WalkDir(s.mesh.dir, func(path string, d fs.DirEntry, err error) error {
		rel, _ := filepath.Rel(s.mesh.dir, path)
		if err != nil || strings.HasPrefix(rel, "seed") || strings.Contains(rel, "state.db") || strings.Contains(rel, "payloads/") || strings.Contains(rel, "trust") || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		out[rel] = content.Sum(b).String()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// saved keeps the machine's folder as it is, and gives the way back to it.
func (s *site) saved(t *testing.T) (restore func(*testing.T)) {
	t.Helper()
	dir, copied := s.folder.dir, t.TempDir()
	reopen := func(t *testing.T) {
		f, err := openFolder(dir, time.Now)
		if err != nil {
			t.Fatal(err)
		}
		*s.folder = *f
	}
	s.folder.close()
	if err := os.CopyFS(copied, os.DirFS(dir)); err != nil {
		t.Fatal(err)
	}
	reopen(t)
	return func(t *testing.T) {
		s.folder.close()
		if err := errors.Join(os.RemoveAll(dir), os.CopyFS(dir, os.DirFS(copied)), private(dir)); err != nil {
			t.Fatal(err)
		}
		reopen(t)
	}
}

// private undoes what copying did to the rights of folders and files.
func private(dir string) error {
	return filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		mode := fs.FileMode(0o600)
		if err == nil && d.IsDir() {
			mode = 0o700
		}
		return errors.Join(err, os.Chmod(path, mode))
	})
}

func TestAStickOfAnotherOrganisationOrOfThePastIsNotBelieved(t *testing.T) {
	s := newSite(t)
	s.update("u1", static(1<<20))
	s.export(ExportRequest{Dir: s.stick, Site: "north"})
	old := t.TempDir()
	if err := os.CopyFS(old, os.DirFS(s.stick)); err != nil {
		t.Fatal(err)
	}
	s.update("u2", static(1<<20))
	s.export(ExportRequest{Dir: s.stick, Site: "north"})
	if i, err := s.take(s.stick); err != nil || !i.Complete || i.Epoch < 2 {
		t.Fatalf("%+v, %v", i, err)
	}
	head := s.believer.current().HeadVersion()
	i, err := s.take(old)
	if err != nil || i.Approvals != "older" || i.Complete || s.believer.current().HeadVersion() != head {
		t.Errorf("an older stick: %+v, %v", i, err)
	}
	// What it holds of what is approved is of use all the same.
	if err := s.store.Drop(s.payload("u1")); err != nil {
		t.Fatal(err)
	}
	if i, err := s.take(old); err != nil || i.Chunks == 0 {
		t.Errorf("an older stick with wanted chunks: %+v, %v", i, err)
	}
	other := newMesh(t)
	other.token(1) // makes the group
	other.file("u9", static(1<<20))
	other.approve("u9")
	foreign := t.TempDir()
	if _, err := ExportBundle(context.Background(), other.seed, ExportRequest{Dir: foreign, Now: time.Now()}); err != nil {
		t.Fatal(err)
	}
	if i, err := s.take(foreign); api.ClassOf(err) != api.ClassRefused {
		t.Errorf("a stick of another organisation of the same name: %+v, %v", i, err)
	}
	// A stick that travelled for too long: its head has expired.
	s.now = func() time.Time { return time.Now().Add(30 * 24 * time.Hour) }
	s.update("u3", static(1<<20))
	s.export(ExportRequest{Dir: s.stick, Site: "north"})
	i, err = ImportBundle(context.Background(), s.stopped, s.stick, time.Now().Add(30*24*time.Hour))
	if err != nil || i.Approvals != "expired" || i.Complete || s.believer.current().HeadVersion() != head {
		t.Errorf("an expired stick: %+v, %v", i, err)
	}
}
