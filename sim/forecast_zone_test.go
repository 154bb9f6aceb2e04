package sim

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"patchmesh/policy"
)

// R-X13, R-H1: where a machine that would be changed has told no time zone, a forecast says that it guessed, for how many
// machines and where; of those that it does not change, and of those that told theirs, it says nothing.
func TestRX13AForecastSaysForWhomItGuessedTheTimeZone(t *testing.T) {
	for _, c := range []struct {
		guessed string // sites whose machines told nothing
		want    string
	}{
		{"", "<nil>"}, {"quiet", "<nil>"}, {"south", `{"zone":"Europe/Berlin","machines":3,"sites":["south"]}`},
		{"south north quiet", `{"zone":"Europe/Berlin","machines":7,"sites":["north","south"]}`},
	} {
		f := planted(t, mebi, policy.Approval{Group: "office"}, func(m *policy.Manifest, f *Fleet) {
			m.Groups = []policy.Group{{Name: "lab"}, {Name: "office"}}
			f.branch("south", 3, 100, "office")
			f.branch("north", 4, 100, "office")
			f.branch("quiet", 2, 100, "lab")
		})
		for i := range f.Machines {
			m := &f.Machines[i]
			m.Zone = "Asia/Tokyo"
			if strings.Contains(c.guessed, m.Site) {
				m.Zone, m.ZoneGuessed = "Europe/Berlin", true
			}
		}
		got := forecast(t, f)
		b, err := json.Marshal(got)
		if err != nil {
			t.Fatal(err)
		}
		var told struct {
			Guess json.RawMessage `json:"zone_guessed"`
		}
		if err := json.Unmarshal(b, &told); err != nil {
			t.Fatal(err)
		}
		text := strings.Join(got.Assumptions, "\n")
		if c.want == "<nil>" {
			if told.Guess != nil || strings.Contains(text, "time zone") {
				t.Errorf("guessed %q: told %s, %s", c.guessed, told.Guess, text)
			}
			continue
		}
		if got.ZoneGuessed == nil {
			t.Errorf("guessed %q, and nothing told", c.guessed)
			continue
		}
		sites := strings.Join(got.ZoneGuessed.Sites, ", ")
		if string(told.Guess) != c.want || !strings.Contains(text, fmt.Sprintf("%d machine(s) have told no time zone (%s): their local times are read by the clock of the seed, Europe/Berlin", got.ZoneGuessed.Machines, sites)) {
			t.Errorf("guessed %q: told %s, want %s; %s", c.guessed, told.Guess, c.want, text)
		}
	}
	var g ZoneGuess
	for i := range 13 {
		g.Sites = append(g.Sites, fmt.Sprintf("s%02d", i))
	}
	if g.Zone = "Local"; !strings.Contains(g.text(), "s09 and 3 more)") || strings.Contains(g.text(), "Local") {
		t.Error(g.text())
	}
}
