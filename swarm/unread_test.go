package swarm

import (
	"strconv"
	"testing"
)

// Whoever shows head after head gets the turns of one peer, and takes nobody's place.
func TestUnreadHeadsTakeTurnsWhateverOnePeerShows(t *testing.T) {
	var u Unread[int]
	u.Keep("flood", 1)
	u.Keep("seed", 13)
	for i := range 1000 {
		u.Keep("flood", i)
	}
	if from, head, ok := u.Take(); !ok || from != "flood" || head != 999 {
		t.Fatalf("first is %q with %d, want the one who came first with its newest head", from, head)
	}
	u.Keep("flood", 5)
	if from, head, ok := u.Take(); !ok || from != "seed" || head != 13 {
		t.Fatalf("second is %q with %d, want the seed with what it showed", from, head)
	}
	u.Forget("flood")
	if _, _, ok := u.Take(); ok || len(u.TakeAll()) != 0 {
		t.Fatal("the head of a session that has ended is still followed")
	}
}

func TestUnreadHeadsAreBounded(t *testing.T) {
	var u Unread[int]
	for i := range 10 * maxUnread {
		u.Keep(PeerID(strconv.Itoa(i)), i)
	}
	if !u.Keep("0", 7) {
		t.Fatal("a newer head of a peer that is kept was refused")
	}
	if got := len(u.TakeAll()); got != maxUnread {
		t.Fatalf("%d heads are kept, want at most %d", got, maxUnread)
	}
}

// After a new root all are looked at again, once and in their order; what is still not understood is kept anew.
func TestAllUnreadHeadsAreReadAgainInTheirOrder(t *testing.T) {
	var u Unread[int]
	for i, from := range []PeerID{"b", "a", ""} {
		u.Keep(from, i)
	}
	u.Keep("b", 7)
	got := ""
	for _, k := range u.TakeAll() {
		got += string(k.From) + strconv.Itoa(k.Head) + " "
		u.Keep(k.From, k.Head)
	}
	if from, head, ok := u.Take(); got != "b7 a1 2 " || from != "b" || head != 7 || !ok {
		t.Errorf("read again %q, then %q with %d", got, from, head)
	}
}
