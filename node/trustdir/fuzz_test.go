package trustdir

import (
	"bytes"
	"errors"
	"path/filepath"
	"reflect"
	"testing"

	"patchmesh/policy"
)

// stored is a folder in memory with one saved set.
func stored(f *testing.F) (*Dir, *memDisk, policy.Files) {
	disk := newMemDisk()
	d, err := openOn("trust", disk)
	if err != nil {
		f.Fatal(err)
	}
	files := newOrg(f).trust.Files()
	if err := d.Save(files); err != nil {
		f.Fatal(err)
	}
	return d, disk, files
}

// overwrite puts b into a file as a failing disk or a visitor would.
func overwrite(t *testing.T, d *Dir, b []byte, name ...string) {
	t.Helper()
	path := d.join(name...)
	if err := errors.Join(d.writeSynced(path, b), d.sys.syncDir(filepath.Dir(path))); err != nil {
		t.Fatal(err)
	}
}

// FuzzPointer: the file that names the set in force becomes a path. Whatever stands in it, in both of
// its copies, the set that was saved is read or none.
func FuzzPointer(f *testing.F) {
	d, _, files := stored(f)
	p, err := d.readPointer(pointerNames[0])
	if err != nil {
		f.Fatal(err)
	}
	f.Add(p.encode())
	f.Add([]byte(`{"set":"../../etc","number":1}`))
	f.Add([]byte(`{"set":"v00000001","number":1,"digest":""}`))
	f.Add([]byte(`{"set":"v00000002","number":2,"digest":"x"}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		for _, name := range pointerNames {
			overwrite(t, d, b, name)
		}
		got, err := d.Load()
		if err != nil {
			if !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrEmpty) {
				t.Fatal(err)
			}
			return
		}
		if !reflect.DeepEqual(got, files) {
			t.Fatalf("%q leads to another set", b)
		}
	})
}

// FuzzDocuments: a document of the set that is not what was saved is damage, whichever it is and
// whatever it became.
func FuzzDocuments(f *testing.F) {
	d, _, files := stored(f)
	all := named(&files)
	for i, doc := range all {
		f.Add(byte(i), *doc.body)
		f.Add(byte(i), append(bytes.Clone(*doc.body), ' '))
	}
	f.Fuzz(func(t *testing.T, which byte, b []byte) {
		doc := all[int(which)%len(all)]
		overwrite(t, d, b, setName(1), doc.name)
		got, err := d.Load()
		same := bytes.Equal(b, *doc.body)
		if (err == nil) != same || err != nil && !errors.Is(err, ErrDamaged) {
			t.Fatalf("%s became %q: %v", doc.name, b, err)
		}
		if same && digest(got) != digest(files) {
			t.Fatal("another set was read")
		}
		if len(*doc.body) > 0 {
			overwrite(t, d, *doc.body, setName(1), doc.name)
		} else if err := d.sys.removeAll(d.join(setName(1), doc.name)); err != nil {
			t.Fatal(err)
		}
	})
}
