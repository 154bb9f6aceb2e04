package node

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/policy"
)

// Approval rules on the seed: what they and the switches for revisions and declines ask for becomes a draft of its
// own. It is never signed here without a person: not even where the approver key lies open on the seed, since
// what a rule fits is the word of whoever fills the catalogue. And it is never mixed with another change: what
// somebody approves by hand would otherwise sign along what nobody has read.

// proposeEvery is how often a running seed looks what rules ask for.
const proposeEvery = 30 * time.Second

// ruledDraftKey is where the digest of the draft stands that rules have made, and what it proposes.
const ruledDraftKey = "draft-by-rules"

// ApprovalRules implements api.Proposer.
func (n *Node) ApprovalRules(_ context.Context, q api.RulesQuery) (*api.Rules, error) {
	return onSeed(n.seed, func(s *seed) (*api.Rules, error) { return s.approvalRules(q) })
}

// SetApprovalRule implements api.Proposer.
func (n *Node) SetApprovalRule(_ context.Context, r api.RuleRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) { return s.setApprovalRule(r) })
}

// Propose implements api.Proposer.
func (n *Node) Propose(context.Context, api.ProposeRequest) (*api.Published, error) {
	return onSeed(n.seed, func(s *seed) (*api.Published, error) {
		p, err := s.propose()
		switch {
		case errors.Is(err, errDraftWaits):
			return nil, api.Errorf(api.ClassRefused, "a draft with other changes waits for signatures").WithHint("'patchmesh sign --show' shows it, 'patchmesh sign' signs it")
		case errors.Is(err, errNoChange):
			return &api.Published{Epoch: s.believer.current().Epoch(), Unchanged: true, Summary: "rules and switches ask for nothing new"}, nil
		}
		return p, err
	})
}

// setApprovalRule puts a rule into the draft, or takes it out.
func (s *seed) setApprovalRule(r api.RuleRequest) (*api.Published, error) {
	w := wish{passphrase: r.Passphrase, reason: r.Reason, summary: "approval rule " + r.Rule.Name}
	r.Rule.At = s.ruleStart()
	if r.Drop {
		w.summary = "drop approval rule " + r.Rule.Name
	} else if err := r.Rule.Validate(); err != nil {
		return nil, api.Errorf(api.ClassUsage, "%v", err).WithHint("'patchmesh rules set --help' shows examples")
	}
	return s.change(w, func(m *sheet) error {
		n := len(m.rules)
		m.rules = slices.DeleteFunc(m.rules, func(o policy.ApprovalRule) bool { return o.Name == r.Rule.Name })
		if r.Drop {
			if len(m.rules) == n {
				return api.Errorf(api.ClassNotFound, "no approval rule %q", api.Clean(r.Rule.Name)).WithHint("'patchmesh rules list' shows them")
			}
			return nil
		}
		if err := s.needRule(m, r.Rule); err != nil {
			return err
		}
		m.rules = append(m.rules, r.Rule)
		return nil
	})
}

// ruleStart is since when what comes is new to a rule that is made now: signed times are whole seconds, and what
// came within this one was there before.
func (s *seed) ruleStart() time.Time { return s.stamp().Add(time.Second) }

// needRule makes sure that there is what a rule names.
func (s *seed) needRule(m *sheet, r policy.ApprovalRule) error {
	if r.RingPlan != "" && !slices.ContainsFunc(m.ringPlans, func(p policy.RingPlan) bool { return p.Name == r.RingPlan }) {
		return api.Errorf(api.ClassNotFound, "no ring plan %q", api.Clean(r.RingPlan)).WithHint("'patchmesh rings list' shows the plans, 'patchmesh rings set' makes one")
	}
	return s.needGroup(m, r.Group)
}

