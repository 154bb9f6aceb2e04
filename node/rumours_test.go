package node

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"patchmesh/node/transport"
	"patchmesh/swarm/wire"
)

// deadLie is what a holder of the site's key can say of a member: that it has died, in a packet as
// memberlist makes them.
func deadLie(t *testing.T, r *running, victim string, incarnation uint32) []byte {
	t.Helper()
	text := func(b []byte, s string) []byte {
		if len(s) < 32 {
			return append(append(b, 0xA0|byte(len(s))), s...)
		}
		return append(append(b, 0xDA, 0, byte(len(s))), s...)
	}
	plain := []byte{5, 0x83} // dead, a map of three
	plain = text(text(plain, "From"), r.id)
	plain = binary.BigEndian.AppendUint32(append(text(plain, "Incarnation"), 0xCE), incarnation)
	plain = text(text(plain, "Node"), victim)
	block, err := aes.NewCipher(r.keyPlan().use)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		t.Fatal(err)
	}
	label := "patchmesh/" + r.member.Org + "/" + r.member.Site
	nonce := make([]byte, 12)
	if _, err := rand.Read(nonce); err != nil {
		t.Fatal(err)
	}
	b := append([]byte{244, byte(len(label))}, label...)
	return aead.Seal(append(append(b, 1), nonce...), nonce, plain, []byte(label))
}

// T11: whoever holds the gossip key can have everybody believe that everybody is dead. Sessions are
// the truth: none ends, and an update goes through the site as before.
func TestLiesAboutDeathsEndNoSession(t *testing.T) {
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	b := m.machine("b", a.addr, Config{Egress: EgressNo})
	until(t, "both to be members", func() bool { return len(a.gossip.Members()) == 1 && len(b.gossip.Members()) == 1 })
	c, err := net.Dial("udp", a.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	stop, done := make(chan struct{}), make(chan struct{})
	var believed atomic.Bool
	go func() {
		defer close(done)
		for i := uint32(1); ; i++ {
			select {
			case <-stop:
				return
			case <-time.After(5 * time.Millisecond):
			}
			_, _ = c.Write(deadLie(t, a, b.id, 1<<20+i))
			if len(a.gossip.Members()) == 0 {
				believed.Store(true)
			}
		}
	}()
	defer func() { close(stop); <-done }()
	until(t, "the lie to be believed", believed.Load)
	before := a.host.Peers()
	m.file("u1", payload(2<<20))
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return b.update(t, "u1").State == "installed" })
	if !a.connectedTo(b.id) || len(before) == 0 {
		t.Error("the session with the one said to be dead has ended")
	}
}

// A certified liar claims a head that does not exist. Nobody goes looking for it.
func TestClaimedHeadVersionIsNotChased(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	a := m.machine("a", "", Config{Egress: EgressYes})
	asked := &askCounter{}
	host := m.infiltrate(asked, 1<<60)
	if _, err := host.Connect(context.Background(), a.id, a.addr); err != nil {
		t.Fatal(err)
	}
	until(t, "the session", func() bool { return a.connectedTo(host.ID()) })
	_, newest := a.believer.newestHead()
	for claim, want := range map[int64]int64{1 << 60: newest, newest - 1: newest - 1} {
		if got, _ := a.believer.believable(claim); got != want {
			t.Errorf("a claim of %d counts as %d, want %d: the newest signed head is %d", claim, got, want, newest)
		}
	}
	m.file("u1", payload(100_000)) // and honest news gets through meanwhile
	m.approve("u1")
	until(t, "the update to be installed", func() bool { return a.update(t, "u1").State == "installed" })
	if n := asked.docs.Load(); n > 20 { // those of the update may be asked of it, a few each
		t.Errorf("the liar was asked for %d documents", n)
	}
}

type askCounter struct {
	noHandler
	docs atomic.Int64
}

func (c *askCounter) DocAsked(string, wire.DocAsk) ([]byte, bool) { c.docs.Add(1); return nil, false }

var _ transport.Handler = (*askCounter)(nil)

// joinCount counts the member lists that are asked for; memberlist tells of each.
type joinCount struct {
	slog.Handler
	n *atomic.Int64
}

func (j joinCount) Handle(ctx context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if strings.Contains(a.Value.String(), "Initiating push/pull") {
			j.n.Add(1)
		}
		return true
	})
	return j.Handler.Handle(ctx, r)
}

// Machines that start together become members of each other, and exchange their whole lists as often as there
// are machines, not as often as there are pairs.
func TestASiteThatStartsDoesNotJoinInPairs(t *testing.T) {
	t.Parallel()
	m := newMesh(t)
	const machines = 6
	var joins atomic.Int64
	var all []*running
	for i := range machines {
		name := fmt.Sprintf("m%d", i)
		m.join(name)
		var peers []string
		for _, r := range all {
			peers = append(peers, r.addr)
		}
		all = append(all, m.run(name, Config{Egress: EgressNo, Peers: peers, Log: slog.New(joinCount{logOnFailure(t, name).Handler(), &joins})}))
	}
	for _, r := range all {
		until(t, "everybody to be a member", func() bool { return len(r.gossip.Members()) == machines-1 && len(r.host.Peers()) >= machines-1 })
	}
	time.Sleep(2 * meetWait) // no event says that nobody joins any more
	if n := joins.Load(); n == 0 || n > 2*machines {
		t.Errorf("%d member lists were asked for by %d machines", n, machines)
	}
}
