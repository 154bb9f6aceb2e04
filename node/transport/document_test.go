package transport

import (
	"bytes"
	"context"
	"sync"
	"testing"

	"patchmesh/content"
	"patchmesh/swarm/wire"
)

// Where thousands of updates are approved at once, thousands of documents are asked for at once. Those that find no
// place wait for one, and a chunk that is asked for meanwhile comes: a machine that could not ask for it took the
// seed for silent, and left it alone.
func TestManyDocumentsLeaveRoomForAChunk(t *testing.T) {
	a, b := newMachine(t), newMachine(t)
	b.docAsked, b.holdDocs = make(chan struct{}, 4*peerStreams), make(chan struct{})
	join(t, a, b)
	data := bytes.Repeat([]byte("chunk"), chunkBytes/5+1)[:chunkBytes]
	b.serving(data)
	doc := []byte("description")
	id := content.Sum(doc)
	b.docs[id] = doc

	var all sync.WaitGroup
	for range 4 * peerStreams {
		all.Go(func() {
			got, err := a.FetchDoc(context.Background(), b.ID(), wire.DocAsk{Kind: wire.DocContent, ID: id, MaxBytes: len(doc)})
			if err != nil || !bytes.Equal(got, doc) {
				t.Errorf("%q %v", got, err)
			}
		})
	}
	for range docStreams {
		await(t, b.docAsked, "question for a document")
	}
	got, _ := fetchOne(a, b.ID(), chunkBytes)
	if err := await(t, got, "chunk"); err != nil {
		t.Error("a chunk beside documents:", err)
	}
	close(b.holdDocs)
	all.Wait()
}

// Who waits for a place gives up when the session ends.
func TestDocumentsThatWaitEndWithTheSession(t *testing.T) {
	a, b := newMachine(t), newMachine(t)
	b.docAsked, b.holdDocs = make(chan struct{}, peerStreams), make(chan struct{})
	defer close(b.holdDocs)
	join(t, a, b)
	errs := make(chan error, 2*docStreams)
	for range 2 * docStreams {
		go func() {
			_, err := a.FetchDoc(context.Background(), b.ID(), wire.DocAsk{Kind: wire.DocContent, ID: content.Sum(nil), MaxBytes: 1})
			errs <- err
		}()
	}
	for range docStreams {
		await(t, b.docAsked, "question for a document")
	}
	a.Disconnect(b.ID(), errNotInvited)
	for range 2 * docStreams {
		if err := await(t, errs, "end of a question"); err == nil {
			t.Error("a document that nobody gave")
		}
	}
}
