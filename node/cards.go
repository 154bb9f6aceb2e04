package node

import (
	"crypto/ed25519"
	"time"

	"patchmesh/node/keys"
	"patchmesh/policy"
	"patchmesh/swarm"
	"patchmesh/swarm/orch"
	"patchmesh/swarm/wire"
)

// Cards of orchestrations: each is signed by its member with the key that is its identity, and passes through
// whoever is between. A card is judged before the core hears of it.

// programBegan is for clocks that only count on, where the system has none that counts sleep too.
var programBegan = time.Now()

// tellCard sends a card to neighbours, and signs it if it is this machine's own.
func (n *Node) tellCard(a swarm.TellCard) {
	signed := a.Signed
	if signed == nil {
		body, err := a.Card.Encode()
		if err != nil { // the core makes only what it would read
			n.log.Error("card of an orchestration not made", "orchestration", a.Card.Name, "err", err)
			return
		}
		signed = append(body, ed25519.Sign(n.key, orch.ToSign(n.member.Org, n.member.Site, body))...)
	}
	for _, to := range a.To {
		n.tell(to, wire.Card{Signed: signed})
	}
}

// cardArrived hands a card that is believed to the core.
func (n *Node) cardArrived(from string, m wire.Card) {
	if card, ok := n.believeCard(from, m); ok {
		n.events.send(swarm.CardHeard{From: swarm.PeerID(from), Card: card, Signed: m.Signed})
	}
}

// believeCard believes a card if a member that the approvals name has signed it for this site. One that was locked out
// has no session, but whoever still talks to it could pass on what it votes, or that it has failed.
func (n *Node) believeCard(from string, m wire.Card) (card orch.Card, ok bool) {
	body, sig := m.Signed[:len(m.Signed)-orch.SigBytes], m.Signed[len(m.Signed)-orch.SigBytes:]
	card, err := orch.DecodeCard(body)
	if err != nil {
		n.refuse(from, policy.ReasonTrustBadSignature, "orchestration: "+err.Error())
		return card, false
	}
	man := n.believer.current().Manifest()
	if man == nil || !man.OrchestrationNames(card.Name, card.Member) || n.isRevoked(card.Member) { // of approvals that one of us does not have yet
		return card, false
	}
	pub, err := keys.PublicKey(card.Member)
	if err != nil || !ed25519.Verify(pub, orch.ToSign(n.member.Org, n.member.Site, body), sig) {
		n.refuse(from, policy.ReasonTrustBadSignature, "orchestration "+card.Name+": a card that its member has not signed")
		return card, false
	}
	return card, true
}
