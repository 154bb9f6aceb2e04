package source

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"path"
	"strings"
)

// Limits of an archive in which a member is looked for: what unpacks to more is a bomb.
const (
	maxMemberGrowth  = 200
	minMemberUnpacks = 64 << 20
	maxMembers       = 100_000
)

// Errors of Member.
var (
	ErrNoMember = errors.New("no such file in the archive")
	ErrArchive  = errors.New("no .tar, .tar.gz or .tgz")
)

// Member finds a regular file in a tar archive, packed or not, and gives its hash and size. The whole archive is read:
// a second file of the same name would be the one that is unpacked last, so that is refused. name is the archive's,
// sizeBytes its size.
func Member(name string, r io.Reader, sizeBytes int64, member string) (sum [32]byte, n int64, err error) {
	low := strings.ToLower(name)
	switch {
	case strings.HasSuffix(low, ".tar"):
	case strings.HasSuffix(low, ".tar.gz"), strings.HasSuffix(low, ".tgz"):
		z, err := gzip.NewReader(r)
		if err != nil {
			return sum, 0, fmt.Errorf("read %s: %w: %w", name, ErrFormat, err)
		}
		r = z
	default:
		return sum, 0, fmt.Errorf("%s: %w", name, ErrArchive)
	}
	left := &io.LimitedReader{R: r, N: max(minMemberUnpacks, maxMemberGrowth*sizeBytes)}
	archive := tar.NewReader(left)
	found := false
	for i := 0; ; i++ {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil || i >= maxMembers {
			return sum, 0, fmt.Errorf("read %s: %w: entry %d: %v", name, ErrFormat, i, err)
		}
		if plainMember(h.Name) != plainMember(member) {
			continue
		}
		if h.Typeflag != tar.TypeReg || found {
			return sum, 0, fmt.Errorf("%s: %w: %.100q is no regular file, or there twice", name, ErrFormat, member)
		}
		hash := sha256.New()
		if n, err = io.Copy(hash, archive); err != nil {
			return sum, 0, fmt.Errorf("read %s: %w: %w", name, ErrFormat, err)
		}
		found, sum = true, [32]byte(hash.Sum(nil))
	}
	if !found {
		return sum, 0, fmt.Errorf("%s: %.100q: %w", name, member, ErrNoMember)
	}
	return sum, n, nil
}

// plainMember is a name in an archive as it is unpacked.
func plainMember(s string) string { return strings.TrimPrefix(path.Clean("/"+s), "/") }
