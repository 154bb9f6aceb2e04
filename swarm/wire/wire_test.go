package wire

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"io"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"patchmesh/content"
	"patchmesh/swarm/rate"
)

var someID = content.FromSHA256([32]byte{0: 0xAA, 31: 0xBB})

// samples has one message of every kind with the bytes it must have for ever.
var samples = []struct {
	m     Message
	bytes string
}{
	{Hello{Version: 1, Cert: []byte("cert"), Port: 7070, Seed: true, HeadVersion: 300, Boot: 1, Seq: 2},
		"1d" + "01" + "01" + "0463657274" + "9e37" + "01" + "00" + "ac02" + "0000000000000001" + "0000000000000002"},
	{Ready{}, "0102"},
	{Flags{Egress: true}, "020301"},
	{Head{Timestamp: []byte("ts")}, "0404027473"},
	{Have{Payload: someID, Chunks: 9, Want: true, Bits: []byte{0xFF, 0x01}},
		"2505" + idHex + "09" + "01" + "ff01"},
	{Gained{Payload: someID, Indexes: []int{3, 300}}, "2506" + idHex + "02" + "03" + "ac02"},
	{Lost{Payload: someID}, "2107" + idHex},
	{Synced{}, "0108"},
	{Lease{Payload: someID, Held: true}, "2209" + idHex + "01"},
	{Report{Machine: "m1", Seq: 7, Body: []byte("x")}, "0e0a" + "026d31" + "0000000000000007" + "0178"},
	{ReportAck{Machine: "m1", Seq: 7}, "0c0b" + "026d31" + "0000000000000007"},
	{Peers{Peers: []PeerAddr{{ID: "p", Addr: "10.0.0.1:1"}}}, "0f0c" + "01" + "0170" + "0a31302e302e302e313a31"},
	{Ping{}, "010d"},
	{Goodbye{Code: CodeDuplicate, Reason: "no"}, "050e" + "01" + "026e6f"},
	{GossipKeyAsk{Epoch: 300}, "030f" + "ac02"},
	{GossipKey{Epoch: 300, Key: content.Sum([]byte("key")).SHA256()}, "2310" + "ac02" + "2c70e12b7a0646f92279f427c7b38e7334d8e5389cff167a1dc30e73f826b683"},
	{Spent{Entries: []rate.Entry{{Machine: "m", Day: 1, DayBytes: 300, Month: 2, MonthBytes: 301}}}, "0a11" + "01" + "016d" + "01" + "ac02" + "02" + "ad02"},
	{Trail{Payload: someID, What: 2, Holder: "m1", Seq: 300, Hops: 3}, "2813" + idHex + "02" + "026d31" + "ac02" + "03"},
	{Relay{Payload: someID, On: true}, "2214" + idHex + "01"},
	{Card{Signed: bytes.Repeat([]byte{7}, 65)}, "4315" + "41" + strings.Repeat("07", 65)},
	{SitePeers{Site: "s", Peers: []PeerAddr{{ID: "p", Addr: "10.0.0.1:1"}}}, "1116" + "0173" + "01" + "0170" + "0a31302e302e302e313a31"},
	{Role{}, "021700"},
	{Role{Cache: true}, "021701"},
	{Role{WiFi: true}, "021702"},
	{Role{Cache: true, WiFi: true}, "021703"},
	{Gate{Serve: "net-vpn", WAN: "x"}, "0b12" + "076e65742d76706e" + "0178"},
}

const idHex = "aa000000000000000000000000000000000000000000000000000000000000bb"

func TestBytesOfEveryMessageNeverChange(t *testing.T) {
	seen := map[Kind]bool{}
	for _, s := range samples {
		seen[s.m.Kind()] = true
		b, err := Encode(nil, s.m)
		if err != nil {
			t.Fatalf("%T: %v", s.m, err)
		}
		if got := hex.EncodeToString(b); got != s.bytes {
			t.Errorf("%T is\n %s, was\n %s", s.m, got, s.bytes)
		}
		back, err := Decode(b)
		if err != nil || !reflect.DeepEqual(back, s.m) {
			t.Errorf("%T comes back as %+v, %v", s.m, back, err)
		}
	}
	for k := KindHello; int(k) < len(kinds); k++ {
		if !seen[k] {
			t.Errorf("%s has no golden bytes", k)
		}
	}
}

