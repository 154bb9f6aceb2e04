package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"time"

	"patchmesh/content/bundle"
	"patchmesh/node/api"
	"patchmesh/node/media"
	"patchmesh/policy"
)

// HandledMedium says what was done with a medium without anybody's word.
type HandledMedium struct {
	Dir      string          `json:"dir"`
	Site     string          `json:"site,omitempty"` // on a seed: whom it was packed for anew
	Imported *ImportedBundle `json:"imported,omitempty"`
	Returned *ReturnedBundle `json:"returned,omitempty"`
	Exported *Exported       `json:"exported,omitempty"`
	// AsOf is when the seed packed it; zero on a seed.
	AsOf time.Time `json:"as_of,omitzero"`
}

// HandleMedium does both directions with a medium that was put in: at a site it feeds the machine and writes
// the way back; on a seed it takes what came back and packs anew for the site that the medium was last packed
// for. Nothing on it is run, and nothing is believed that is not signed. ClassRefused unless policy allows it,
// or where the medium says it holds more than mostBytes.
func HandleMedium(ctx context.Context, c api.Carrier, s api.Service, dir string, mostBytes int64, now func() time.Time) (*HandledMedium, error) {
	x, err := indexOf(dir)
	if err != nil {
		return nil, err
	}
	seed, err := IsSeedCarrier(ctx, c)
	if err != nil {
		return nil, err
	}
	if size := sizeOf(x); size > mostBytes {
		return nil, api.Errorf(api.ClassRefused, "the medium in %s holds %s, more than %s", api.Clean(dir), api.Size(size), api.Size(mostBytes)).
			WithHint("import it by hand with 'patchmesh bundle import %s'", api.Clean(dir))
	}
	out := &HandledMedium{Dir: dir}
	if seed {
		return out, handleAtSeed(ctx, c, s, x, out, now)
	}
	if err := mayHandle(ctx, s); err != nil {
		return nil, err
	}
	if out.Imported, err = ImportBundle(ctx, c, dir, now()); err != nil {
		return out, err
	}
	out.AsOf = x.MadeAt.UTC()
	out.Returned, err = ExportReturn(ctx, c, dir)
	return out, err
}

// mayHandle asks for the machine's setting.
func mayHandle(ctx context.Context, s api.Service) error {
	p, err := s.Policy(ctx, api.PolicyQuery{})
	if err != nil {
		return err
	}
	i := slices.IndexFunc(p.Settings, func(e policy.Effective) bool { return e.Name == policy.SetMediaImport })
	if i >= 0 && p.Settings[i].Value == "yes" {
		return nil
	}
	return api.Errorf(api.ClassRefused, "policy does not let this machine be fed by itself").
		WithHint("on the seed: 'patchmesh policy set %s=yes --group G'; or import by hand with 'patchmesh bundle import DIR'", policy.SetMediaImport)
}

func handleAtSeed(ctx context.Context, c api.Carrier, s api.Service, x *bundle.Index, out *HandledMedium, now func() time.Time) (err error) {
	out.Imported, err = ImportReturns(ctx, c, s, out.Dir)
	if err != nil && api.ClassOf(err) != api.ClassNotFound { // nothing came back yet
		return err
	}
	if x.Site == "" {
		return nil // for everybody: who packed it that way does so again
	}
	r := ExportRequest{Dir: out.Dir, Site: x.Site, Now: now()}
	if r.Have, err = c.LastHave(ctx, api.CargoQuery{Site: x.Site}); err != nil && api.ClassOf(err) != api.ClassNotFound {
		return err
	}
	if out.Exported, err = ExportBundle(ctx, c, r); err == nil {
		out.Site = x.Site
	}
	return err
}

func indexOf(dir string) (*bundle.Index, error) {
	f, err := media.Open(dir, false)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noBundle(dir)
	}
	if err != nil {
		return nil, mediaTrouble(err)
	}
	defer f.Close()
	x, err := f.Index()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noBundle(dir)
	}
	return x, mediaTrouble(err)
}

func sizeOf(x *bundle.Index) (sum int64) {
	for _, f := range append([]bundle.File{x.DocFile}, x.Volumes...) {
		sum += f.SizeBytes
	}
	return sum
}

// MediaSeen remembers what was done, so that a medium is handled once each time that it was changed
// elsewhere. The zero value has seen nothing.
type MediaSeen struct{ last map[string]string }

// Look lists the folders among patterns (as filepath.Match has them) that hold a medium which was not
// handled as it is now, in order.
func (m *MediaSeen) Look(patterns []string) (dirs []string) {
	there := map[string]bool{}
	for _, p := range patterns {
		found, _ := filepath.Glob(p)
		for _, dir := range found {
			mark := mediumMark(dir)
			if mark == "" || there[dir] {
				continue
			}
			there[dir] = true
			if m.last[dir] != mark {
				dirs = append(dirs, dir)
			}
		}
	}
	for dir := range m.last { // pulled out: put in again it is looked at again
		if !there[dir] {
			delete(m.last, dir)
		}
	}
	slices.Sort(dirs)
	return dirs
}

// Done notes that a medium was handled, or refused, as it is now.
func (m *MediaSeen) Done(dir string) {
	if m.last == nil {
		m.last = map[string]string{}
	}
	m.last[dir] = mediumMark(dir)
}

// mediumMark changes when what lies on a medium does; empty where there is none. It opens nothing.
func mediumMark(dir string) string {
	root := filepath.Join(dir, media.FolderName)
	top, err := os.Lstat(root)
	if err != nil || !top.IsDir() {
		return ""
	}
	x, err := os.Lstat(filepath.Join(root, "index.json"))
	if err != nil || !x.Mode().IsRegular() {
		return ""
	}
	return fmt.Sprint(x.Size(), x.ModTime().UnixNano(), top.ModTime().UnixNano())
}
