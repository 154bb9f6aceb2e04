package policy

import (
	"errors"
	"fmt"
	"testing"
)

// Who may take from whom goes one way, and a list that could be read in two ways is refused.
func TestNeighbourSites(t *testing.T) {
	with := func(names ...string) *Roster {
		return &Roster{Org: "acme", IssuedAt: t0, Sites: []SiteEntry{{Site: "b", Neighbours: names}}}
	}
	b, err := with("a", "c").Encode()
	if err != nil {
		t.Fatal(err)
	}
	r, err := DecodeRoster(b)
	if err != nil {
		t.Fatal(err)
	}
	for _, x := range []struct {
		site, from string
		may        bool
	}{{"b", "a", true}, {"b", "c", true}, {"a", "b", false}, {"c", "b", false}, {"b", "b", false}, {"b", "d", false}, {"d", "b", false}, {"", "", false}} {
		if r.MayTake(x.site, x.from) != x.may {
			t.Errorf("%s may take from %s: %v", x.site, x.from, !x.may)
		}
	}
	if (*Roster)(nil).MayTake("b", "a") {
		t.Error("without a roster somebody may take")
	}
	many := []string{}
	for i := range MaxNeighbours + 1 {
		many = append(many, fmt.Sprintf("s%02d", i))
	}
	for _, bad := range [][]string{{"b"}, {"c", "a"}, {"a", "a"}, {""}, {"a\x1b"}, many} {
		if _, err := with(bad...).Encode(); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("neighbours %q: %v", bad, err)
		}
	}
}
