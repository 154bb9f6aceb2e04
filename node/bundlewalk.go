package node

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"patchmesh/content"
	"patchmesh/content/bundle"
)

// atChunk is called for each chunk of a volume. body reads it; what is not read is passed over.
type atChunk func(r bundle.Run, index int, id content.ID, size int, body func([]byte) ([]byte, error)) error

// walkVolume goes through a volume: payload maps, which are passed over, and runs with their chunks. It
// says how many blocks there were. With verify every block is hashed.
func walkVolume(file io.Reader, verify bool, at atChunk) (blocks int, err error) {
	r, err := bundle.NewReader(file)
	if err != nil {
		return 0, err
	}
	buf := make([]byte, content.MaxChunkBytes)
	var run bundle.Run
	next, left := 0, 0
	for {
		id, size, err := r.Next()
		if errors.Is(err, io.EOF) && left > 0 {
			return blocks, fmt.Errorf("the volume ends before %d chunks: %w", left, io.ErrUnexpectedEOF)
		}
		if errors.Is(err, io.EOF) {
			return blocks, nil
		}
		if err != nil {
			return blocks, err
		}
		blocks++
		read := reader(r, id, size, verify)
		if left > 0 {
			for !run.Bits.Has(next) {
				next++
			}
			if size < 1 || size > content.MaxChunkBytes {
				return blocks, fmt.Errorf("chunk of %d bytes: %w", size, content.ErrFormat)
			}
			if err := at(run, run.First+next, id, size, read); err != nil {
				return blocks, err
			}
			next, left = next+1, left-1
			if verify {
				if _, err := read(buf); err != nil {
					return blocks, err
				}
			}
			continue
		}
		if size > bundle.MaxRunBytes && !verify {
			continue // a payload map
		}
		if size > len(buf) {
			buf = make([]byte, size)
		}
		b, err := reader(r, id, size, true)(buf)
		if err != nil {
			return blocks, err
		}
		if bundle.IsRun(b) {
			if run, err = bundle.DecodeRun(b); err != nil {
				return blocks, err
			}
			next, left = 0, run.Bits.Count()
		}
	}
}

// reader reads the present block once, and hashes it if asked to.
func reader(r *bundle.Reader, id content.ID, size int, verify bool) func([]byte) ([]byte, error) {
	var done []byte
	return func(buf []byte) ([]byte, error) {
		if done != nil {
			return done, nil
		}
		b, err := r.Body(buf)
		if err != nil {
			return nil, err
		}
		if verify {
			if got := content.Sum(b); got != id {
				return nil, &content.CorruptError{Want: id, Got: got, SizeBytes: size}
			}
		}
		done = b
		return b, nil
	}
}

// verifyCAR hashes every block of a file.
func verifyCAR(f *os.File, blocks int) error {
	r, err := bundle.NewReader(f)
	if err != nil {
		return err
	}
	buf := make([]byte, content.MaxChunkBytes)
	for n := 0; ; n++ {
		id, size, err := r.Next()
		if errors.Is(err, io.EOF) && n == blocks {
			return nil
		}
		if err == nil {
			if size > len(buf) {
				buf = make([]byte, size)
			}
			_, err = reader(r, id, size, true)(buf)
		}
		if err != nil {
			return fmt.Errorf("block %d of %d does not read back: %w: %w", n, blocks, content.ErrDamaged, err)
		}
	}
}

// ranges writes a set as text: "0-3 7 9-12", cut short where it is long.
func ranges(b *content.Bits) string {
	const most = 16
	var out []string
	for i := 0; i < b.Len(); i++ {
		if !b.Has(i) {
			continue
		}
		if len(out) == most {
			return strings.Join(out, " ") + " ..."
		}
		from := i
		for b.Has(i + 1) {
			i++
		}
		if from == i {
			out = append(out, fmt.Sprint(i))
		} else {
			out = append(out, fmt.Sprintf("%d-%d", from, i))
		}
	}
	return strings.Join(out, " ")
}
