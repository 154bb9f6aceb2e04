package main

import (
	"archive/tar"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"patchmesh/node/api"
)

// checkSet says what is wrong with an import of packages as one update.
func checkSet(r api.ImportRequest, paths []string) error {
	if r.ID == "" || len(r.Origins) > 0 || r.Installer != "" && r.Installer != "deb" {
		return api.Errorf(api.ClassUsage, "--set makes one update of .deb files: it needs --id, and goes with neither --origin nor --vendor-sha256")
	}
	for _, p := range paths {
		if !strings.EqualFold(filepath.Ext(p), ".deb") {
			return api.Errorf(api.ClassUsage, "%s is no .deb file: a set is made of those", p)
		}
	}
	return nil
}

// importSet imports packages as one update: a .tar, the same for the same packages, whatever their order and times.
func (a *app) importSet(ctx context.Context, s api.Service, r api.ImportRequest, paths []string) error {
	paths = slices.Clone(paths)
	slices.SortFunc(paths, func(x, y string) int { return strings.Compare(filepath.Base(x), filepath.Base(y)) })
	files := make([]*os.File, 0, len(paths))
	defer func() {
		for _, f := range files {
			f.Close()
		}
	}()
	sizes := make([]int64, len(paths))
	r.SizeBytes = 1024 // the end of a .tar
	for i, p := range paths {
		f, fi, err := openRegular(p)
		if err != nil {
			return err
		}
		files, sizes[i] = append(files, f), fi.Size()
		r.SizeBytes += 512 + (fi.Size()+511)/512*512
	}
	r.FileName, r.Installer = r.ID+".tar", "deb"
	body, w := io.Pipe()
	defer body.Close() // ends the writer, should the import end before it
	go func() { w.CloseWithError(writeSet(w, files, sizes)) }()
	i, err := s.Import(ctx, r, body)
	if err != nil {
		return err
	}
	return a.tellImported([]*api.Imported{i}, func(*api.Imported) string { return r.FileName })
}

func writeSet(w io.Writer, files []*os.File, sizes []int64) error {
	t := tar.NewWriter(w)
	for i, f := range files {
		if err := t.WriteHeader(&tar.Header{Name: fmt.Sprintf("%03d.deb", i), Mode: 0o644, Size: sizes[i], Format: tar.FormatUSTAR}); err != nil {
			return err
		}
		if _, err := io.Copy(t, f); err != nil {
			return fmt.Errorf("read %s: %w", f.Name(), err)
		}
	}
	return t.Close()
}
