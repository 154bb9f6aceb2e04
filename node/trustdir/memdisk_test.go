package trustdir

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// memDisk is a file system that keeps its promises and no more: what was not synced may be there, be
// there in part, or not be there after a power cut, in any order. It counts its mutating steps; at
// one of them the power can fail or an error can be injected.
type memDisk struct {
	root *memNode

	step   int   // mutating steps so far
	cutAt  int   // the power fails just before this step; 0: never
	failAt int   // this step fails with err and does nothing; 0: none
	until  int   // and all up to this one; 0: that one alone
	err    error // what failing steps say
	cut    bool
}

// memNode is a file or a folder, as programs see it and as it would be after a power cut.
type memNode struct {
	dir      bool
	children map[string]*memNode // as seen
	durable  map[string]*memNode
	pending  []memChange // changes of names that no sync has made durable, in order

	data, synced []byte
	dirty        bool // written since the last sync
}

type memChange struct {
	gone, name string // a name that disappears, a name that appears; "" for none
	node       *memNode
}

var errPower = errors.New("the power is gone")

func newMemDisk() *memDisk { return &memDisk{root: newMemDir()} }

func newMemDir() *memNode {
	return &memNode{dir: true, children: map[string]*memNode{}, durable: map[string]*memNode{}}
}

// mutate counts a step.
func (m *memDisk) mutate() error {
	if m.cut {
		return errPower
	}
	m.step++
	if m.cutAt > 0 && m.step >= m.cutAt {
		m.cut = true
		return errPower
	}
	if m.failAt > 0 && m.step >= m.failAt && m.step <= max(m.until, m.failAt) {
		return m.err
	}
	return nil
}

func split(p string) []string {
	return strings.FieldsFunc(filepath.ToSlash(p), func(r rune) bool { return r == '/' })
}

func (m *memDisk) find(p string) *memNode {
	n := m.root
	for _, name := range split(p) {
		if n = n.children[name]; n == nil {
			return nil
		}
	}
	return n
}

func (m *memDisk) parent(p string) (*memNode, string, error) {
	dir, name := path.Split(filepath.ToSlash(p))
	n := m.find(dir)
	if n == nil || !n.dir {
		return nil, "", &fs.PathError{Op: "find", Path: p, Err: fs.ErrNotExist}
	}
	return n, name, nil
}

func (n *memNode) apply(c memChange) {
	if c.gone != "" {
		delete(n.children, c.gone)
	}
	if c.name != "" {
		n.children[c.name] = c.node
	}
	n.pending = append(n.pending, c)
}

func (m *memDisk) mkdirAll(p string) error {
	at := ""
	for _, name := range split(p) {
		at += "/" + name
		if m.find(at) != nil {
			continue
		}
		if err := m.mkdir(at); err != nil {
			return err
		}
	}
	return nil
}

func (m *memDisk) mkdir(p string) error {
	dir, name, err := m.parent(p)
	if err != nil {
		return err
	}
	if err := m.mutate(); err != nil {
		return err
	}
	if dir.children[name] != nil {
		return fs.ErrExist
	}
	dir.apply(memChange{name: name, node: newMemDir()})
	return nil
}

func (m *memDisk) names(p string) ([]string, error) {
	if m.cut {
		return nil, errPower
	}
	n := m.find(p)
	if n == nil {
		return nil, nil
	}
	return slices.Sorted(maps.Keys(n.children)), nil
}

func (m *memDisk) open(p string) (io.ReadCloser, error) {
	if m.cut {
		return nil, errPower
	}
	n := m.find(p)
	if n == nil || n.dir {
		return nil, &fs.PathError{Op: "open", Path: p, Err: fs.ErrNotExist}
	}
	return io.NopCloser(bytes.NewReader(bytes.Clone(n.data))), nil
}

func (m *memDisk) create(p string) (file, error) {
	dir, name, err := m.parent(p)
	if err != nil {
		return nil, err
	}
	if err := m.mutate(); err != nil {
		return nil, err
	}
	n := &memNode{}
	dir.apply(memChange{gone: name, name: name, node: n})
	return &memFile{m, n}, nil
}

