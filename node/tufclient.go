package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"time"

	"patchmesh/node/api"
	"patchmesh/node/origin"
	"patchmesh/node/tufdir"
	"patchmesh/policy"
)

// TUFRequest is what a plain TUF client is asked for.
type TUFRequest struct {
	MetadataDir string
	MetadataURL string
	AllKeyTypes bool      // RSA and ECDSA keys count too
	At          time.Time // the time to judge expiry by
	// For a download: the targets in order, where they are and where they go.
	Targets   []string
	TargetURL string
	TargetDir string
}

// TUFState says what is trusted after a refresh.
type TUFState struct {
	Root      int64         `json:"root"`
	Timestamp int64         `json:"timestamp"`
	Snapshot  int64         `json:"snapshot"`
	Targets   int64         `json:"targets"`
	Files     []TUFKeptFile `json:"files,omitempty"`
}

// TUFKeptFile is one target on disk.
type TUFKeptFile struct {
	Target    string `json:"target"`
	Path      string `json:"path"`
	SizeBytes int64  `json:"size_bytes"`
	Unchanged bool   `json:"unchanged,omitempty"` // it was there already
}

// TUFInit makes root the trusted root of a metadata folder. Nothing is fetched. A folder that has a
// root already is refused.
func TUFInit(dir string, root []byte, allKeyTypes bool) error {
	if c := policy.NewTUFClient(root, 0, time.Time{}, policy.TUFOptions{AllKeyTypes: allKeyTypes}); c.Err() != nil {
		return tufTrouble(c.Err())
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return api.Errorf(api.ClassFailed, "make metadata folder: %v", err)
	}
	d, err := tufdir.OpenClient(dir)
	if err != nil {
		return tufTrouble(err)
	}
	defer d.Close()
	if err := d.Init(root); errors.Is(err, fs.ErrExist) {
		return api.Errorf(api.ClassRefused, "%s has a trusted root already", dir).
			WithHint("'patchmesh trust refresh' follows the chain of roots; choose an empty folder to begin anew")
	} else if err != nil {
		return tufTrouble(err)
	}
	return nil
}

// TUFRefresh brings the metadata of a folder up to date from a mirror, and fetches the targets that
// are asked for. What was verified before an error stays, as the specification wants.
func TUFRefresh(ctx context.Context, r TUFRequest) (*TUFState, error) {
	d, err := tufdir.OpenClient(r.MetadataDir)
	if errors.Is(err, fs.ErrNotExist) {
		err = tufdir.ErrNoRoot
	}
	if err != nil {
		return nil, tufTrouble(err)
	}
	defer d.Close()
	root, mark, err := d.Begin()
	if err != nil {
		return nil, tufTrouble(err)
	}
	web := origin.New(origin.Config{})
	defer web.Close()
	run := &tufRun{r: r, dir: d, web: web, client: policy.NewTUFClient(root, mark, r.At, policy.TUFOptions{AllKeyTypes: r.AllKeyTypes})}
	if err := run.steps(ctx); err != nil {
		return nil, tufTrouble(err)
	}
	s := &TUFState{Root: run.client.RootVersion()}
	s.Timestamp, s.Snapshot, s.Targets = run.client.Versions()
	for _, name := range r.Targets {
		kept, err := run.download(ctx, name)
		if err != nil {
			return nil, tufTrouble(err)
		}
		s.Files = append(s.Files, kept)
	}
	return s, nil
}

// tufRun drives one policy.TUFClient.
type tufRun struct {
	r      TUFRequest
	dir    *tufdir.Client
	web    *origin.Client
	client *policy.TUFClient
}

func (t *tufRun) steps(ctx context.Context) error {
	for step, more := t.client.Next(); more; step, more = t.client.Next() {
		b, err := t.do(ctx, step)
		if err != nil {
			return err
		}
		t.client.Supply(b)
	}
	return t.client.Err()
}

