package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"patchmesh/content"
	"patchmesh/content/bundle"
	"patchmesh/node/api"
	"patchmesh/node/enrol"
	"patchmesh/node/media"
)

// ReturnedBundle says what was written for the way back.
type ReturnedBundle struct {
	Dir      string `json:"dir"`
	File     string `json:"file"`
	Reports  int    `json:"reports"`
	Bytes    int64  `json:"bytes"`
	Payloads int    `json:"payloads"` // in the have-list
	Renewals int    `json:"renewals"` // requests for memberships that end
	// Inventories are those that no seed has read yet.
	Inventories int            `json:"inventories"`
	Receipts    int            `json:"receipts"` // who signed for which bytes
	Missing     []api.NoReport `json:"missing,omitempty"`
}

// returnDoc is the root block of a return: what the other blocks are.
type returnDoc struct {
	Format  int          `json:"format"`
	Machine string       `json:"machine"`
	MadeAt  time.Time    `json:"made_at"`
	Have    content.ID   `json:"have"`
	Reports []content.ID `json:"reports"`

	Renewals    []content.ID `json:"renewals,omitempty"`
	Inventories []content.ID `json:"inventories,omitempty"`
}

// returnKind is what a block of a return is.
type returnKind byte

const (
	noBlock returnKind = iota
	reportBlock
	renewalBlock
	inventoryBlock
	haveBlock
)

// listed are the blocks that count.
func (d *returnDoc) listed() map[content.ID]returnKind {
	all := map[content.ID]returnKind{}
	for kind, list := range map[returnKind][]content.ID{
		reportBlock: d.Reports, renewalBlock: d.Renewals, inventoryBlock: d.Inventories, haveBlock: {d.Have},
	} {
		for _, id := range list {
			all[id] = kind
		}
	}
	return all
}

// tooLong: it lists more than any site sends.
func (d *returnDoc) tooLong() bool {
	return len(d.Reports) > maxReports || len(d.Renewals) > maxReports || len(d.Inventories) > maxReports
}

const (
	returnFormat = 1
	maxReturnDoc = 8 << 20
	returnBatch  = 16 << 20
)

