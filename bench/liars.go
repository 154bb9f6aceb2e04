//go:build linux

package bench

import (
	"context"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"
)

// Early approves the updates while only the early machines are up, and waits until these have all. Then they
// are stopped, their stores are spoiled where they are to be liars, and they are started again: they
// offer every chunk, and what they send is wrong. A liar that can be made from outside is one whose
// disk lies to it.
func (p *patchmesh) Early(ctx context.Context, updates []Update) error {
	if err := p.approve(ctx, updates); err != nil {
		return err
	}
	wait, cancel := context.WithTimeout(ctx, p.site.Scenario.patience())
	defer cancel()
	if err := newWatch(p.site.Early, updates).until(wait, nil); err != nil {
		return err
	}
	for _, m := range p.site.Early {
		for _, node := range p.site.processesOf(m) {
			if node.alive() {
				node.stop()
			}
		}
		if p.site.Scenario.Liars > 0 {
			if err := spoil(filepath.Join(p.data(m), "payloads"), p.site.Scenario.SizeBytes); err != nil {
				return fmt.Errorf("spoil the store of %s: %w", m.Name, err)
			}
		}
		if err := p.start(ctx, m); err != nil {
			return err
		}
	}
	return p.awaitOnline(ctx, len(p.site.Early))
}

// stop asks the process to end, and kills it when it does not.
func (p *Process) stop() {
	p.usage() // the last look at its memory
	_ = p.cmd.Process.Signal(os.Interrupt)
	select {
	case <-p.ended:
	case <-time.After(15 * time.Second):
		p.kill()
	}
}

// spoilEvery is less than the smallest chunk: no chunk of a spoiled payload is right.
const spoilEvery = 64 << 10

// spoil flips a bit in every 64 KiB of each file in a folder that is as large as the payload.
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
	one := make([]byte, 1)
	for at := int64(1000); at < sizeBytes; at += spoilEvery {
		if _, err := f.ReadAt(one, at); err != nil {
			return err
		}
		one[0] ^= 1
		if _, err := f.WriteAt(one, at); err != nil {
			return err
		}
	}
	return f.Sync()
}
