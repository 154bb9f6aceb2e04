package disk

import (
	"fmt"
	"io"
	"os"

	"patchmesh/content"
)

// writeHint notes chunk i as written, without syncing: the note outlives the process, not the power.
// One byte is written at a time, so no kill can leave half of it.
func (p *payload) writeHint(f *os.File, i int) error {
	p.hintMu.Lock()
	defer p.hintMu.Unlock()
	at := i >> 3
	p.hinted[at] |= 1 << (i & 7)
	if _, err := p.store.sys.writeAt(f, p.hinted[at:at+1], int64(at)); err != nil {
		p.hinted[at] &^= 1 << (i & 7)
		return mapSpace(fmt.Errorf("write hint %d: %w", i, err))
	}
	return nil
}

// rewriteHints makes the hint file say what have says. The caller holds io exclusively.
func (p *payload) rewriteHints() error {
	h, err := p.store.files.acquire(p)
	if err != nil {
		return err
	}
	defer p.store.files.release(h)
	p.hintMu.Lock()
	defer p.hintMu.Unlock()
	p.hinted = p.bits().Bytes()
	if _, err = p.store.sys.writeAt(h.hint, p.hinted, 0); err == nil {
		err = h.hint.Truncate(int64(len(p.hinted)))
	}
	if err != nil {
		return mapSpace(fmt.Errorf("write hints: %w", err))
	}
	return nil
}

// readHints is what the hint file says. Anything odd means no hints: they are a favour, not a promise.
func readHints(f *os.File, n int) *content.Bits {
	b, err := io.ReadAll(io.NewSectionReader(f, 0, content.MaxChunks/8+1))
	if err != nil {
		return content.NewBits(n)
	}
	hints, err := content.BitsFromBytes(n, b)
	if err != nil {
		return content.NewBits(n)
	}
	return hints
}
