package policy

import (
	"fmt"
	"slices"
	"strings"
)

// Which kinds of updates a machine takes: a list of classifications and one of products, each "any", "none", or
// names with commas of which a star at the end stands for anything ("security,critical", "firefox*"), without regard
// to case. What does not fit is neither fetched nor installed, whatever is approved. What is there may be removed.

// The settings of the filter.
const (
	SetTakeClasses  = "take-classes"
	SetTakeProducts = "take-products"

	takeAny  = "any"
	takeNone = "none"
)

var filterInfos = []SettingInfo{
	{SetTakeClasses, takeAny, "classifications of updates that a machine takes: any, none, or a list such as security,critical,definition", checkTake, byNarrower},
	{SetTakeProducts, takeAny, "products of updates that a machine takes: any, none, or a list such as firefox*,openssl", checkTake, byNarrower},
}

func checkTake(s string) error {
	if s == takeAny || s == takeNone {
		return nil
	}
	for item := range strings.SplitSeq(s, ",") {
		name := strings.TrimSuffix(item, "*")
		if name == "" || name != strings.TrimSpace(name) || strings.Contains(name, "*") || strings.EqualFold(item, takeAny) || strings.EqualFold(item, takeNone) {
			return fmt.Errorf("%.60q is neither any, none, nor names with commas and a star at their end at most: %w", s, ErrFormat)
		}
	}
	return nil
}

// takes are the entries of a list, in lower case.
func takes(s string) []string {
	switch s {
	case takeAny:
		return []string{"*"}
	case takeNone, "":
		return nil
	}
	return strings.Split(strings.ToLower(s), ",")
}

// entryCovers: whatever the entry b fits, a fits too. b may be a plain name.
func entryCovers(a, b string) bool {
	if prefix, open := strings.CutSuffix(a, "*"); open {
		return strings.HasPrefix(strings.TrimSuffix(b, "*"), prefix)
	}
	return a == b
}

func coversAll(a, b []string) bool {
	return !slices.ContainsFunc(b, func(y string) bool { return !slices.ContainsFunc(a, func(x string) bool { return entryCovers(x, y) }) })
}

// byNarrower: a list is stricter than one that lets more through. Two of which each lets through what the other does
// not are brought together by narrow.
func byNarrower(a, b string) int {
	x, y := takes(a), takes(b)
	switch {
	case coversAll(x, y) && coversAll(y, x):
		return 0
	case coversAll(y, x):
		return -1
	}
	return 1
}

// narrow is what both lists let through: neither a machine nor a second group widens what another has closed.
func narrow(a, b string) string {
	x, y := takes(a), takes(b)
	var both []string
	for _, p := range x {
		if slices.ContainsFunc(y, func(q string) bool { return entryCovers(q, p) }) {
			both = append(both, p)
		}
	}
	for _, q := range y {
		if slices.ContainsFunc(x, func(p string) bool { return entryCovers(p, q) }) {
			both = append(both, q)
		}
	}
	slices.Sort(both)
	switch both = slices.Compact(both); {
	case len(both) == 0:
		return takeNone
	case slices.Contains(both, "*"):
		return takeAny
	}
	return strings.Join(both, ",")
}

// joins is how two values of a setting hold together, where neither need be stricter; nil: one of them counts.
func (i SettingInfo) joins() func(a, b string) string {
	switch {
	case i.Name == SetTakeClasses || i.Name == SetTakeProducts:
		return narrow
	case strings.HasPrefix(i.Name, setLimit):
		return joinRates
	case i.Name == SetStoreQuota:
		return joinQuotas
	case i.Name == SetStoreReserve:
		return joinReserves
	}
	return nil
}

// ruleClass: a machine changes nothing for an update of a kind that it does not take.
func ruleClass(q *question, v *Verdict) bool {
	if q.approval.Action != ActionInstall && q.approval.Action != ActionStageOnly && q.approval.Action != ActionOptional {
		return false
	}
	for _, f := range []struct{ what, setting, is, takes string }{
		{"classification", SetTakeClasses, q.desc.Classification, q.settings.takeClasses},
		{"product", SetTakeProducts, q.desc.Product, q.settings.takeProducts},
	} {
		if f.takes == takeAny || slices.ContainsFunc(takes(f.takes), func(x string) bool { return entryCovers(x, strings.ToLower(f.is)) }) {
			continue
		}
		v.Verb, v.Reason = VerbNone, ReasonPolicyClass
		v.Detail = fmt.Sprintf("its %s is %q, and %s of this machine is %s", f.what, f.is, f.setting, f.takes)
		return true
	}
	return false
}
