package bench

import (
	"bytes"
	"crypto/sha1"
	"os"
	"path/filepath"
	"testing"
)

func TestTorrentOfAFileWithAShortLastPiece(t *testing.T) {
	dir := t.TempDir()
	data := bytes.Repeat([]byte("0123456789abcdef"), (pieceSize+16)/16)
	file, out := filepath.Join(dir, "a file.bin"), filepath.Join(dir, "t.torrent")
	if err := os.WriteFile(file, data, 0o644); err != nil {
		t.Fatal(err)
	}
	if err := writeTorrent(out, file, "http://10.77.0.1:6969/announce"); err != nil {
		t.Fatal(err)
	}
	first, second := sha1.Sum(data[:pieceSize]), sha1.Sum(data[pieceSize:])
	want := "d8:announce30:http://10.77.0.1:6969/announce4:infod6:lengthi262160e4:name10:a file.bin12:piece lengthi262144e6:pieces40:" +
		string(first[:]) + string(second[:]) + "ee"
	if got := read(t, out); got != want {
		t.Errorf("got %q\nwant %q", got, want)
	}
}
