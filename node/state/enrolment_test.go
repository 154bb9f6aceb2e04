package state

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
)

const week = 7 * 24 * time.Hour

func applicant(machine, name string, hardware ...string) Applicant {
	return Applicant{Token: [32]byte{1}, Machine: machine, ID: "r-" + machine, Name: name, Hardware: hardware, Life: week}
}

func TestAnAdminsWordIsNeededKeptAndBounded(t *testing.T) {
	db := openDB(t)
	tok := token(1, "north", []string{"web"}, 1, noon.Add(time.Hour))
	tok.Approve = true
	must(t, db.PutToken(tok))
	enrol := func(machine, name string, at time.Duration, want error) MemberRow {
		t.Helper()
		m, err := db.Enrol(applicant(machine, name), noon.Add(at))
		if !errors.Is(err, want) {
			t.Fatalf("%s: %v, want %v", machine, err, want)
		}
		return m
	}
	decide := func(machine string, accept bool, want error) {
		t.Helper()
		if _, err := db.Decide("r-"+machine, accept, noon); !errors.Is(err, want) {
			t.Fatalf("decide on %s: %v, want %v", machine, err, want)
		}
	}
	enrol("a", "till-1", 0, ErrWaiting)
	enrol("b", "till-2", 0, ErrWaiting)
	must(t, db.Close())
	db = reopen(t, db.path) // a restart forgets none of it
	waiting, err := db.Requests(false)
	if err != nil || len(waiting) != 2 || waiting[0].Name != "till-1" || waiting[0].Site != "north" {
		t.Fatalf("%+v, %v", waiting, err)
	}
	decide("nobody", true, ErrNotFound)
	decide("a", true, nil)
	decide("a", true, nil)
	decide("b", true, ErrTokenSpent) // one use, and it is booked
	decide("a", false, nil)          // not collected yet: the use is free again
	enrol("a", "till-1", 0, ErrRejected)
	decide("b", true, nil)
	// After the token's end and under another name: what the admin saw is what is certified.
	if m := enrol("b", "root-server", 48*time.Hour, nil); m.Name != "till-2" || m.Serial == 0 {
		t.Errorf("accepted as till-2, enrolled as %+v", m)
	}
	decide("b", false, ErrDecided)
	decide("b", true, nil)
	enrol("c", "till-3", 2*time.Hour, ErrTokenExpired)

	tok.Hash, tok.UsesLeft, tok.ExpiresAt = [32]byte{2}, 1000, noon.Add(time.Hour)
	must(t, db.PutToken(tok))
	kept := 0
	for i := range maxWaitingOfToken + 5 {
		a := applicant(fmt.Sprint("flood", i), "x")
		a.Token = tok.Hash
		if _, err := db.Enrol(a, noon); errors.Is(err, ErrWaiting) {
			kept++
		} else if !errors.Is(err, ErrTooMany) {
			t.Fatal(err)
		}
	}
	if kept != maxWaitingOfToken {
		t.Errorf("%d requests of one token are kept", kept)
	}
}

func TestNamePatternAndFreeNames(t *testing.T) {
	db := openDB(t)
	tok := token(1, "s", nil, 9, noon.Add(time.Hour))
	tok.NamePattern = "till-*"
	must(t, db.PutToken(tok))
	for i, c := range []struct {
		name, got string
		want      error
	}{
		{"till-1", "till-1", nil}, {"seed", "", ErrTokenName}, {"xtill-1", "", ErrTokenName}, {"TILL-1", "", ErrTokenName},
		{"till-1", "till-1-2", nil}, {"till-" + strings.Repeat("x", 58), "till-" + strings.Repeat("x", 58), nil},
		{"till-" + strings.Repeat("x", 58), "till-" + strings.Repeat("x", 56) + "-2", nil},
	} {
		m, err := db.Enrol(applicant(fmt.Sprint("m", i), c.name), noon)
		if !errors.Is(err, c.want) || m.Name != c.got {
			t.Errorf("%q: %q, %v, want %q, %v", c.name, m.Name, err, c.got, c.want)
		}
	}
}

