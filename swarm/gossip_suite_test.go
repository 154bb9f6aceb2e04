package swarm

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/ed25519"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"net/netip"
	"slices"
	"testing"
	"time"

	"patchmesh/node/gossip"
	"patchmesh/policy"
	"patchmesh/swarm/wire"
)

// The suite of hostile gossip: real packets, sealed with the site's real key, go through the real gate
// (sieve and guard), real heads are judged by policy, and what is left reaches the core, all in
// virtual time.

const (
	gossipOrg, gossipSite = "acme", "branch"
	suiteUpdates          = 2
)

// headBook has real heads of versions 1 to suiteUpdates+1, forgeries of them and what a machine that
// trusts a version says of each. Verdicts are kept: a run asks a thousand times.
type headBook struct {
	trusts   map[int64]*policy.Trust
	genuine  [][]byte
	forged   [][]byte
	verdicts map[string]int64 // 0: not followed
	now      time.Time
}

func newHeadBook(t *testing.T, now time.Time) *headBook {
	t.Helper()
	signer := func(name string) policy.Signer {
		s, err := policy.NewSigner(ed25519.NewKeyFromSeed(bytes.Repeat([]byte(name)[:1], ed25519.SeedSize)))
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	k := policy.RoleKeys{
		Root: []policy.Signer{signer("r")}, RootThreshold: 1, Approvers: []policy.Signer{signer("a")}, Threshold: 1,
		Online: policy.OnlineKeys{Timestamp: signer("t"), Snapshot: signer("s"), Roster: signer("o")},
	}
	files, err := policy.NewRepository(gossipOrg, k, &policy.Roster{Org: gossipOrg}, now)
	if err != nil {
		t.Fatal(err)
	}
	b := &headBook{trusts: map[int64]*policy.Trust{}, verdicts: map[string]int64{}, now: now}
	for {
		trust, err := policy.OpenTrust(files, now)
		if err != nil {
			t.Fatal(err)
		}
		b.trusts[trust.HeadVersion()] = trust
		b.genuine = append(b.genuine, files.Timestamp)
		if len(b.genuine) > suiteUpdates {
			break
		}
		if files, err = trust.Publish(nil, nil, k.Online, now); err != nil {
			t.Fatal(err)
		}
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for _, h := range b.genuine {
		for v := range 20 { // higher versions, longer lives, other bytes, other keys' signatures
			b.forged = append(b.forged,
				bytes.Replace(h, []byte(`"version":`), fmt.Appendf(nil, `"version":%d`, v+1), 1),
				bytes.Replace(h, []byte(`"expires":"2`), fmt.Appendf(nil, `"expires":"%d`, 3+v%7), 1))
			c := bytes.Clone(h)
			c[rng.IntN(len(c))] ^= 1 << rng.IntN(8)
			b.forged = append(b.forged, c, h[:rng.IntN(len(h)-1)+1])
		}
	}
	return b
}

// newer says whether a machine at a version follows a head, as node.heardHead decides it.
func (b *headBook) newer(t *testing.T, at int64, head []byte) (int64, bool) {
	key := fmt.Sprintf("%d %s", at, head)
	version, known := b.verdicts[key]
	if !known {
		_, v, err := b.trusts[at].CheckHead(head, b.now)
		if err == nil && v > at {
			version = v
		}
		if version > 0 && !slices.ContainsFunc(b.genuine, func(g []byte) bool { return bytes.Equal(g, head) }) {
			t.Fatalf("a forged head is followed: %q", head)
		}
		b.verdicts[key] = version
	}
	return version, version > 0
}

// liar holds the gossip key and no certificate: what it says travels in packets alone.
type liar struct {
	rng   *rand.Rand
	addr  netip.AddrPort
	style int // what it likes best
}

// suite is one run.
type gossipSuite struct {
	*world
	book   *headBook
	aead   cipher.AEAD
	label  []byte
	gates  map[PeerID]*gossip.Gate
	addrs  map[PeerID]netip.AddrPort
	heard  []([]byte) // packets seen on the wire, for replays
	passed int
	sent   int
}

func newGossipSuite(t *testing.T, book *headBook, machines int) *gossipSuite {
	t.Helper()
	key := bytes.Repeat([]byte{7}, 32)
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	s := &gossipSuite{world: newWorld(t, machines, machines/2), book: book, label: []byte("patchmesh/" + gossipOrg + "/" + gossipSite), gates: map[PeerID]*gossip.Gate{}, addrs: map[PeerID]netip.AddrPort{}}
	if s.aead, err = cipher.NewGCM(block); err != nil {
		t.Fatal(err)
	}
	for i, id := range s.order {
		if s.gates[id], err = gossip.NewGate(gossipOrg, gossipSite, key); err != nil {
			t.Fatal(err)
		}
		s.addrs[id] = netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i + 1)}), 7700)
	}
	return s
}

// seal makes a packet as a member does: label, version, nonce, sealed bytes with a checksum in front.
func (s *gossipSuite) seal(rng *rand.Rand, plain []byte) []byte {
	plain = append(binary.BigEndian.AppendUint32([]byte{12}, crc32.ChecksumIEEE(plain)), plain...)
	b := append([]byte{244, byte(len(s.label))}, s.label...)
	nonce := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint64(nil, rng.Uint64()), rng.Uint32())
	return s.aead.Seal(append(append(b, 1), nonce...), nonce, plain, s.label)
}

