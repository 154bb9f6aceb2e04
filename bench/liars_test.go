//go:build linux

package bench

import (
	"bytes"
	"crypto/sha256"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"
)

// What a liar sends hashes wrong at every receiver, and the liar's own checksum does not find it.
func TestSpoiledChunksLookRightToTheirHolder(t *testing.T) {
	body := make([]byte, 4*spoilEvery+100)
	_, _ = rand.NewChaCha8([32]byte{1}).Read(body)
	dir := t.TempDir()
	path := filepath.Join(dir, "payload")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := spoil(dir, int64(len(body))); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(path)
	if err != nil || len(got) != len(body) {
		t.Fatal(len(got), err)
	}
	table := crc32.MakeTable(crc32.Castagnoli)
	for at := 0; at+spoilEvery <= len(body); at += spoilEvery {
		was, is := body[at:at+spoilEvery], got[at:at+spoilEvery]
		if bytes.Equal(was, is) || sha256.Sum256(was) == sha256.Sum256(is) {
			t.Errorf("the piece at %d is not spoiled", at)
		}
		if crc32.Checksum(was, table) != crc32.Checksum(is, table) {
			t.Errorf("the holder would see that the piece at %d is spoiled", at)
		}
	}
	if err := spoil(t.TempDir(), 1); err == nil {
		t.Error("nothing was spoiled, and nobody says so")
	}
}
