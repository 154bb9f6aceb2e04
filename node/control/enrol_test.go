package control

import (
	"bytes"
	"context"
	"testing"

	"patchmesh/node/api"
)

func TestEnrolmentPassesThroughTheSocket(t *testing.T) {
	s := serve(t, t.TempDir(), &fake{})
	ctx := context.Background()
	if l, err := s.EnrolRequests(ctx, api.EnrolQuery{All: true}); err != nil || len(l.Requests) != 1 || l.Requests[0].State != "all" {
		t.Errorf("%+v, %v", l, err)
	}
	if r, err := s.DecideEnrol(ctx, api.EnrolDecision{ID: "7", Accept: true}); err != nil || r.ID != "7" || r.State != "accepted" {
		t.Errorf("%+v, %v", r, err)
	}
	if a, err := s.AnswerEnrol(ctx, api.SealedRequest{Request: []byte{0, 1, 255}}); err != nil || !bytes.Equal(a.Answer, []byte{0, 1, 255}) || a.Status != "member" {
		t.Errorf("%+v, %v", a, err)
	}
	if l, err := s.TrustLife(ctx, api.TrustLife{Seconds: 5}); err != nil || l.Seconds != 5 {
		t.Errorf("%+v, %v", l, err)
	}
	if k, err := s.EnrolKeys(ctx); err != nil || len(k.Keys) != 1 || k.Keys[0].ID != "k" {
		t.Errorf("%+v, %v", k, err)
	}
	if k, err := s.ChangeEnrolKeys(ctx, api.EnrolKeyChange{WithdrawKey: "w"}); err != nil || len(k.Withdrawn) != 1 || k.Withdrawn[0] != "w" {
		t.Errorf("%+v, %v", k, err)
	}
}