// packet arrives at a machine. What memberlist would make of member messages changes the member list,
// which is no event to the core; a rumour goes on to the machine's judgement.
func (s *gossipSuite) packet(to PeerID, from netip.AddrPort, b, rumour []byte) {
	s.sent++
	n := s.nodes[to]
	if !n.alive || !s.gates[to].Packet(b, from, s.now) {
		return
	}
	s.passed++
	if rumour == nil {
		return
	}
	head, ok := s.gates[to].Rumour(rumour, s.now)
	if !ok {
		return
	}
	if version, newer := s.book.newer(s.t, n.core.news.version, head); newer {
		s.step(n, Heard{Version: version})
	}
}

func (s *gossipSuite) rumour(head []byte) []byte {
	b, err := wire.EncodeRumour(wire.Rumour{Site: gossipSite, Timestamp: head})
	if err != nil && !errors.Is(err, wire.ErrTooLarge) {
		s.t.Fatal(err)
	}
	return b
}

// lie is one packet of a liar.
func (s *gossipSuite) lie(l *liar) {
	to := s.order[1+l.rng.IntN(len(s.order)-1)]
	kind, from := l.style, l.addr
	if l.rng.IntN(2) == 0 {
		kind = l.rng.IntN(5)
	}
	if l.rng.IntN(4) == 0 { // in somebody else's name
		from = s.addrs[s.order[l.rng.IntN(len(s.order))]]
	}
	switch kind {
	case 0, 1: // a forged head; an old one again
		head := s.book.forged[l.rng.IntN(len(s.book.forged))]
		if kind == 1 {
			head = s.book.genuine[l.rng.IntN(int(s.version))]
		}
		if r := s.rumour(head); r != nil {
			b := s.seal(l.rng, append([]byte{8}, r...))
			s.heard = append(s.heard, b)
			s.packet(to, from, b, r)
		}
	case 2: // this one is dead, that one suspect, here is a new one
		b := s.seal(l.rng, []byte{[]byte{3, 4, 5}[l.rng.IntN(3)], 0x80})
		for range 1 + l.rng.IntN(20) { // a flood of them
			s.packet(to, from, b, nil)
		}
	case 3: // a packet from before, as it was
		if len(s.heard) > 0 {
			s.packet(to, from, s.heard[l.rng.IntN(len(s.heard))], nil)
		}
	case 4: // what ends or keeps busy memberlist's parsers
		junk := make([]byte, l.rng.IntN(64))
		for i := range junk {
			junk[i] = byte(l.rng.Uint32())
		}
		s.packet(to, from, s.seal(l.rng, append([]byte{7}, junk...)), nil)
	}
}

// gossipRun distributes updates with so many liars, and says how long each took and what was asked.
func gossipRun(t *testing.T, book *headBook, seed, lies uint64, machines, liars int) (took []time.Duration, asks int, s *gossipSuite) {
	s = newGossipSuite(t, book, machines)
	rng := rand.New(rand.NewPCG(seed, 5))
	for i := range liars {
		l := &liar{rng: rand.New(rand.NewPCG(lies, uint64(i))), addr: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 9, byte(i + 1)}), 7700), style: i % 5}
		every := time.Duration(2+l.rng.IntN(20)) * time.Millisecond
		var again func()
		again = func() { s.lie(l); s.after(every, again) }
		s.after(every, again)
	}
	for _, id := range s.order {
		s.nodes[id].asks = 0
	}
	for u := range suiteUpdates {
		s.publish(fmt.Sprintf("u%d", u), 6+rng.IntN(10))
		for range 8 { // the honest rumour, to some of the site
			to := s.order[1+rng.IntN(machines)]
			r := s.rumour(book.genuine[s.version-1])
			s.packet(to, s.addrs["seed"], s.seal(rng, append([]byte{8}, r...)), r)
		}
		took = append(took, s.everybody(policy.UpdateID(fmt.Sprintf("u%d", u)), machines, time.Minute))
	}
	s.run(2 * time.Second) // the lies go on
	for _, id := range s.order {
		asks = max(asks, s.nodes[id].asks)
	}
	return took, asks, s
}

// S-GOSSIP: 1 to 30 % of those that hold the site's gossip key lie. Distribution takes at most twice
// the time of the same run without them, and nobody asks for more than three documents more.
func TestLiarsWithTheGossipKeyDoNotStopDistribution(t *testing.T) {
	const machines = 10
	book := newHeadBook(t, time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
	runs, packets, passed := soak(20, 5000), 0, 0
	worst, extra := 0.0, 0
	clean := map[uint64][]time.Duration{}
	cleanAsks := map[uint64]int{}
	for run := range runs {
		world := uint64(run % 50) // fifty worlds, each with other lies
		if _, ok := clean[world]; !ok {
			clean[world], cleanAsks[world], _ = gossipRun(t, book, world, 0, machines, 0)
		}
		share := 1 + run%30 // per cent of those that hold the key
		liars := max(1, machines*share/(100-share))
		took, asks, s := gossipRun(t, book, world, uint64(run), machines, liars)
		packets, passed = packets+s.sent, passed+s.passed
		for i, d := range took {
			c := max(clean[world][i], 200*time.Millisecond) // virtual milliseconds of jitter are no delay
			worst = max(worst, d.Seconds()/c.Seconds())
		}
		extra = max(extra, asks-cleanAsks[world])
	}
	t.Logf("%d runs, %d packets, %d passed the gate, %d verdicts; slowest %.2f of the clean time, %d more questions at most", runs, packets, passed, len(book.verdicts), worst, extra)
	if worst > 2 {
		t.Errorf("distribution took %.2f times as long", worst)
	}
	if extra > 3 {
		t.Errorf("%d more questions for documents than without liars", extra)
	}
}
