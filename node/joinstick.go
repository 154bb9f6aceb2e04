package node

import (
	"errors"
	"io/fs"
	"path/filepath"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/enrol"
)

// joinVia writes the request to a folder, or takes the answer that somebody has brought.
func (f *folder) joinVia(r JoinRequest, tok enrol.Token, p *enrol.Pending) (*Joined, error) {
	stick, err := openStick(r.Via, true)
	if err != nil {
		return nil, err
	}
	defer stick.Close()
	id, request := enrol.RequestID(p.Token, f.id), content.Sum(p.Request)
	b, err := stick.Answer(request)
	if errors.Is(err, fs.ErrNotExist) {
		return f.writeRequest(r, stick, p, id)
	}
	if err != nil {
		return nil, stickTrouble(err)
	}
	a, err := p.Open(b)
	switch {
	case err != nil:
		return nil, api.Errorf(api.ClassRefused, "the answer in %s was not made by the seed of this token, or was changed on the way: %v", r.Via, err).
			WithHint("on the seed: 'patchmesh enrol answer DIR' once more")
	case a.Status == enrol.StatusWaiting:
		return f.writeRequest(r, stick, p, id)
	}
	j, err := f.joined(a, tok, r, id)
	if err == nil || a.Status == enrol.StatusRefused && a.Code != enrol.CodeBusy {
		_ = stick.Drop(request) // of no use any more; a stick that is read-only may keep it
	}
	return j, err
}

func (f *folder) writeRequest(r JoinRequest, stick *enrol.Stick, p *enrol.Pending, id string) (*Joined, error) {
	if _, err := stick.PutRequest(p.Request); err != nil {
		return nil, stickTrouble(err)
	}
	return &Joined{ID: f.id, Name: r.Name, Groups: []string{}, Request: id, Written: filepath.Join(r.Via, enrol.StickFolder)}, nil
}

func openStick(dir string, make bool) (*enrol.Stick, error) {
	s, err := enrol.OpenStick(dir, make)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, api.Errorf(api.ClassNotFound, "%v", err).WithHint("name the folder of the stick: the one that holds, or shall hold, %s", enrol.StickFolder)
	}
	return s, stickTrouble(err)
}

func stickTrouble(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, enrol.ErrFormat):
		return api.Errorf(api.ClassRefused, "%v", err).WithHint("something on the stick is not what patchmesh writes: use another one")
	}
	return spaceClass(err)
}
