//go:build linux

package bench

import (
	"encoding/binary"
	"errors"
	"testing"

	"golang.org/x/sys/unix"
)

func netlinkAttr(kind uint16, body []byte) []byte {
	b := make([]byte, attrHeadBytes, align4(attrHeadBytes+len(body)))
	binary.NativeEndian.PutUint16(b, uint16(attrHeadBytes+len(body)))
	binary.NativeEndian.PutUint16(b[2:], kind)
	b = append(b, body...)
	return b[:cap(b)]
}

func disciplineMessage(ifindex int, kind string, sizeBytes uint64, packets uint32) []byte {
	basic := binary.NativeEndian.AppendUint32(binary.NativeEndian.AppendUint64(nil, sizeBytes), packets)
	body := make([]byte, tcMessageBytes)
	binary.NativeEndian.PutUint32(body[4:], uint32(ifindex))
	body = append(body, netlinkAttr(tcaKind, []byte(kind+"\x00"))...)
	body = append(body, netlinkAttr(tcaStats2, netlinkAttr(tcaStatsBasic, basic))...)
	head := make([]byte, unix.NLMSG_HDRLEN)
	binary.NativeEndian.PutUint32(head, uint32(len(head)+len(body)))
	binary.NativeEndian.PutUint16(head[4:], unix.RTM_NEWQDISC)
	return append(head, body...)
}

func TestFindShaperPicksTheShaperOfTheLink(t *testing.T) {
	dump := disciplineMessage(3, "noqueue", 1, 1)
	dump = append(dump, disciplineMessage(4, shapedKind, 2, 2)...)
	dump = append(dump, disciplineMessage(3, shapedKind, 1<<40, 77)...)
	size, packets, found, _, err := findShaper(dump, 3)
	if err != nil || !found || size != 1<<40 || packets != 77 {
		t.Errorf("got %d bytes, %d packets, found %v, %v; want 2^40, 77", size, packets, found, err)
	}
	if _, _, found, _, err := findShaper(dump, 5); found || err != nil {
		t.Errorf("a link without a shaper: found %v, %v", found, err)
	}
	for cut := 1; cut < len(dump); cut++ {
		if _, _, _, _, err := findShaper(dump[:cut], 3); err != nil && !errors.Is(err, errNetlink) {
			t.Fatalf("cut at %d: %v", cut, err)
		}
	}
}