func (m *memDisk) rename(from, to string) error {
	dir, old, err := m.parent(from)
	if err != nil {
		return err
	}
	if err := m.mutate(); err != nil {
		return err
	}
	n := dir.children[old]
	if n == nil {
		return fs.ErrNotExist
	}
	dir.apply(memChange{gone: old, name: path.Base(filepath.ToSlash(to)), node: n})
	return nil
}

func (m *memDisk) removeAll(p string) error {
	dir, name, err := m.parent(p)
	if err != nil || dir.children[name] == nil {
		return nil
	}
	if err := m.mutate(); err != nil {
		return err
	}
	dir.apply(memChange{gone: name})
	return nil
}

func (m *memDisk) syncDir(p string) error {
	if err := m.mutate(); err != nil {
		return err
	}
	if n := m.find(p); n != nil {
		n.durable, n.pending = maps.Clone(n.children), nil
	}
	return nil
}

// memFile is an open file.
type memFile struct {
	disk *memDisk
	node *memNode
}

func (f *memFile) Write(b []byte) (int, error) {
	f.node.dirty = true
	if err := f.disk.mutate(); err != nil {
		if err != errPower { // a full disk takes what there is room for
			f.node.data = append(f.node.data, b[:len(b)/2]...)
		}
		return 0, err
	}
	f.node.data = append(f.node.data, b...)
	return len(b), nil
}

// Sync after a failed write back is the trap: the pages count as clean, and the next sync succeeds
// without having written them.
func (f *memFile) Sync() error {
	if err := f.disk.mutate(); err != nil {
		f.node.dirty = false
		return err
	}
	if f.node.dirty {
		f.node.synced, f.node.dirty = bytes.Clone(f.node.data), false
	}
	return nil
}

func (f *memFile) Close() error { return f.disk.mutate() }

// powerCut makes what may have survived the only truth. luck nil: nothing that was not synced has;
// else each change of a name and each unsynced file has by chance, torn or whole.
func (m *memDisk) powerCut(luck *rand.Rand) {
	m.root.survive(luck)
	m.cut, m.cutAt, m.failAt, m.step = false, 0, 0, 0
}

func (n *memNode) survive(luck *rand.Rand) {
	if !n.dir {
		if luck != nil && !bytes.Equal(n.data, n.synced) {
			switch luck.IntN(4) {
			case 0:
				n.synced = bytes.Clone(n.data)
			case 1:
				n.synced = bytes.Clone(n.data[:luck.IntN(len(n.data)+1)])
			case 2:
				n.synced = make([]byte, len(n.data)) // the length made it, the bytes did not
			}
		}
		n.data, n.dirty = bytes.Clone(n.synced), false
		return
	}
	for _, c := range n.pending {
		if luck == nil || luck.IntN(2) == 0 {
			continue
		}
		if c.gone != "" {
			delete(n.durable, c.gone)
		}
		if c.name != "" {
			n.durable[c.name] = c.node
		}
	}
	n.children, n.pending = maps.Clone(n.durable), nil
	for _, name := range slices.Sorted(maps.Keys(n.children)) {
		n.children[name].survive(luck)
	}
}

// image is a copy of the whole disk; restore puts one back.
func (m *memDisk) image() *memNode { return m.root.clone() }

func (m *memDisk) restore(image *memNode) { m.root = image.clone() }

func (n *memNode) clone() *memNode {
	if !n.dir {
		return &memNode{data: bytes.Clone(n.data), synced: bytes.Clone(n.data)}
	}
	c := newMemDir()
	for name, child := range n.children {
		c.children[name] = child.clone()
	}
	c.durable = maps.Clone(c.children)
	return c
}

// edit changes a file behind the store's back; nil removes it.
func (m *memDisk) edit(p string, change func([]byte) []byte) {
	dir, name, err := m.parent(p)
	n := m.find(p)
	if err != nil || n == nil {
		panic(fmt.Sprintf("no %s to edit", p))
	}
	if b := change(bytes.Clone(n.data)); b != nil {
		n.data, n.synced = b, bytes.Clone(b)
		return
	}
	delete(dir.children, name)
	dir.durable = maps.Clone(dir.children)
}
