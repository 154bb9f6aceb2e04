package enrol

import (
	"crypto/ed25519"
	"crypto/sha256"
	"errors"
	"slices"
	"sync"
	"time"
)

// maxProofs bounds the certificates that are remembered: a few megabytes at most.
const maxProofs = 4096

// Proofs is Check with a memory. Gossip shows the same certificates again with every exchange of member
// lists, and to verify a signature costs more than all the rest of it. What is remembered is what the bytes
// alone prove: that these very bytes, by their SHA-256, were signed by the key which they name. Whether that
// key counts, for whom the certificate is, and when, is judged anew each time. The zero value is empty; it is
// safe for concurrent use.
type Proofs struct {
	mu   sync.Mutex
	held map[[sha256.Size]byte]Certificate
}

// Check is Check of this package. Only what a trusted key has issued is remembered, so that nobody else can
// fill the memory; where it is full, any of it makes room.
func (p *Proofs) Check(b []byte, keys []ed25519.PublicKey, peerID string, now time.Time) (Certificate, error) {
	if len(b) > 2*MaxCertBytes {
		return Check(b, keys, peerID, now) // refused before anything is computed of it
	}
	sum := sha256.Sum256(b)
	p.mu.Lock()
	c, known := p.held[sum]
	p.mu.Unlock()
	if known {
		c.Groups = slices.Clone(c.Groups)
		return c, c.judge(keys, peerID, now)
	}
	c, err := Check(b, keys, peerID, now)
	if err == nil || errors.Is(err, ErrExpired) || errors.Is(err, ErrWrongPeer) {
		p.keep(sum, c)
	}
	return c, err
}

func (p *Proofs) keep(sum [sha256.Size]byte, c Certificate) {
	c.Groups = slices.Clone(c.Groups)
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.held == nil {
		p.held = map[[sha256.Size]byte]Certificate{}
	}
	if len(p.held) >= maxProofs {
		for old := range p.held {
			delete(p.held, old)
			break
		}
	}
	p.held[sum] = c
}
