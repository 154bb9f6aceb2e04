// Package receipt is the documents that prove who gave which bytes to whom, and the sums over them. It has no
// network and no disk: whoever calls hands over bytes and keys.
//
//	receiver                                  sender
//	Book.Arrived, chunk by chunk              Book.Gave, chunk by chunk
//	   │ a pause, or minutes                     │
//	   ▼                                         │
//	Receipt, signed: "I got these from you" ───▶ compared with the book
//	                                             │
//	Record = receipt and answer ◀─────────────── Answer, signed: "yes", or "yes, but not these"
//
//	Given, signed by the sender: "I gave these and nobody has said that they came"
//
// # Nouns
//
//   - A receipt is what one machine got from another in a while: per payload a set of chunks, their bytes and the
//     tier. One signature for all of it, so that no chunk costs one.
//   - An answer is the sender's signature on a receipt. It names the chunks that are not in the sender's books.
//   - Given is what a sender has given without having seen a receipt, as of a moment; a newer one replaces it.
//   - A record is one of those documents as it is stored and carried: a receipt with its answer, or a given.
//   - A book is what has moved and is not signed for yet. It is kept beside the account of bytes.
//   - The ledger sums up records by site and payload: what was given must be what was got.
//
// # Invariants
//
//   - A receipt claims a chunk only after it was verified and stored, and every arrival once: the book forgets it
//     in the transaction that keeps the receipt. What a crash takes with it was not claimed.
//   - A sender signs a chunk of a receipt only if its own book has it for that receiver, and takes it out of the
//     book in the transaction that keeps the answer. So no arrival is signed for twice.
//   - Records are told apart by receiver, sender and number. Whoever brings one again, on whatever way, adds nothing.
//   - Each record stands on its own signatures: who carried it does not matter.
//   - Every size is limited before anything is decoded.
//
// # Decisions
//
//   - A line is a payload with a set of chunks: the payload is what people ask about, and the set names each
//     chunk that the two sides do not agree on.
//   - Media and web mirrors do not sign. What came from them is on the word of the receiver alone, is summed
//     apart and never counts as proven.
//   - A receipt without an answer and a given that names the same chunks are two signatures on the same transfer:
//     they balance.
//   - Two machines that lie together can sign for what never moved. Against that no signature helps.
//   - Receipts show within a site what have-lists show there anyhow; they go to neighbours and seeds only.
package receipt
