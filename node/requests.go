package node

import (
	"context"
	"errors"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/node/state"
)

// EnrolRequests implements api.Service.
func (n *Node) EnrolRequests(_ context.Context, q api.EnrolQuery) (*api.EnrolList, error) {
	return onSeed(n.seed, func(s *seed) (*api.EnrolList, error) { return s.requests(q) })
}

// DecideEnrol implements api.Service.
func (n *Node) DecideEnrol(_ context.Context, r api.EnrolDecision) (*api.EnrolRequest, error) {
	return onSeed(n.seed, func(s *seed) (*api.EnrolRequest, error) { return s.decide(r) })
}

// AnswerEnrol implements api.Service.
func (n *Node) AnswerEnrol(_ context.Context, r api.SealedRequest) (*api.SealedAnswer, error) {
	return onSeed(n.seed, func(s *seed) (*api.SealedAnswer, error) {
		b, v, err := s.answer(r.Request)
		n.noteVerdict(v, "stick")
		if errors.Is(err, errNotOurs) {
			return nil, api.Errorf(api.ClassRefused, "%v", errNotOurs)
		}
		if err != nil {
			return nil, err
		}
		return &api.SealedAnswer{Answer: b, Status: string(v.status)}, nil
	})
}

// requests lists what waits for an admin, or everything that is remembered with the machines that
// others have replaced.
func (s *seed) requests(q api.EnrolQuery) (*api.EnrolList, error) {
	rows, err := s.db.Requests(q.All)
	if err != nil {
		return nil, err
	}
	l := &api.EnrolList{Requests: []api.EnrolRequest{}, Replaced: []api.ReplacedMachine{}}
	for _, r := range rows {
		row, err := s.requestRow(r)
		if err != nil {
			return nil, err
		}
		l.Requests = append(l.Requests, row)
	}
	if !q.All {
		return l, nil
	}
	members, err := s.db.Members()
	if err != nil {
		return nil, err
	}
	for _, m := range members {
		if m.ReplacedBy != "" {
			l.Replaced = append(l.Replaced, api.ReplacedMachine{
				ID: m.ID, Name: m.Name, Site: m.Site, By: m.ReplacedBy, At: m.ReplacedAt.UTC(), StillThere: s.isAlive(m.ID),
			})
		}
	}
	return l, nil
}

func (s *seed) requestRow(r state.Request) (api.EnrolRequest, error) {
	row := api.EnrolRequest{
		ID: r.ID, Machine: r.Machine, Name: r.Name, Site: r.Site, Groups: nonNil(r.Groups), State: r.State, At: r.At.UTC(), DecidedAt: r.DecidedAt,
	}
	same, err := s.db.SameHardware(r.Hardware)
	if err != nil {
		return row, err
	}
	for _, id := range same {
		if m, err := s.db.Member(id); err == nil && id != r.Machine {
			row.SameHardware = append(row.SameHardware, m.Name)
		}
	}
	return row, nil
}

// decide keeps an admin's word. The machine hears it when it asks again.
func (s *seed) decide(r api.EnrolDecision) (*api.EnrolRequest, error) {
	req, err := s.db.Decide(r.ID, r.Accept, s.now())
	switch {
	case errors.Is(err, state.ErrNotFound):
		return nil, api.Errorf(api.ClassNotFound, "no request %q", api.Clean(r.ID)).WithHint("'patchmesh enrol list' shows what waits")
	case errors.Is(err, state.ErrTokenSpent):
		return nil, api.Errorf(api.ClassRefused, "the token of request %s is used up: other machines were accepted with it", r.ID).
			WithHint("reject it, and give the machine a token of its own: 'patchmesh invite'")
	case errors.Is(err, state.ErrDecided):
		return nil, api.Errorf(api.ClassRefused, "request %s was accepted and the machine is a member already", r.ID).WithHint("'patchmesh revoke' locks it out")
	case err != nil:
		return nil, err
	}
	row, err := s.requestRow(req)
	return &row, err
}

// reimaged gives a machine that was set up anew its reason, until its first full report.
func reimaged(m *api.Machine, k state.MemberRow) {
	m.Reason = reasonReimaged
	m.Detail = "the same hardware was a member before, with another key: " + k.Replaces
}

const reasonReimaged = "host-reimaged"

// Answers is what came of answering a stick.
type Answers struct {
	Members int `json:"members"`
	Waiting int `json:"waiting"`
	Refused int `json:"refused"`
	Foreign int `json:"foreign"` // of another mesh, or nobody's
	Skipped int `json:"skipped"` // what is no request at all
}

// AnswerStick answers every request in a folder, with the same admission as online: the service sees
// sealed requests, never the folder.
func AnswerStick(ctx context.Context, s api.Service, dir string) (*Answers, error) {
	stick, err := openStick(dir, false)
	if err != nil {
		return nil, err
	}
	defer stick.Close()
	requests, skipped, err := stick.Requests()
	if err != nil {
		return nil, err
	}
	out := &Answers{Skipped: skipped}
	for _, req := range requests {
		a, err := s.AnswerEnrol(ctx, api.SealedRequest{Request: req})
		if api.ClassOf(err) == api.ClassRefused {
			out.Foreign++
			continue
		}
		if err != nil {
			return out, err
		}
		if err := stick.PutAnswer(content.Sum(req), a.Answer); err != nil {
			return out, stickTrouble(err)
		}
		switch enrol.Status(a.Status) {
		case enrol.StatusMember:
			out.Members++
		case enrol.StatusWaiting:
			out.Waiting++
		default:
			out.Refused++
		}
	}
	if len(requests) > 0 && out.Foreign == len(requests) {
		return out, api.Errorf(api.ClassRefused, "none of the %d requests in %s is for this seed", out.Foreign, dir).WithHint("see that the machines used a token of this mesh")
	}
	return out, nil
}