// ExportReturn writes the way back: one file for this machine, replaced each time.
func ExportReturn(ctx context.Context, c api.Carrier, dir string) (*ReturnedBundle, error) {
	r, err := c.GiveReturn(ctx)
	if err != nil {
		return nil, err
	}
	f, err := media.Open(dir, true)
	if err != nil {
		return nil, mediaTrouble(err)
	}
	defer f.Close()
	doc := returnDoc{Format: returnFormat, Machine: r.Machine, MadeAt: r.MadeAt, Have: content.Sum(r.Have), Reports: []content.ID{}}
	blocks := [][]byte{r.Have}
	for _, b := range r.Reports {
		doc.Reports, blocks = append(doc.Reports, content.Sum(b)), append(blocks, b)
	}
	for _, b := range r.Renewals {
		doc.Renewals, blocks = append(doc.Renewals, content.Sum(b)), append(blocks, b)
	}
	for _, b := range r.Inventories {
		doc.Inventories, blocks = append(doc.Inventories, content.Sum(b)), append(blocks, b)
	}
	for _, b := range r.Receipts {
		blocks = append(blocks, receiptsBlock(b))
	}
	head, err := json.Marshal(doc)
	if err != nil {
		return nil, err
	}
	blocks = append([][]byte{head}, blocks...)
	name := media.Return(content.Sum([]byte(r.Machine)))
	e := &export{f: f, out: &Exported{}}
	v, err := e.writeFile(name, 1, []content.ID{content.Sum(head)}, func(put func([]byte) error) error {
		for _, b := range blocks {
			if err := put(b); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, mediaTrouble(err)
	}
	l, err := openHave(r.Have)
	if err != nil {
		return nil, err
	}
	return &ReturnedBundle{
		Dir: dir, File: filepath.Join(f.Dir(), name.String()), Reports: len(r.Reports), Bytes: v.SizeBytes, Payloads: len(l.Payloads), Missing: r.Missing,
		Renewals: len(r.Renewals), Inventories: len(r.Inventories), Receipts: countReceipts(r.Receipts),
	}, nil
}

// ImportReturns takes at the seed what machines have sent back on a medium, and answers the requests to
// join that lie beside.
func ImportReturns(ctx context.Context, c api.Carrier, s api.Service, dir string) (*ImportedBundle, error) {
	out := &ImportedBundle{Dir: dir, Complete: true}
	if s != nil {
		if _, err := os.Lstat(filepath.Join(dir, enrol.StickFolder)); err == nil {
			a, err := AnswerStick(ctx, s, dir)
			if err != nil {
				return nil, err
			}
			out.Answers = a
		}
	}
	f, err := media.Open(dir, false)
	if errors.Is(err, fs.ErrNotExist) && out.Answers != nil {
		return out, nil
	}
	if errors.Is(err, fs.ErrNotExist) {
		return nil, noBundle(dir)
	}
	if err != nil {
		return nil, mediaTrouble(err)
	}
	defer f.Close()
	names, skipped, err := f.Returns()
	if err != nil {
		return nil, mediaTrouble(err)
	}
	if len(names) == 0 && out.Answers == nil && skipped == 0 {
		return nil, api.Errorf(api.ClassNotFound, "nothing was sent back on %s", dir).WithHint("run 'patchmesh bundle export DIR' on a machine of the site")
	}
	if skipped > 0 {
		out.Complete, out.Reason, out.Detail = false, reasonMediaDamaged, fmt.Sprintf("%d files are no return files", skipped)
	}
	for _, n := range names {
		r, err := takeReturnFile(ctx, c, f, n)
		var known *api.Error
		if errors.As(err, &known) {
			return nil, err
		}
		if err != nil {
			out.Complete, out.Reason, out.Detail = false, reasonMediaDamaged, api.Clean(fmt.Sprintf("%s: %v", n, err))
		}
		if r != nil {
			out.Returns = append(out.Returns, r)
		}
	}
	return out, nil
}

// takeReturnFile hands a return over in parts of bounded size.
func takeReturnFile(ctx context.Context, c api.Carrier, f *media.Folder, name media.Name) (*api.TakenReturn, error) {
	file, _, err := f.OpenFile(name)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	r, doc, err := openReturn(file)
	if err != nil {
		return nil, err
	}
	listed := doc.listed()
	sum := &api.TakenReturn{Machine: api.Clean(doc.Machine)}
	part, size := api.Return{Machine: doc.Machine, MadeAt: doc.MadeAt}, 0
	flush := func() error {
		t, err := c.TakeReturn(ctx, part)
		if err != nil {
			return err
		}
		addReturn(sum, t)
		part.Reports, part.Have, part.Renewals, part.Inventories, part.Receipts, size = nil, nil, nil, nil, nil, 0
		return nil
	}
	var unlisted unlistedBlocks
	for {
		id, n, err := r.Next()
		if err == nil && listed[id] == noBlock && !unlisted.wanted(n) {
			continue
		}
		var b []byte
		if err == nil && n > maxReportBytes {
			err = fmt.Errorf("report of %d bytes: %w", n, content.ErrFormat)
		}
		if err == nil {
			b, err = reader(r, id, n, true)(make([]byte, n))
		}
		if err != nil { // what came before counts, whatever cut the rest off
			if ferr := flush(); ferr != nil {
				return sum, ferr
			}
			if errors.Is(err, io.EOF) {
				return sum, nil
			}
			return sum, err
		}
		addBlock(&part, listed[id], b)
		if size += n; size > returnBatch {
			if err := flush(); err != nil {
				return sum, err
			}
		}
	}
}

// addBlock puts a block where its kind belongs.
func addBlock(part *api.Return, kind returnKind, b []byte) {
	switch kind {
	case noBlock:
		if p, ok := receiptsIn(b); ok {
			part.Receipts = append(part.Receipts, p)
		}
	case haveBlock:
		part.Have = b
	case renewalBlock:
		part.Renewals = append(part.Renewals, b)
	case inventoryBlock:
		part.Inventories = append(part.Inventories, b)
	default:
		part.Reports = append(part.Reports, b)
	}
}

func openReturn(file io.Reader) (*bundle.Reader, *returnDoc, error) {
	r, err := bundle.NewReader(file)
	if err != nil {
		return nil, nil, err
	}
	id, n, err := r.Next()
	if err == nil && (n > maxReturnDoc || len(r.Roots()) != 1 || r.Roots()[0] != id) {
		err = content.ErrFormat
	}
	if err != nil {
		return nil, nil, fmt.Errorf("root block: %w", err)
	}
	b, err := reader(r, id, n, true)(make([]byte, n))
	if err != nil {
		return nil, nil, err
	}
	doc := &returnDoc{}
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(doc); err != nil || doc.Format != returnFormat || doc.tooLong() {
		return nil, nil, fmt.Errorf("root block: %w", errors.Join(content.ErrFormat, err))
	}
	return r, doc, nil
}

func addReturn(sum, t *api.TakenReturn) {
	sum.Newer, sum.Older, sum.Refused, sum.Payloads = sum.Newer+t.Newer, sum.Older+t.Older, sum.Refused+t.Refused, sum.Payloads+t.Payloads
	sum.Renewals, sum.Receipts = sum.Renewals+t.Renewals, sum.Receipts+t.Receipts
	if t.Site != "" {
		sum.Site, sum.Machine = t.Site, t.Machine
	}
	if t.AsOf.After(sum.AsOf) {
		sum.AsOf = t.AsOf
	}
	if sum.Detail == "" {
		sum.Detail = t.Detail
	}
}