func (t *tufRun) do(ctx context.Context, s policy.TUFStep) ([]byte, error) {
	switch s.Kind {
	case policy.TUFLoad:
		return t.dir.Load(s.Role)
	case policy.TUFFetch:
		b, err := t.web.Get(ctx, t.r.MetadataURL, s.File, s.MaxBytes)
		if errors.Is(err, origin.ErrNotFound) {
			return nil, nil
		}
		if err == nil && b == nil {
			b = []byte{} // an empty file is there, and wrong
		}
		return b, err
	case policy.TUFSave:
		if s.Role == "root" {
			return nil, t.dir.SaveRoot(s.Body, s.Mark)
		}
		return nil, t.dir.Save(s.Role, s.Body)
	case policy.TUFForget:
		return nil, t.dir.Forget()
	}
	panic(fmt.Sprintf("node: unknown TUF step %d", s.Kind))
}

// download keeps one target, unless the very bytes are there.
func (t *tufRun) download(ctx context.Context, name string) (TUFKeptFile, error) {
	t.client.Find(name)
	if err := t.steps(ctx); err != nil {
		return TUFKeptFile{}, err
	}
	target, err := t.client.Target()
	if err != nil {
		return TUFKeptFile{}, err
	}
	kept := TUFKeptFile{Target: name, SizeBytes: target.SizeBytes}
	if path, ok := cachedTarget(t.r.TargetDir, target); ok {
		kept.Path, kept.Unchanged = path, true
		return kept, nil
	}
	v, err := target.Verifier()
	if err != nil {
		return TUFKeptFile{}, err
	}
	kept.Path, err = tufdir.KeepTarget(t.r.TargetDir, name, func(w io.Writer) error {
		if err := t.web.Download(ctx, t.r.TargetURL, target.File, target.SizeBytes, io.MultiWriter(v, w)); err != nil {
			return err
		}
		return v.Check()
	})
	return kept, err
}

// cachedTarget says whether a target is kept already; what cannot be read or does not match is
// fetched again.
func cachedTarget(dir string, target *policy.TUFTarget) (string, bool) {
	v, err := target.Verifier()
	if err != nil {
		return "", false
	}
	f, err := tufdir.OpenTarget(dir, target.Name)
	if err != nil {
		return "", false
	}
	defer f.Close()
	if _, err := io.Copy(v, f); err != nil {
		return "", false
	}
	return f.Name(), v.Check() == nil
}

// tufTrouble gives what a mirror or a metadata folder may do wrong its class and a way out.
func tufTrouble(err error) error {
	var known *api.Error
	switch {
	case err == nil || errors.As(err, &known):
		return err
	case errors.Is(err, policy.ErrExpired):
		return api.Errorf(api.ClassRefused, "%v", err).
			WithHint("the mirror is out of date, or somebody holds it back; check the clock of this machine too")
	case errors.Is(err, policy.ErrRollback):
		return api.Errorf(api.ClassRefused, "%v", err).WithHint("the mirror shows older metadata than this folder has seen: use another one, and tell who runs it")
	case policy.ReasonOf(err) != "", errors.Is(err, origin.ErrTooLarge), errors.Is(err, origin.ErrTruncated), errors.Is(err, origin.ErrRefused):
		return api.Errorf(api.ClassRefused, "%v", err).WithHint("nothing of it was taken; what was verified before it stays")
	case errors.Is(err, policy.ErrMissing), errors.Is(err, origin.ErrNotFound):
		return api.Errorf(api.ClassNotFound, "%v", err).WithHint("check the URL and the name; a mirror that is just being written is whole again soon")
	case errors.Is(err, tufdir.ErrNoRoot):
		return api.Errorf(api.ClassNotFound, "no trusted root in the metadata folder").WithHint("begin with 'patchmesh trust init ROOT --metadata-dir DIR'")
	case errors.Is(err, tufdir.ErrLocked):
		return api.Errorf(api.ClassFailed, "%v", err).WithHint("wait for it, or choose another folder")
	case errors.Is(err, origin.ErrURL):
		return api.Errorf(api.ClassUsage, "%v", err)
	}
	return tufTroubleOutside(err)
}

// tufTroubleOutside is what disk and network do wrong.
func tufTroubleOutside(err error) error {
	var path *fs.PathError
	if errors.As(err, &path) || errors.Is(err, fs.ErrInvalid) {
		return spaceClass(api.Errorf(api.ClassFailed, "%v", err))
	}
	return api.Errorf(api.ClassUnreachable, "%v", err).WithHint("check the URL and the network, then try again")
}
