package bundle

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"patchmesh/content"
)

// Index says what a medium holds. Nothing in it is signed and nothing in it is believed: it tells
// where to look, and what should be there so that what is missing can be named. Everything that is
// taken from the volumes is verified by itself.
type Index struct {
	Format int    `json:"format"`
	Org    string `json:"org"`            // for people
	Site   string `json:"site,omitempty"` // whom it was made for; empty: everybody
	Group  string `json:"group,omitempty"`

	Epoch     uint64    `json:"epoch"`
	HeadNo    int64     `json:"head_version"`
	ExpiresAt time.Time `json:"expires_at"` // of the head
	MadeAt    time.Time `json:"made_at"`

	Head      content.ID   `json:"head"`  // the signed timestamp, among the documents
	Roots     []RootRef    `json:"roots"` // of trust, older first, among the documents
	Documents []content.ID `json:"documents"`
	Answers   content.ID   `json:"answers,omitzero"` // renewed memberships, among the documents; zero: none

	DocFile  File      `json:"document_file"`
	Volumes  []File    `json:"volumes"`
	Payloads []Payload `json:"payloads"`
	Complete bool      `json:"complete"` // false: it was still being written
}

// RootRef is a root of trust.
type RootRef struct {
	Version int64      `json:"version"`
	ID      content.ID `json:"id"`
}

// File is a CAR file of the medium; its name is made from its number.
type File struct {
	Number    int   `json:"number"`
	SizeBytes int64 `json:"size_bytes"`
	Blocks    int   `json:"blocks"`
}

// Payload is a payload that whoever gets the medium shall have whole.
type Payload struct {
	ID          content.ID `json:"id"`
	Update      string     `json:"update"` // for people
	Chunks      int        `json:"chunks"`
	Carried     int        `json:"carried"`      // of them on the medium, when it is complete
	StoredBytes int64      `json:"stored_bytes"` // of the whole payload
}

// Limits of an index.
const (
	IndexFormat   = 1
	MaxIndexBytes = 16 << 20
	MaxFiles      = 9999
	maxDocuments  = 1 << 17
	maxPayloads   = 1 << 16
	maxRootRefs   = 4096
	maxIndexText  = 256
	MaxFileBytes  = 1<<32 - 1 // what FAT32 holds
)

// Encode writes the document.
func (x *Index) Encode() ([]byte, error) {
	x.Format = IndexFormat
	if err := x.check(); err != nil {
		return nil, err
	}
	b, err := json.MarshalIndent(x, "", " ")
	if err == nil && len(b) > MaxIndexBytes {
		err = fmt.Errorf("index of %d bytes: %w", len(b), content.ErrFormat)
	}
	return b, err
}

// DecodeIndex reads a document and checks all of it. ErrFormat.
func DecodeIndex(b []byte) (*Index, error) {
	if len(b) > MaxIndexBytes {
		return nil, fmt.Errorf("index of %d bytes: %w", len(b), content.ErrFormat)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	x := &Index{}
	if err := d.Decode(x); err != nil {
		return nil, fmt.Errorf("index: %w", errors.Join(content.ErrFormat, err))
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("index: something stands behind it: %w", content.ErrFormat)
	}
	return x, x.check()
}

func (x *Index) check() error {
	bad := func(what string, args ...any) error {
		return fmt.Errorf("index: "+what+": %w", append(args, content.ErrFormat)...)
	}
	switch {
	case x.Format != IndexFormat:
		return bad("format %d, this version knows %d", x.Format, IndexFormat)
	case len(x.Org) > maxIndexText || len(x.Site) > maxIndexText || len(x.Group) > maxIndexText:
		return bad("a name is too long")
	case len(x.Roots) > maxRootRefs || len(x.Documents) > maxDocuments || len(x.Payloads) > maxPayloads || len(x.Volumes) > MaxFiles:
		return bad("%d roots, %d documents, %d payloads, %d volumes", len(x.Roots), len(x.Documents), len(x.Payloads), len(x.Volumes))
	case x.Head.IsZero():
		return bad("no head")
	}
	last := 0
	for _, f := range append([]File{x.DocFile}, x.Volumes...) {
		if f.Number < 1 || f.Number > MaxFiles || f.SizeBytes < 1 || f.SizeBytes > MaxFileBytes || f.Blocks < 0 {
			return bad("file %d of %d bytes with %d blocks", f.Number, f.SizeBytes, f.Blocks)
		}
	}
	for _, f := range x.Volumes {
		if f.Number <= last {
			return bad("volume %d behind %d", f.Number, last)
		}
		last = f.Number
	}
	for _, p := range x.Payloads {
		if p.ID.IsZero() || p.Chunks < 1 || p.Chunks > content.MaxChunks || p.Carried < 0 || p.Carried > p.Chunks || len(p.Update) > maxIndexText ||
			p.StoredBytes < 1 || p.StoredBytes > content.MaxPayloadBytes {
			return bad("payload %s with %d of %d chunks", p.ID.Short(), p.Carried, p.Chunks)
		}
	}
	return nil
}
