package policy

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

// C-70: how much machines may move and store is signed by group: the deepest group counts, of equals what is stricter at
// each instant, and the machine's own file may only be stricter.
func TestC70LimitsGoByGroup(t *testing.T) {
	wan, quota := SetLimit("wan", "down"), SetStoreQuota
	for _, c := range []struct {
		what           string
		settings       []Setting
		groups         []string
		local          map[string]string
		name           string
		value, source  string
		signed, ignore string
	}{
		{"nobody said anything", nil, []string{"a"}, nil, wan, "unlimited", "default", "", ""},
		{"other sites get no more than this by default", nil, nil, nil, SetLimit("site", "up"), "100Mbit", "default", "", ""},
		{"for all", []Setting{{wan, "all", "20Mbit"}}, []string{"a"}, nil, wan, "20Mbit", "all", "", ""},
		{"the deeper group widens", []Setting{{wan, "a", "unlimited"}, {wan, "all", "20Mbit"}}, []string{"a"}, nil, wan, "unlimited", "a", "", ""},
		{"of two as deep the stricter", []Setting{{wan, "a", "20Mbit"}, {wan, "b", "10Mbit"}}, []string{"a", "b"}, nil, wan, "10Mbit", "a, b", "", ""},
		{"neither is always stricter", []Setting{{wan, "a", "20Mbit"}, {wan, "b", "50Mbit,1Mbit@08:00-18:00"}}, []string{"a", "b"}, nil, wan, "20Mbit&50Mbit,1Mbit@08:00-18:00", "a, b", "", ""},
		{"a group that it is not in", []Setting{{wan, "b", "20Mbit"}}, []string{"a"}, nil, wan, "unlimited", "default", "", ""},
		{"its own file, stricter", []Setting{{wan, "all", "20Mbit"}}, nil, map[string]string{wan: "5Mbit"}, wan, "5Mbit", "local", "20Mbit", ""},
		{"its own file, not stricter", []Setting{{wan, "all", "20Mbit"}}, nil, map[string]string{wan: "50Mbit"}, wan, "20Mbit", "all", "", "50Mbit"},
		{"its own file, stricter by day", []Setting{{wan, "all", "20Mbit"}}, nil, map[string]string{wan: "off@08:00-18:00"}, wan, "20Mbit&off@08:00-18:00", "local", "20Mbit", ""},
		{"a size and a share hold both", []Setting{{quota, "a", "30%"}, {quota, "b", "20GiB"}}, []string{"a", "b"}, nil, quota, "20GiB&30%", "a, b", "", ""},
		{"the smaller quota", []Setting{{quota, "a", "30GiB"}, {quota, "b", "20GiB"}}, []string{"a", "b"}, nil, quota, "20GiB", "a, b", "", ""},
		{"the larger reserve", []Setting{{SetStoreReserve, "a", "30GiB"}, {SetStoreReserve, "b", "20GiB"}}, []string{"a", "b"}, nil, SetStoreReserve, "30GiB", "a", "", ""},
		{"the smaller budget", []Setting{{SetBudgetDay, "a", "none"}, {SetBudgetDay, "b", "2GB@Europe/Berlin"}}, []string{"a", "b"}, nil, SetBudgetDay, "2GB@Europe/Berlin", "b", "", ""},
	} {
		m := Manifest{Settings: c.settings, Groups: []Group{{Name: "a"}, {Name: "b"}}}
		for _, e := range m.Effectives(Machine{Groups: c.groups, Local: c.local}) {
			if e.Name == c.name && (e.Value != c.value || e.Source != c.source || e.Signed != c.signed || e.Ignored != c.ignore) {
				t.Errorf("%s: %+v", c.what, e)
			}
		}
		_, stated := m.Limits(Machine{Groups: c.groups, Local: c.local})[c.name]
		if stated != (c.source != "default") {
			t.Errorf("%s: stated is %v", c.what, stated)
		}
	}
}

