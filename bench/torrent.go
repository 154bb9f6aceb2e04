package bench

import (
	"crypto/sha1" // the hash of BitTorrent version 1, which all contenders speak
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// pieceSize is what torrent makers choose for files of this size.
const pieceSize = 256 << 10

// writeTorrent writes the .torrent of one file (BEP 3).
func writeTorrent(path, file, announce string) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	var pieces strings.Builder
	var size int64
	for buf := make([]byte, pieceSize); ; {
		n, err := io.ReadFull(f, buf)
		if n > 0 {
			sum := sha1.Sum(buf[:n])
			pieces.Write(sum[:])
			size += int64(n)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			break
		}
		if err != nil {
			return fmt.Errorf("read %s: %w", file, err)
		}
	}
	info := fmt.Sprintf("d6:lengthi%de4:name%s12:piece lengthi%de6:pieces%se", size, bstring(filepath.Base(file)), pieceSize, bstring(pieces.String()))
	return os.WriteFile(path, []byte("d8:announce"+bstring(announce)+"4:info"+info+"e"), 0o644)
}

// bstring is a string as BitTorrent writes it.
func bstring(s string) string { return fmt.Sprintf("%d:%s", len(s), s) }