func TestLargestMessagesFit(t *testing.T) {
	name := strings.Repeat("n", MaxMachineBytes)
	indexes := make([]int, MaxGained)
	hints := make([]PeerAddr, MaxPeerHints)
	for i := range indexes {
		indexes[i] = content.MaxChunks - 1
	}
	for i := range hints {
		hints[i] = PeerAddr{ID: name, Addr: strings.Repeat("a", MaxAddrBytes)}
	}
	for _, m := range []Message{
		Hello{Version: maxVersion, Cert: make([]byte, MaxCertBytes), Port: 65535, HeadVersion: math.MaxInt64, Boot: math.MaxUint64, Seq: math.MaxUint64},
		Head{Timestamp: make([]byte, MaxTimestampBytes)},
		Have{Payload: someID, Chunks: content.MaxChunks, Bits: make([]byte, content.MaxChunks/8)},
		Gained{Payload: someID, Indexes: indexes},
		Report{Machine: name, Seq: math.MaxUint64, Body: make([]byte, MaxReportBytes)},
		ReportAck{Machine: name}, Peers{Peers: hints}, SitePeers{Site: name[:MaxSiteBytes], Peers: hints},
		Goodbye{Reason: strings.Repeat("r", MaxReasonBytes)},
		Spent{Entries: slices.Repeat([]rate.Entry{{Machine: name, Day: maxDate, DayBytes: rate.MaxEntryBytes, Month: maxDate, MonthBytes: rate.MaxEntryBytes}}, MaxSpentEntries)},
		Gate{Serve: strings.Repeat("r", MaxGateBytes), WAN: strings.Repeat("w", MaxGateBytes)},
	} {
		b, err := Encode(nil, m)
		if err != nil {
			t.Errorf("%T: %v", m, err)
		} else if back, err := Decode(b); err != nil || !reflect.DeepEqual(back, m) {
			t.Errorf("%T does not come back: %v", m, err)
		}
	}
}

func TestEncodeRefusesWhatTheOtherSideWould(t *testing.T) {
	for _, m := range []Message{
		Hello{Version: 1, Port: 0}, Hello{Version: 0, Port: 1}, Hello{Version: 1, Port: 65536},
		Hello{Version: 1, Port: 1, HeadVersion: -1}, Hello{Version: 1, Port: 1, Cert: make([]byte, MaxCertBytes+1)},
		Head{Timestamp: make([]byte, MaxTimestampBytes+1)},
		Have{Payload: someID, Chunks: 9, Bits: []byte{1}}, Have{Payload: someID, Chunks: 9, Bits: []byte{0, 2}},
		Have{Chunks: 8, Bits: []byte{1}}, Have{Payload: someID}, Have{Payload: someID, Chunks: -1},
		Gained{Payload: someID}, Gained{Payload: someID, Indexes: []int{-1}},
		Gained{Payload: someID, Indexes: []int{content.MaxChunks}}, Gained{Payload: someID, Indexes: make([]int, MaxGained+1)},
		Report{Machine: "a\x1b[2J"}, Report{Machine: "m", Body: make([]byte, MaxReportBytes+1)},
		Peers{Peers: make([]PeerAddr, MaxPeerHints+1)}, SitePeers{Peers: make([]PeerAddr, MaxPeerHints+1)}, SitePeers{Site: "\x1b"}, Goodbye{Code: codeEnd}, Lost{}, Lease{}, Trail{}, Relay{}, Card{}, Card{Signed: make([]byte, 64)}, Card{Signed: make([]byte, maxCardBytes+1)},
		Trail{Payload: someID, What: 1}, Trail{Payload: someID, Holder: "m"}, Trail{Payload: someID, What: 4, Holder: "m"}, Trail{Payload: someID, What: 1, Holder: "m", Hops: MaxTrailHops + 1}, GossipKeyAsk{}, GossipKey{},
		Spent{}, Spent{Entries: make([]rate.Entry, MaxSpentEntries+1)}, Spent{Entries: []rate.Entry{{Machine: "m", DayBytes: -1}}},
		Spent{Entries: []rate.Entry{{Machine: "m", Day: maxDate + 1}}}, Gate{Serve: strings.Repeat("r", MaxGateBytes+1)}, Gate{WAN: "\x1b[2J"},
	} {
		kept := []byte("kept")
		b, err := Encode(kept, m)
		if !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%+v: %v", m, err)
		}
		if string(b) != "kept" {
			t.Errorf("%T left %q", m, b)
		}
	}
}

func TestDecodeRefusesHostileFrames(t *testing.T) {
	for name, text := range map[string]string{
		"nothing": "", "empty frame": "00", "kind zero": "0100", "unknown kind": "017f",
		"length too long": "020d", "trailing byte": "020d00", "two frames": "010d010d",
		"length not shortest": "81000d", "flag of two": "020302",
		"port not shortest":  "1e01" + "01" + "00" + "9eb700" + "00" + "00" + "00" + strings.Repeat("00", 16),
		"stray have-bits":    "2505" + idHex + "09" + "01" + "ff02",
		"have without bits":  "2305" + idHex + "09" + "01",
		"indexes by claim":   "2306" + idHex + "ff1f",
		"control characters": "050e" + "00" + "021b5b",
		"goodbye code":       "030e" + "63" + "00",
		"zero payload":       "2107" + strings.Repeat("00", 32),
		"huge length":        "ffffffff7f0d",
		"gossip epoch zero":  "020f00",
		"short gossip key":   "0310" + "01" + "00",
		"long gossip key":    "2310" + "01" + strings.Repeat("00", 33),
	} {
		b, err := hex.DecodeString(text)
		if err != nil {
			t.Fatal(name, err)
		}
		if m, err := Decode(b); !errors.Is(err, ErrFormat) && !errors.Is(err, ErrTooLarge) {
			t.Errorf("%s: %+v, %v", name, m, err)
		}
	}
}