// approvalRules tells the rules and what they fit.
func (s *seed) approvalRules(q api.RulesQuery) (*api.Rules, error) {
	m := s.believer.current().Manifest()
	if m == nil {
		return nil, api.Errorf(api.ClassFailed, "the seed has lost its approvals and waits for those of the mesh")
	}
	out := &api.Rules{Rules: nonNil(m.ApprovalRules), Matches: []api.RuleMatch{}}
	if q.Try != nil {
		q.Try.At = s.ruleStart()
		if err := q.Try.Validate(); err != nil {
			return nil, api.Errorf(api.ClassUsage, "%v", err).WithHint("'patchmesh rules set --help' shows examples")
		}
		if err := s.needRule(&sheet{groups: m.Groups, ringPlans: m.RingPlans}, *q.Try); err != nil {
			return nil, err
		}
		only := *m
		only.ApprovalRules, only.Settings = []policy.ApprovalRule{*q.Try}, nil
		m, out.Rules = &only, only.ApprovalRules
	}
	all, err := s.proposals(m)
	if err != nil {
		return nil, err
	}
	for _, p := range all {
		a := p.Approval
		out.Matches = append(out.Matches, api.RuleMatch{
			Rule: p.Rule, Update: string(a.Update), Revision: a.Revision, Title: api.Clean(s.title(a.Descriptor)), Group: a.Group, Action: string(a.Action),
			RingPlan: a.RingPlan, Deadline: a.Deadline, DueAt: p.DueAt, Proposed: p.Not == "", Why: p.Not,
		})
	}
	pending, err := s.pending(s.believer.current(), "")
	if err == nil && pending != nil {
		out.Waiting, _ = s.byRules(pending)
	}
	return out, err
}

// proposals are all that rules and switches fit.
func (s *seed) proposals(m *policy.Manifest) ([]policy.Proposal, error) {
	if len(m.ApprovalRules) == 0 && !slices.ContainsFunc(m.Settings, func(o policy.Setting) bool { return o.Name == policy.SetRevisions || o.Name == policy.SetDeclines }) {
		return nil, nil
	}
	rows, err := s.db.Updates()
	if err != nil {
		return nil, err
	}
	var catalogue []policy.Candidate
	for _, r := range rows {
		d, err := policy.DecodeDescriptor(r.Body)
		if err != nil {
			return nil, fmt.Errorf("catalogue: %s: %w", r.Update, err)
		}
		c := policy.Candidate{ID: r.Descriptor, Bytes: len(r.Body), Descriptor: d, FirstAt: r.At, RevisionAt: r.At}
		if r.Revision > 1 {
			begin, err := s.db.UpdateRevision(r.Update, 1)
			if err != nil {
				return nil, err
			}
			c.FirstAt = begin.At
		}
		catalogue = append(catalogue, c)
	}
	now := s.now()
	needed, err := s.neededIn(m)
	if err != nil {
		return nil, err
	}
	out := m.Propose(catalogue, now)
	out = append(out, m.ProposeRevisions(catalogue, s.descriptor, now)...)
	out = append(out, m.ProposeDeclines(catalogue, s.descriptor, needed, now)...)
	return out, s.objectUntested(out, m.RingPlans)
}

// descriptor reads one from the seed's documents; nil if it is not there.
func (s *seed) descriptor(id content.ID) *policy.Descriptor {
	d, err := s.docs.descriptor(id)
	if err != nil {
		return nil
	}
	return d
}

// neededIn says whether a machine of a group is without an update, and without what replaces it, by the reports.
// A machine that has not said anything may be.
func (s *seed) neededIn(m *policy.Manifest) (func(policy.UpdateID, string) bool, error) {
	fleet, err := s.fleet(nil)
	if err != nil {
		return nil, err
	}
	replacers := m.Replacers(s.descriptor)
	has := make([]func(policy.UpdateID) bool, len(fleet)) // of those that were asked
	return func(u policy.UpdateID, group string) bool {
		for i, k := range fleet {
			if k.Reason == string(policy.ReasonHostRevoked) || !m.InGroup(k.Groups, group) {
				continue
			}
			if has[i] == nil {
				has[i] = replacers.Has(standing(k))
			}
			if !has[i](u) {
				return true
			}
		}
		return false
	}, nil
}

// standing is what a machine has said of its updates.
func standing(m api.Machine) map[policy.UpdateID]policy.Standing {
	out := make(map[policy.UpdateID]policy.Standing, len(m.Updates))
	for _, u := range m.Updates {
		out[policy.UpdateID(u.Update)] = policy.Standing{Compliance: policy.Compliance(u.Compliance), Reason: policy.Reason(u.Reason)}
	}
	return out
}

