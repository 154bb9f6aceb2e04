package node

import (
	"bytes"

	"patchmesh/node/receipt"
)

// Receipts travel in blocks that the root of a return does not list: a seed of a version without them passes such
// blocks over, where it would refuse a root with a field that it does not know.

// receiptsMagic begins such a block.
const receiptsMagic = "patchmesh receipts v1\x00"

const maxReceiptsBlock = len(receiptsMagic) + receipt.MaxPackBytes

// receiptsBlock makes the block of a pack.
func receiptsBlock(pack []byte) []byte { return append([]byte(receiptsMagic), pack...) }

// receiptsIn is the pack in a block; false if it is something else.
func receiptsIn(block []byte) ([]byte, bool) {
	return bytes.CutPrefix(block, []byte(receiptsMagic))
}

// unlistedBlocks counts what a root does not list: only so many are read, and none that is larger than a pack.
type unlistedBlocks int

func (u *unlistedBlocks) wanted(bytes int) bool {
	*u++
	return bytes <= maxReceiptsBlock && *u <= maxReceiptPacks
}
