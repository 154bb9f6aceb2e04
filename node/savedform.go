package node

import (
	"encoding/json"

	"patchmesh/content"
	"patchmesh/policy"
	"patchmesh/swarm"
)

// savedForm encodes snapshots as json.Marshal does, but for the order of the fields. Each step of an install saves one, and
// of thousands of updates all but one are as they were: what was encoded of them the last time is kept. It belongs to
// the loop.
type savedForm struct {
	tasks    map[policy.UpdateID]encoded[swarm.SavedTask]
	payloads map[content.ID]encoded[swarm.SavedPayload]
	size     int // of the last one
}

type encoded[V comparable] struct {
	of V
	as []byte
}

func (f *savedForm) encode(s swarm.Snapshot) ([]byte, error) {
	tasks, payloads := s.Tasks, s.Payloads
	s.Tasks, s.Payloads = nil, nil
	rest, err := json.Marshal(s)
	if err != nil {
		return nil, err
	}
	b := append(make([]byte, 0, f.size+f.size/16+len(rest)), rest[:len(rest)-1]...)
	if f.tasks == nil || len(f.tasks) > 2*len(tasks)+64 {
		f.tasks = map[policy.UpdateID]encoded[swarm.SavedTask]{}
	}
	if f.payloads == nil || len(f.payloads) > 2*len(payloads)+64 {
		f.payloads = map[content.ID]encoded[swarm.SavedPayload]{}
	}
	// What a failure left is behind a pointer: equal pointers say little of what is there.
	plain := func(k *swarm.SavedTask) bool { return k.Undone == nil && k.Failed == nil }
	if b, err = appendKept(b, "tasks", tasks, f.tasks, func(k *swarm.SavedTask) policy.UpdateID { return k.Update }, plain); err != nil {
		return nil, err
	}
	always := func(*swarm.SavedPayload) bool { return true }
	if b, err = appendKept(b, "payloads", payloads, f.payloads, func(p *swarm.SavedPayload) content.ID { return p.ID }, always); err != nil {
		return nil, err
	}
	f.size = len(b)
	return append(b, '}'), nil
}

// appendKept appends a list as a field of an object that is open; may says which of its items may be kept encoded.
func appendKept[K, V comparable](b []byte, name string, all []V, known map[K]encoded[V], key func(*V) K, may func(*V) bool) ([]byte, error) {
	if len(all) == 0 {
		return b, nil
	}
	if len(b) > 1 {
		b = append(b, ',')
	}
	b = append(append(append(b, '"'), name...), `":[`...)
	for i := range all {
		v := &all[i]
		if i > 0 {
			b = append(b, ',')
		}
		k := key(v)
		if e, ok := known[k]; ok && e.of == *v && may(v) {
			b = append(b, e.as...)
			continue
		}
		as, err := json.Marshal(v)
		if err != nil {
			return nil, err
		}
		known[k], b = encoded[V]{*v, as}, append(b, as...)
	}
	return append(b, ']'), nil
}