// A reader that counts shows that nothing of an oversize body is read, whatever its length claims.
func TestReadMessageStopsBeforeTheBody(t *testing.T) {
	for name, head := range map[string]string{
		"oversize hello": "80ff3f01", "oversize frame": "ffffff7f0a", "unending length": "ffffffffffffff", "ping with body": "050d",
	} {
		b, _ := hex.DecodeString(head)
		src := &endless{head: b}
		_, err := ReadMessage(bufio.NewReaderSize(src, 16))
		if !errors.Is(err, ErrTooLarge) && !errors.Is(err, ErrFormat) {
			t.Errorf("%s: %v", name, err)
		}
		if src.read > 64 {
			t.Errorf("%s: read %d bytes", name, src.read)
		}
	}
}

type endless struct {
	head []byte
	read int
}

func (e *endless) Read(p []byte) (int, error) {
	n := copy(p, e.head)
	e.head = e.head[n:]
	if n == 0 {
		n = len(p)
	}
	e.read += n
	return n, nil
}

func TestReadMessageTellsEndFromCut(t *testing.T) {
	b, err := Encode(nil, Head{Timestamp: []byte("timestamp")})
	if err != nil {
		t.Fatal(err)
	}
	for n := range b {
		_, err := ReadMessage(bufio.NewReader(bytes.NewReader(b[:n])))
		if want := io.ErrUnexpectedEOF; n == 0 && err != io.EOF || n > 0 && err != want {
			t.Errorf("cut at %d: %v", n, err)
		}
	}
}

func TestReadMessageKeepsStrangersToTheirHello(t *testing.T) {
	b, _ := Encode(nil, Report{Machine: "m", Body: make([]byte, MaxReportBytes)})
	if _, err := ReadMessage(bufio.NewReader(bytes.NewReader(b)), KindHello); !errors.Is(err, ErrUnexpected) {
		t.Fatal(err)
	}
}

func TestChunkFrames(t *testing.T) {
	var b []byte
	b = AppendAsk(b, Ask{Req: 7, Payload: someID, Index: 9})
	b = AppendCancel(b, Cancel{Req: 7})
	if got := hex.EncodeToString(b); got != "610000000000000007"+idHex+"00000009"+"630000000000000007" {
		t.Error("questions are", got)
	}
	r := bufio.NewReaderSize(bytes.NewReader(b), AskBytes)
	if q, err := ReadQuestion(r); err != nil || q != (Ask{Req: 7, Payload: someID, Index: 9}) {
		t.Error(q, err)
	}
	if q, err := ReadQuestion(r); err != nil || q != (Cancel{Req: 7}) {
		t.Error(q, err)
	}
	if _, err := ReadQuestion(r); err != io.EOF {
		t.Error(err)
	}
	a := Answer{Req: 7, Status: StatusOK, Length: 5}
	b = make([]byte, AnswerBytes)
	PutAnswer(b, a)
	if got := hex.EncodeToString(b); got != "7200000000000000070000000005" {
		t.Error("answer is", got)
	}
	if got, err := ReadAnswer(bufio.NewReader(bytes.NewReader(b))); err != nil || got != a {
		t.Error(got, err)
	}
}

func TestChunkFramesRefuseHostileBytes(t *testing.T) {
	for name, a := range map[string]Answer{
		"too long": {Status: StatusOK, Length: content.MaxChunkBytes + 1}, "ok without bytes": {Status: StatusOK},
		"busy with bytes": {Status: StatusBusy, Length: 1}, "unknown status": {Status: statusEnd},
	} {
		b := make([]byte, AnswerBytes)
		PutAnswer(b, a)
		if _, err := ReadAnswer(bufio.NewReader(bytes.NewReader(b))); err == nil {
			t.Error(name, "accepted")
		}
	}
	for name, b := range map[string][]byte{
		"index": AppendAsk(nil, Ask{Payload: someID, Index: content.MaxChunks}), "zero payload": AppendAsk(nil, Ask{}),
		"unknown tag": make([]byte, AskBytes),
	} {
		if _, err := ReadQuestion(bufio.NewReader(bytes.NewReader(b))); !errors.Is(err, ErrFormat) {
			t.Error(name, err)
		}
	}
}

