package node

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// Earlier lists of members. A machine that has not heard of a newer list still goes by the old one, with those that
// have not either. So a newer list keeps the older ones, and a slot needs a majority of each, until everybody of an
// old list has said to know better and what was promised by it has run out.

// keepEarlier puts the list that is in force behind a changed one, and drops those that are settled.
func (s *seed) keepEarlier(o, now *policy.Orchestration, epoch uint64) error {
	o.Earlier = nil
	if now == nil {
		return nil
	}
	was, is := slices.Sorted(slices.Values(now.MemberIDs())), slices.Sorted(slices.Values(o.MemberIDs()))
	if !slices.Equal(was, is) {
		o.Earlier = append(o.Earlier, policy.EarlierMembers{Until: epoch, Minutes: now.MemberMinutes, Members: now.MemberIDs()})
	}
	left := map[string]bool{}
	for _, e := range now.Earlier {
		open, settled, err := s.settled(now.Name, e)
		if err != nil {
			return err
		}
		if !settled {
			o.Earlier = append(o.Earlier, e)
			for _, m := range open {
				left[m] = true
			}
		}
	}
	if len(o.Earlier) > policy.MaxOrchEarlier {
		return api.Errorf(api.ClassRefused, "the members of orchestration %s were changed %d times, and machines of the earlier lists may not know yet", o.Name, len(o.Earlier)).
			WithHint("'patchmesh orchestration show %s' tells which machines have not reported since", o.Name)
	}
	return nil
}

// settled says whether nobody goes by an earlier list any more, and who may. A machine that is locked out, or gone
// from the books, counts no more: it holds nothing that its neighbours would hear of.
func (s *seed) settled(name string, e policy.EarlierMembers) (open []string, settled bool, err error) {
	fleet, err := s.fleet(nil)
	if err != nil {
		return nil, false, err
	}
	for _, m := range fleet {
		if slices.Contains(e.Members, m.ID) && m.Epoch < e.Until && m.Reason != string(policy.ReasonHostRevoked) && m.Reason != reasonReimaged {
			open = append(open, m.Name)
		}
	}
	slices.Sort(open)
	if len(open) > 0 {
		return open, false, nil
	}
	key := fmt.Sprintf("orch-settled/%s/%d", name, e.Until)
	now := s.now()
	if b, err := s.db.Value(key); err == nil {
		if since, err := strconv.ParseInt(string(b), 10, 64); err == nil {
			lease := policy.Orchestration{MemberMinutes: e.Minutes}
			return nil, now.Sub(time.Unix(since, 0)) > lease.Lease(), nil
		}
	}
	return nil, false, s.db.PutValue(key, []byte(strconv.FormatInt(now.Unix(), 10)))
}

// orchestrationGaps are machines of the group that are on no list, and those that may go by an earlier one.
func (s *seed) orchestrationGaps(m *policy.Manifest, o *policy.Orchestration) (not, unsettled []string, err error) {
	machines, err := s.groupMachines(m.Groups, o.Group)
	if err != nil {
		return nil, nil, err
	}
	for _, x := range machines {
		if x.Site == o.Site && !slices.Contains(o.MemberIDs(), x.ID) {
			not = append(not, x.Name)
		}
	}
	for _, e := range o.Earlier {
		open, _, err := s.settled(o.Name, e)
		if err != nil {
			return nil, nil, err
		}
		unsettled = append(unsettled, open...)
	}
	slices.Sort(unsettled)
	return not, slices.Compact(unsettled), nil
}
