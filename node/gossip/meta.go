package gossip

import "time"

// metaTimeout bounds how long ShowMeta waits until the others could have heard.
const metaTimeout = 5 * time.Second

// ShowMeta tells the members that Config.Meta gives something new.
func (g *Gossip) ShowMeta() error { return g.list.UpdateNode(metaTimeout) }