func TestHardwareThatComesBackReplacesTheOldMachine(t *testing.T) {
	db := openDB(t)
	must(t, db.PutToken(token(1, "s", nil, 99, noon.Add(time.Hour))))
	enrol := func(a Applicant) MemberRow {
		t.Helper()
		m, err := db.Enrol(a, noon)
		must(t, err)
		return m
	}
	enrol(applicant("old", "till-3", "uuid:1", "mac:7"))
	enrol(applicant("other", "till-4", "uuid:2", "mac:8"))
	if m := enrol(applicant("none", "till-5")); m.Replaces != "" {
		t.Errorf("a machine that says no hardware replaces %q", m.Replaces)
	}
	// A network card that moved: the stronger kind says that these are two machines.
	if m := enrol(applicant("card", "till-6", "uuid:3", "mac:7")); m.Replaces != "" {
		t.Errorf("a network card made one machine of two: replaces %q", m.Replaces)
	}
	again := applicant("clone", "till-3", "uuid:1")
	again.Alive = func(machine string) bool { return machine == "old" }
	if m := enrol(again); m.Replaces != "" || m.Name != "till-3-2" {
		t.Errorf("a clone of a living machine: %+v", m)
	}
	must(t, db.DropMember("clone"))
	m := enrol(applicant("new", "till-3", "uuid:1"))
	if m.Replaces != "old" || m.Name != "till-3" {
		t.Fatalf("%+v", m)
	}
	old, err := db.Member("old")
	if err != nil || old.ReplacedBy != "new" || !old.ReplacedAt.Equal(noon) || old.Serial == 0 {
		t.Errorf("the old row: %+v, %v", old, err)
	}
	if _, err := db.Renew("old", week, week, noon); !errors.Is(err, ErrReplaced) {
		t.Errorf("the old key renews: %v", err)
	}
	if _, err := db.Enrol(applicant("old", "till-3"), noon); !errors.Is(err, ErrReplaced) {
		t.Errorf("the old key joins again with its old token: %v", err)
	}
	if m := enrol(applicant("new", "till-3", "uuid:1")); m.Replaces != "old" {
		t.Errorf("asked again: %+v", m)
	}
}

func TestRenewalIsBoundedAndHasAnEnd(t *testing.T) {
	db := openDB(t)
	must(t, db.PutToken(token(1, "s", nil, 9, noon.Add(time.Hour))))
	first, err := db.Enrol(applicant("a", "a"), noon)
	must(t, err)
	renew := func(at time.Duration, want error) MemberRow {
		t.Helper()
		m, err := db.Renew("a", week, 180*24*time.Hour, noon.Add(at))
		if !errors.Is(err, want) {
			t.Fatalf("after %s: %v, want %v", at, err, want)
		}
		return m
	}
	if m := renew(time.Hour, nil); m.Serial != first.Serial || !m.NotAfter.Equal(first.NotAfter) {
		t.Errorf("a replayed request cost a serial: %+v after %+v", m, first)
	}
	half := renew(week/2, nil)
	if half.Serial == first.Serial || !half.NotAfter.Equal(noon.Add(week/2+week)) {
		t.Errorf("at half life: %+v", half)
	}
	long := week/2 + week + 179*24*time.Hour
	if m := renew(long, nil); !m.NotAfter.Equal(noon.Add(long + week)) {
		t.Errorf("after 179 days: %+v", m)
	}
	if m := renew(-24*time.Hour, nil); !m.NotAfter.Equal(noon.Add(-24*time.Hour + week)) {
		t.Errorf("after the clock was set back: %+v", m)
	}
	renew(-24*time.Hour+week+181*24*time.Hour, ErrLapsed)
	// Asking again with the token, which is good for a year, is no way around that.
	long = 200 * 24 * time.Hour
	must(t, db.PutToken(token(3, "s", nil, 9, noon.Add(365*24*time.Hour))))
	again := applicant("b", "b")
	again.Token, again.Grace = [32]byte{3}, 180*24*time.Hour
	if _, err := db.Enrol(again, noon); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Enrol(again, noon.Add(long)); !errors.Is(err, ErrLapsed) {
		t.Errorf("its token brings a machine back after 200 days: %v", err)
	}
	if _, err := db.Renew("nobody", week, week, noon); !errors.Is(err, ErrNotFound) {
		t.Errorf("nobody renews: %v", err)
	}
}
