//go:build linux

package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"io/fs"
	"os"
	"path/filepath"
)

// Early approves the updates while only the early machines are up, and waits until these have all. Then the
// stores of those that are to be liars are spoiled while they run: they offer every chunk, and what they send is
// wrong. A liar that can be made from outside is one whose disk lies to it, in a way that it cannot see.
func (p *patchmesh) Early(ctx context.Context, updates []Update) error {
	if err := p.approve(ctx, updates); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, p.site.Scenario.patience())
	defer cancel()
	if err := newWatch(p.site.Early, updates).until(wait, nil); err != nil {
		return err
	}
	if p.site.Scenario.Liars > 0 {
		for _, m := range p.site.Early {
			if err := spoil(filepath.Join(p.data(m), "payloads"), p.site.Scenario.SizeBytes); err != nil {
				return fmt.Errorf("spoil the store of %s: %w", m.Name, err)
			}
		}
	}
	return nil
}

// spoilEvery is less than the smallest chunk: no chunk of a spoiled payload is right.
const spoilEvery = 64 << 10

// spoilWith is the generator of CRC-32C as a string of bits. A machine looks at such a checksum of each chunk before
// it serves it, and a multiple of the generator changes no such checksum: so it believes its spoiled chunks, and only
// whoever hashes them, as every receiver does, finds out.
var spoilWith = binary.LittleEndian.AppendUint64(nil, 1|uint64(crc32.Castagnoli)<<1)[:5]

// spoil changes some bits in every 64 KiB of each file in a folder that is as large as the payload.
func spoil(folder string, sizeBytes int64) error {
	spoiled := 0
	err := filepath.WalkDir(folder, func(path string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err != nil || info.Size() < sizeBytes {
			return err
		}
		spoiled++
		return spoilFile(path, info.Size())
	})
	if err == nil && spoiled == 0 {
		err = fmt.Errorf("no payload of %d bytes in %s", sizeBytes, folder)
	}
	return err
}

func spoilFile(path string, sizeBytes int64) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	some := make([]byte, len(spoilWith))
	for at := int64(1000); at+int64(len(some)) <= sizeBytes; at += spoilEvery {
		if _, err := f.ReadAt(some, at); err != nil {
			return err
		}
		for i := range some {
			some[i] ^= spoilWith[i]
		}
		if _, err := f.WriteAt(some, at); err != nil {
			return err
		}
	}
	return f.Sync()
}
