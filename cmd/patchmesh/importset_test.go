package main

import (
	"archive/tar"
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"patchmesh/node/api"
)

// taker is a seed that takes one import.
type taker struct {
	api.Service
	request api.ImportRequest
	body    []byte
}

func (s *taker) Import(_ context.Context, r api.ImportRequest, body io.Reader) (*api.Imported, error) {
	b, err := io.ReadAll(body)
	s.request, s.body = r, b
	return &api.Imported{Update: r.ID}, err
}

// R-H4: the same packages make the same set, in whatever order and folder; its size is known before it is read.
func TestRH4ASetIsTheSameForTheSamePackages(t *testing.T) {
	at := func(name, text string) string {
		p := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(p, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return p
	}
	var errs bytes.Buffer
	a := &app{out: io.Discard, errOut: &errs}
	pack := func(paths ...string) *taker {
		s := &taker{}
		if err := a.importSet(t.Context(), s, api.ImportRequest{ID: "twins"}, paths); err != nil {
			t.Fatal(err)
		}
		if s.request.SizeBytes != int64(len(s.body)) || s.request.FileName != "twins.tar" || s.request.Installer != "deb" {
			t.Errorf("%+v for %d bytes", s.request, len(s.body))
		}
		return s
	}
	one, two := pack(at("a.deb", "first"), at("b.deb", "second, of 513 bytes"+string(make([]byte, 493)))), pack(at("b.deb", "second, of 513 bytes"+string(make([]byte, 493))), at("a.deb", "first"))
	if !bytes.Equal(one.body, two.body) {
		t.Error("the order makes another set")
	}
	r := tar.NewReader(bytes.NewReader(one.body))
	for _, want := range []int64{5, 513} {
		if h, err := r.Next(); err != nil || h.Size != want {
			t.Errorf("%+v, %v", h, err)
		}
	}
	if _, err := r.Next(); !errors.Is(err, io.EOF) {
		t.Errorf("then %v", err)
	}
	gone := &taker{}
	if err := a.importSet(t.Context(), gone, api.ImportRequest{ID: "twins"}, []string{filepath.Join(t.TempDir(), "none.deb")}); api.ClassOf(err) != api.ClassNotFound {
		t.Errorf("%v", err)
	}
	for _, args := range [][]string{{"import", "--set", "a.deb"}, {"import", "--set", "--id", "x", "a.deb", "b.rpm"}, {"import", "--set", "--id", "x", "--origin", "https://a.example/x", "a.deb"},
		{"import", "--set", "--id", "x", "--installer", "file", "a.deb"}, {"import", "--set", "--id", "x", "--vendor-sha256", "00", "a.deb"}, {"import", "--set", "--id", "x"}} {
		if code := run(append(args, "--data", t.TempDir()), io.Discard, io.Discard); code != 2 {
			t.Errorf("%v: exit code %d", args, code)
		}
	}
}
