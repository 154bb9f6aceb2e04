package node

import (
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"slices"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// reportBody is what is signed: the row, and what the seed alone can read.
type reportBody struct {
	api.Machine
	Sealed []byte `json:"sealed_inventory,omitempty"`
}

// fitReport signs a report that has room in most bytes. Where all that there is to say has not, the sources of bytes stay
// behind first, then updates that are where they should be, those that have not changed for longest first. A seed keeps
// what it was told of them before. left is how many that are.
func fitReport(body reportBody, key ed25519.PrivateKey, most int) (b []byte, left int, err error) {
	all := body.Updates
	b, over, err := formReport(body, key, most)
	if err != nil || over <= 1 {
		return b, 0, err
	}
	body.Updates = slices.Clone(all)
	for i := range body.Updates {
		body.Updates[i].Sources = nil
	}
	if b, over, err = formReport(body, key, most); err != nil || over <= 1 {
		return b, 0, err
	}
	all, order := body.Updates, byWeight(body.Updates)
	for keep := len(all); keep > 0; {
		keep = min(keep*15/16, int(float64(keep)/over*0.97))
		told := slices.Sorted(slices.Values(order[:keep]))
		body.Updates, body.LeftOut = make([]api.Update, 0, keep), len(all)-keep
		for _, i := range told {
			body.Updates = append(body.Updates, all[i])
		}
		if b, over, err = formReport(body, key, most); err != nil || over <= 1 {
			return b, body.LeftOut, err
		}
	}
	return nil, 0, fmt.Errorf("report of more than %d bytes without any update: %w", most, policy.ErrTooLarge)
}

// formReport signs a report as it is; over is how many times what is allowed it needs, if that is more than 1.
func formReport(body reportBody, key ed25519.PrivateKey, most int) (b []byte, over float64, err error) {
	plain, err := json.Marshal(body)
	if err != nil {
		return nil, 0, fmt.Errorf("encode report: %w", err)
	}
	if len(plain) > maxReportBody {
		return nil, float64(len(plain)) / maxReportBody, nil
	}
	if checkItems(plain) != nil {
		return nil, 1.5, nil
	}
	b, err = reportForm(signedReport{Body: plain, Sig: ed25519.Sign(key, append([]byte(reportDomain), plain...))})
	if err != nil {
		return nil, 0, fmt.Errorf("encode report: %w", err)
	}
	return b, float64(len(b)) / float64(most), nil
}

// byWeight orders updates by what people must hear of first.
func byWeight(all []api.Update) []int {
	order := make([]int, len(all))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(i, j int) int {
		a, b := &all[i], &all[j]
		if quiet := asItShould(a); quiet != asItShould(b) {
			if quiet {
				return 1
			}
			return -1
		}
		return b.Since.Compare(a.Since)
	})
	return order
}

// asItShould: nobody waits for news of it.
func asItShould(u *api.Update) bool {
	return u.Reason == "" && (u.State == policy.StateInstalled.String() || u.State == policy.StateRemoved.String())
}

// tellLeftOut says once that reports have no room for all that there is to say, and when they have again.
func (n *Node) tellLeftOut(left, of int) {
	switch was := n.leftOut.Swap(int64(left)); {
	case left > 0 && was == 0:
		n.log.Warn("a report has no room for all updates: those that have not changed for longest are left out", "left_out", left, "of", of)
	case left == 0 && was > 0:
		n.log.Info("reports have room for all updates again")
	}
}