func TestC70LimitsAreChecked(t *testing.T) {
	for name, values := range map[string][2][]string{
		SetLimit("wan", "down"): {{"off", "unlimited", "10Mbit", "20Mbit,2Mbit@Mon-Fri/08:00-18:00@Europe/Berlin", "1Mbit@mon,wed/08:00-09:00,off@sun/00:00-24:00"},
			{"", "fast", "-1Mbit", "1bit", "50%", "10Mbit,", "10Mbit&5Mbit", "10Mbit@", "10Mbit@mon", "1Mbit@08:00-09:00@Mars/Crater", "9000Gbit", strings.Repeat("1Mbit,", 8) + "1Mbit"}},
		SetLimit("site", "up"): {{"unlimited", "1Gbit"}, {"off", "off@08:00-18:00"}},
		SetBudgetMonth:         {{"none", "20GB", "20GB@Europe/Berlin"}, {"", "0", "-1", "much", "20GB@", "20GB@Local", "20GB@../../etc/passwd"}},
		SetStoreQuota:          {{"usual", "none", "20GiB", "1%", "99%"}, {"", "0", "-1", "0%", "100%", "x%", "20GiB&30%"}},
	} {
		for _, good := range values[0] {
			if err := (Setting{name, GroupAll, good}).Validate(); err != nil {
				t.Errorf("%s=%s: %v", name, good, err)
			}
		}
		for _, bad := range values[1] {
			if err := (Setting{name, GroupAll, bad}).Validate(); !errors.Is(err, ErrFormat) {
				t.Errorf("%s=%q: %v", name, bad, err)
			}
		}
	}
	if (Setting{SetLimit("disk", "up"), GroupAll, "1Mbit"}).Validate() == nil {
		t.Error("there is no such class of link")
	}
}

// However many groups of one depth say something, what comes of it is bounded and no looser than any of them.
func TestC70ManyTimetablesOfOneDepthStayBounded(t *testing.T) {
	var value string
	for i := range 100 {
		at := time.Date(2026, 1, 1, 0, 10*i, 0, 0, time.UTC)
		one := "9Mbit,1Mbit@" + at.Format("15:04") + "-" + at.Add(5*time.Minute).Format("15:04")
		if value == "" {
			value = one
			continue
		}
		value = joinRates(one, value)
	}
	if len(Timetables(value, time.UTC)) > maxRates || len(value) > maxRates*200 {
		t.Fatalf("%d bytes: %s", len(value), value)
	}
	if _, most := leastMost(value); most > 1e6/8 {
		t.Errorf("of a hundred timetables came %s", value)
	}
}

// What is signed counts whatever its group is called.
func TestLimitsOfAGroupCalledDefault(t *testing.T) {
	m := &Manifest{Groups: []Group{{Name: "default"}}, Settings: []Setting{{Name: "limit-wan-down", Group: "default", Value: "1Mbit"}}}
	if e, stated := m.Limits(Machine{Groups: []string{"default"}})["limit-wan-down"]; !stated || e.Value != "1Mbit" {
		t.Errorf("%+v", e)
	}
	if e, stated := m.Limits(Machine{Groups: []string{"office"}})["limit-wan-down"]; stated {
		t.Errorf("for nobody: %+v", e)
	}
}

// Who says so is told of a few groups, however many have a say: reports carry it.
func TestSourcesOfALimitStayShort(t *testing.T) {
	m, mach := &Manifest{}, Machine{}
	for i := range 500 {
		name := fmt.Sprintf("group-%03d", i)
		m.Groups, mach.Groups = append(m.Groups, Group{Name: name}), append(mach.Groups, name)
		m.Settings = append(m.Settings, Setting{Name: "limit-wan-down", Group: name, Value: fmt.Sprintf("%dkbit", 1000-i)})
	}
	if e := m.Limits(mach)["limit-wan-down"]; e.Value != "501kbit" || len(e.Source) > 500 || !strings.HasPrefix(e.Source, "group-000, group-001, ") {
		t.Errorf("%s, said by %s", e.Value, e.Source)
	}
}

func FuzzRates(f *testing.F) {
	for _, text := range []string{"20Mbit,2Mbit@Mon-Fri/08:00-18:00@Europe/Berlin", "off", "unlimited@mon,tue/22:00-06:00", "1Mbit,,", "&", "1Mbit@08:00-18:00@America/Newtown", "0"} {
		f.Add(text, "10Mbit")
	}
	f.Fuzz(func(t *testing.T, a, b string) {
		for _, s := range []string{a, b} {
			_, strict := ParseRates(s, time.UTC, true)
			_, err := readRates(s, time.UTC, true)
			if err != nil && strict == nil {
				t.Errorf("%q may be stated, and not be read: %v", s, err)
			}
			if err != nil {
				if !errors.Is(err, ErrFormat) {
					t.Errorf("%q: %v", s, err)
				}
				return
			}
		}
		all := joinRates(a, b)
		if all != joinRates(b, a) || joinRates(all, a) != all {
			t.Errorf("%q and %q are together %q, or %q, with the first again %q", a, b, all, joinRates(b, a), joinRates(all, a))
		}
		if len(Timetables(all, time.UTC)) == 0 {
			t.Errorf("%q and %q together limit nothing: %q", a, b, all)
		}
	})
}