// propose prepares the draft of what rules and switches ask for now. errNoChange if that is nothing new,
// errDraftWaits while another draft waits.
func (s *seed) propose() (*api.Published, error) {
	m := s.believer.current().Manifest()
	if m == nil || s.whole() != nil {
		return nil, errNoChange
	}
	all, err := s.proposals(m)
	if err != nil {
		return nil, err
	}
	all = slices.DeleteFunc(all, func(p policy.Proposal) bool { return p.Not != "" })
	if len(all) == 0 {
		return nil, cmp.Or(s.dropRuled(), errNoChange)
	}
	w := wish{unattended: true, proposed: fingerprint(all), reason: "proposed by " + strings.Join(rulesOf(all), ", "),
		summary: fmt.Sprintf("%d approval(s) proposed by %s", len(all), strings.Join(rulesOf(all), ", "))}
	w.reason = w.reason[:min(len(w.reason), 400)]
	return s.change(w, func(sh *sheet) error {
		for _, p := range all {
			if err := s.needGroup(sh, p.Approval.Group); err != nil {
				return err
			}
			sh.approvals = slices.DeleteFunc(sh.approvals, func(o policy.Approval) bool { return o.Update == p.Approval.Update && o.Group == p.Approval.Group })
			sh.approvals = append(sh.approvals, p.Approval)
		}
		return nil
	})
}

// rulesOf names the rules and switches of proposals, each once.
func rulesOf(all []policy.Proposal) []string {
	var out []string
	for _, p := range all {
		out = append(out, p.Rule)
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// fingerprint names what is proposed, whenever that is asked: a draft that says the same already keeps the
// signatures that it has.
func fingerprint(all []policy.Proposal) string {
	var lines []string
	for _, p := range all {
		a := p.Approval
		lines = append(lines, fmt.Sprintf("%s|%s|%s|%s|%s|%s", p.Rule, a.Update, a.Group, a.Action, a.Descriptor, a.RingPlan))
	}
	slices.Sort(lines)
	sum := sha256.Sum256([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(sum[:])
}

// byRules says whether a draft is exactly the one that rules have made, and what it proposes.
func (s *seed) byRules(d *policy.Draft) (ruled bool, proposes string) {
	b, err := s.db.Value(ruledDraftKey)
	digest, digestErr := d.Digest()
	if err != nil || digestErr != nil {
		return false, ""
	}
	of, proposes, _ := strings.Cut(string(b), " ")
	return of == digest.String(), proposes
}

// apart keeps what rules propose away from all other changes: those begin from what is in force, and rules wait
// while another draft waits. What was set aside is proposed again after that.
func (s *seed) apart(w wish, pending *policy.Draft) (*policy.Draft, error) {
	if pending == nil || w.role != "" {
		return pending, nil
	}
	ruled, proposes := s.byRules(pending)
	switch {
	case w.proposed == "" && !ruled:
		return pending, nil
	case w.proposed != "" && !ruled:
		return nil, errDraftWaits
	case w.proposed != "" && w.proposed == proposes:
		return nil, errNoChange
	}
	return nil, nil
}

// noteRuled marks a draft as made by rules. It is durable before the draft is: a crash between the two leaves a
// mark of nothing, never a draft that passes for somebody's own.
func (s *seed) noteRuled(w wish, d *policy.Draft) error {
	if w.proposed == "" {
		return nil
	}
	digest, err := d.Digest()
	if err != nil {
		return err
	}
	return s.db.PutValue(ruledDraftKey, []byte(digest.String()+" "+w.proposed))
}

// dropRuled takes back a draft of rules that ask for nothing any more.
func (s *seed) dropRuled() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	pending, err := s.pending(s.believer.current(), "")
	if err != nil || pending == nil {
		return err
	}
	if ruled, _ := s.byRules(pending); !ruled {
		return nil
	}
	return s.saveDraft("", nil)
}

// turnRules proposes now and then.
func (n *Node) turnRules(ctx context.Context) {
	t := time.NewTicker(proposeEvery)
	defer t.Stop()
	said := ""
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		p, err := n.seed.propose()
		switch {
		case err == nil:
			said = ""
			n.log.Warn("approval rules have prepared a draft, which waits for 'patchmesh sign'", "draft", p.Summary)
		case errors.Is(err, errNoChange) || errors.Is(err, errDraftWaits):
		case err.Error() != said: // once, not every time
			said = err.Error()
			n.log.Error("approval rules cannot be followed", "err", err)
		}
	}
}

var _ api.Proposer = (*Node)(nil)