func TestDocFrames(t *testing.T) {
	for _, a := range []DocAsk{
		{Kind: DocContent, ID: someID, MaxBytes: MaxDocBytes}, {Kind: DocRoot, RootVersion: 3, MaxBytes: 1},
		{Kind: DocErrands, MaxBytes: 1}, {Kind: DocInventory, MaxBytes: 1}, {Kind: DocAnswers, MaxBytes: 1}, {Kind: DocAnswers, RootVersion: 1 << 40, MaxBytes: 1},
		{Kind: DocReceiptsOwed, RootVersion: 1 << 40, MaxBytes: 1}, {Kind: DocReceiptsSigned, MaxBytes: 1}, {Kind: DocReceipts, RootVersion: 1, MaxBytes: 1},
	} {
		b, err := AppendDocAsk(nil, a)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := ReadDocAsk(bytes.NewReader(b)); err != nil || got != a {
			t.Error(got, err)
		}
	}
	for _, a := range []DocAsk{
		{}, {Kind: DocContent, MaxBytes: 1}, {Kind: DocRoot, MaxBytes: 1}, {Kind: DocRoot, RootVersion: -1, MaxBytes: 1},
		{Kind: DocContent, ID: someID}, {Kind: DocContent, ID: someID, MaxBytes: MaxDocBytes + 1},
		{Kind: DocContent, ID: someID, RootVersion: 1, MaxBytes: 1}, {Kind: 9, ID: someID, MaxBytes: 1},
		{Kind: DocErrands, RootVersion: 1, MaxBytes: 1}, {Kind: DocInventory, RootVersion: 1, MaxBytes: 1}, {Kind: DocReceipts + 1, MaxBytes: 1}, {Kind: DocReceipts, RootVersion: -1, MaxBytes: 1}, {Kind: DocReceiptsOwed, ID: someID, MaxBytes: 1}, {Kind: DocAnswers, RootVersion: -1, MaxBytes: 1}, {Kind: DocAnswers, ID: someID, MaxBytes: 1},
	} {
		if _, err := AppendDocAsk(nil, a); err == nil {
			t.Errorf("%+v accepted", a)
		}
	}
	for name, c := range map[string]struct {
		a    DocAnswer
		most int
		want error
	}{
		"one byte more": {DocAnswer{Found: true, Length: 11}, 10, ErrTooLarge}, "absent with bytes": {DocAnswer{Length: 1}, 10, ErrFormat},
		"fits": {DocAnswer{Found: true, Length: 10}, 10, nil},
	} {
		if _, err := ReadDocAnswer(bytes.NewReader(AppendDocAnswer(nil, c.a)), c.most); !errors.Is(err, c.want) {
			t.Error(name, err)
		}
	}
}

func TestEnrolFrames(t *testing.T) {
	var b bytes.Buffer
	if err := WriteEnrolRequest(&b, []byte("please")); err != nil {
		t.Fatal(err)
	}
	if got, err := ReadEnrolRequest(&b); err != nil || string(got) != "please" {
		t.Error(got, err)
	}
	if err := WriteEnrolRequest(&b, make([]byte, MaxEnrolRequestBytes+1)); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	if _, err := ReadEnrolRequest(bytes.NewReader([]byte{0, 0, 0x20, 1})); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
	big := bytes.Repeat([]byte("x"), MaxEnrolAnswerBytes)
	if err := WriteEnrolAnswer(&b, big, ""); err != nil {
		t.Fatal(err)
	}
	if got, _, ok, err := ReadEnrolAnswer(&b); err != nil || !ok || !bytes.Equal(got, big) {
		t.Error(ok, err)
	}
	if err := WriteEnrolAnswer(&b, nil, "spent\x1b[31m token"); err != nil {
		t.Fatal(err)
	}
	if _, why, ok, err := ReadEnrolAnswer(&b); err != nil || ok || why != "spent.[31m token" {
		t.Error(why, ok, err)
	}
}

func TestRumourFitsAPacketOrIsAnError(t *testing.T) {
	b, err := EncodeRumour(Rumour{Site: "hq", Timestamp: []byte("ts")})
	if err != nil || hex.EncodeToString(b) != "01"+"026871"+"027473" {
		t.Fatalf("%x %v", b, err)
	}
	if r, err := DecodeRumour(b); err != nil || r.Site != "hq" || string(r.Timestamp) != "ts" {
		t.Error(r, err)
	}
	if _, err := EncodeRumour(Rumour{Site: "hq", Timestamp: make([]byte, MaxRumourBytes)}); !errors.Is(err, ErrTooLarge) {
		t.Error(err)
	}
}
