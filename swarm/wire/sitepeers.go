package wire

// SitePeers gives hints where machines of a neighbour site may be reached, by a seed. With neither site nor peers it
// asks for them: of all the sites that the asker's own may take chunks from.
type SitePeers struct {
	Site  string
	Peers []PeerAddr
}

const maxSitePeersBody = 1 + MaxSiteBytes + maxPeersBody

// Kind is KindSitePeers.
func (SitePeers) Kind() Kind { return KindSitePeers }

func (p SitePeers) check() error {
	var c checks
	c.text("site", p.Site, MaxSiteBytes)
	if c.err != nil {
		return c.err
	}
	return Peers{p.Peers}.check()
}

func (p SitePeers) appendBody(dst []byte) []byte {
	return Peers{p.Peers}.appendBody(appendText(dst, p.Site))
}

func decodeSitePeers(d *decoder) Message {
	site := d.text(MaxSiteBytes, "site")
	return SitePeers{Site: site, Peers: decodePeers(d).(Peers).Peers}
}
