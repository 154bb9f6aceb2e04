package main

import (
	"archive/tar"
	"compress/gzip"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"patchmesh/node/api"
)

// vendorFlags are what an import says of the vendor's file.
func vendorFlags(f *pflag.FlagSet, v *api.VendorClaim) {
	f.StringVar(&v.SHA256, "vendor-sha256", "", "hash of the vendor's file around which the payload was made, as the vendor publishes it; the import is refused if it is another")
	f.StringVar(&v.Origin, "vendor-origin", "", "URL where the vendor gives that file out; kept as a record, never fetched")
	f.StringVar(&v.Member, "vendor-member", "", "where it lies in the payload, a .tar, .tar.gz or .tgz (default: it is the payload, under own arguments)")
}

// packed is what pack has made.
type packed struct {
	File         string   `json:"file"`
	SizeBytes    int64    `json:"size_bytes"`
	SHA256       string   `json:"sha256"`
	VendorMember string   `json:"vendor_member"`
	VendorSHA256 string   `json:"vendor_sha256"`
	Files        []string `json:"files"`
}

func (a *app) packCmd() *cobra.Command {
	var vendor, claimed string
	var add []string
	c := &cobra.Command{
		Use:   "pack OUT.tar.gz --vendor FILE --vendor-sha256 HASH [--add FILE[=NAME]]...",
		Short: "put own files around a vendor's file, and keep the vendor's hash",
		Long: "pack makes an archive of a vendor's file and what is to go with it: settings, transforms, extra files. It refuses a vendor's\n" +
			"file that has not the hash that is claimed. The same files give the same bytes. The import then looks for the vendor's file\n" +
			"in the archive once more, and keeps its hash and origin in what the approvers sign.\n" + exits,
		Example: `  patchmesh pack app-custom.tar.gz --vendor app.jar --vendor-sha256 3b5d... --add site.properties=conf/site.properties
  patchmesh import app-custom.tar.gz --installer archive --installer-arg dest=/srv/app --vendor-member app.jar --vendor-sha256 3b5d... --vendor-origin https://vendor.example/app.jar`,
		Args: exactly(1, "the archive to write"),
		RunE: func(_ *cobra.Command, args []string) error {
			low := strings.ToLower(args[0])
			if vendor == "" || claimed == "" || !strings.HasSuffix(low, ".tar.gz") && !strings.HasSuffix(low, ".tgz") {
				return api.Errorf(api.ClassUsage, "pack needs an archive named .tar.gz or .tgz, --vendor and --vendor-sha256").WithHint("see 'patchmesh pack --help'")
			}
			p, err := pack(args[0], vendor, strings.ToLower(claimed), add)
			if err != nil {
				return err
			}
			return a.print(p, func(w io.Writer) {
				fmt.Fprintf(w, "%s: %s, %d file(s), the vendor's as %s\nnext: patchmesh import %s --vendor-member %s --vendor-sha256 %s\n",
					p.File, api.Size(p.SizeBytes), len(p.Files), p.VendorMember, p.File, p.VendorMember, p.VendorSHA256)
			})
		},
	}
	c.Flags().StringVar(&vendor, "vendor", "", "the vendor's file")
	c.Flags().StringVar(&claimed, "vendor-sha256", "", "its hash, as the vendor publishes it")
	c.Flags().StringArrayVar(&add, "add", nil, "FILE, or FILE=NAME in the archive; may be repeated")
	return c
}

// pack writes the archive beside its place and moves it there when all is well.
func pack(out, vendor, claimed string, add []string) (*packed, error) {
	f, err := os.CreateTemp(filepath.Dir(out), ".pack-*")
	if err != nil {
		return nil, api.Errorf(api.ClassFailed, "%v", err)
	}
	defer func() { _ = os.Remove(f.Name()) }() // after the move there is nothing to remove
	defer f.Close()
	p := &packed{File: out, VendorMember: filepath.Base(vendor)}
	all := sha256.New()
	z := gzip.NewWriter(io.MultiWriter(f, all)) // without a name and a time
	t := tar.NewWriter(z)
	if p.VendorSHA256, err = packFile(t, p, vendor, p.VendorMember); err != nil {
		return nil, err
	}
	if p.VendorSHA256 != claimed {
		return nil, api.Errorf(api.ClassRefused, "%s is not the vendor's file: its sha256 is %s, claimed is %s", vendor, p.VendorSHA256, claimed).
			WithHint("take the vendor's file anew, and its hash from the vendor's own page")
	}
	for _, x := range add {
		from, name, given := strings.Cut(x, "=")
		if !given {
			name = filepath.Base(from)
		}
		if _, err := packFile(t, p, from, name); err != nil {
			return nil, err
		}
	}
	for _, done := range []func() error{t.Close, z.Close, f.Sync} {
		if err := done(); err != nil {
			return nil, api.Errorf(api.ClassFailed, "write %s: %v", out, err)
		}
	}
	fi, err := f.Stat()
	if err != nil {
		return nil, api.Errorf(api.ClassFailed, "%v", err)
	}
	p.SizeBytes, p.SHA256 = fi.Size(), hex.EncodeToString(all.Sum(nil))
	if err := os.Rename(f.Name(), out); err != nil {
		return nil, api.Errorf(api.ClassFailed, "%v", err)
	}
	return p, nil
}

// packFile adds one file, and gives its hash.
func packFile(t *tar.Writer, p *packed, from, name string) (string, error) {
	if clean := path.Clean(name); name == "" || clean != name || path.IsAbs(name) || name == ".." || strings.HasPrefix(name, "../") || strings.Contains(name, `\`) {
		return "", api.Errorf(api.ClassUsage, "%q is no name in an archive", name).WithHint("like conf/site.properties")
	}
	for _, was := range p.Files {
		if was == name {
			return "", api.Errorf(api.ClassUsage, "two files would be %s", name).WithHint("--add FILE=OTHER-NAME")
		}
	}
	f, err := os.Open(from)
	if os.IsNotExist(err) {
		return "", api.Errorf(api.ClassNotFound, "no file %s", from)
	}
	if err != nil {
		return "", api.Errorf(api.ClassFailed, "%v", err)
	}
	defer f.Close()
	fi, err := f.Stat()
	if err != nil || !fi.Mode().IsRegular() {
		return "", api.Errorf(api.ClassUsage, "%s is no regular file", from)
	}
	sum := sha256.New()
	err = t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: fi.Size(), Mode: 0o644 | int64(fi.Mode().Perm()&0o111), Format: tar.FormatPAX})
	if err == nil {
		_, err = io.Copy(io.MultiWriter(t, sum), f)
	}
	if err != nil {
		return "", api.Errorf(api.ClassFailed, "pack %s: %v", from, err)
	}
	p.Files = append(p.Files, name)
	return hex.EncodeToString(sum.Sum(nil)), nil
}
