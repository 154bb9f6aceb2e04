package node

import (
	"fmt"

	"patchmesh/content"
	"patchmesh/node/api"
)

// takeFromOthers takes what a payload that begins has in common with others of this store, before anything is asked of
// anybody: a new version of an update is fetched as far as it has changed. It needs no giver, so provenance says "store".
// have is what is there, and so is what it returns.
func (n *Node) takeFromOthers(m *content.PayloadMap, have *content.Bits) (*content.Bits, error) {
	if have.Full() {
		return have, nil
	}
	chunks, bytes, err := n.store.Reuse(m.ID())
	if err != nil {
		n.log.Warn("what a payload has in common with others of the store was not taken from there; it is fetched", "payload", m.ID().Short(), "err", err)
	}
	if chunks == 0 {
		return have, nil
	}
	n.ledger.found(m.ID(), m.Len())
	text := fmt.Sprintf("%d of %d chunks of %s, %s, are the same in other updates of this store and were taken from there", chunks, m.Len(), n.payloadName(m.ID()), api.Size(bytes))
	n.tellStore(m.ID(), text)
	return n.store.Have(m.ID())
}
