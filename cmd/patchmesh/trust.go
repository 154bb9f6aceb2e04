package main

import (
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

// maxRootFile bounds what is read as a root from a path that somebody typed.
const maxRootFile = 1 << 20

// trustFlags are the flags of the plain TUF client, named as TUF clients name them. They may stand
// before the verb.
type trustFlags struct {
	metadataDir, metadataURL string
	targets                  []string
	targetURL, targetDir     string
	allKeyTypes              bool
	at                       string
}

func (a *app) trustCmd() *cobra.Command {
	f := &trustFlags{}
	c := &cobra.Command{
		Use:   "trust",
		Short: "the trusted metadata: for people, and from and to any static web host",
		Long:  "trust works on the signed metadata (TUF 1.0). With --metadata-dir it is a plain client of any TUF repository;\nwithout, it works on the data folder, so that a static web host can bring the approvals.\n" + exits,
		Example: `  patchmesh trust refresh --metadata-url https://updates.example.org/
  patchmesh trust init root.json --metadata-dir metadata`,
	}
	p := c.PersistentFlags()
	p.StringVar(&f.metadataDir, "metadata-dir", "", "work on this folder of a plain TUF client, not on the data folder")
	p.StringVar(&f.metadataURL, "metadata-url", "", "URL of the folder with the metadata")
	p.StringArrayVar(&f.targets, "target-name", nil, "target to download; may be repeated")
	p.StringVar(&f.targetURL, "target-base-url", "", "URL of the folder with the targets")
	p.StringVar(&f.targetDir, "target-dir", "", "folder for downloaded targets")
	p.BoolVar(&f.allKeyTypes, "all-key-types", false, "with --metadata-dir: let RSA and ECDSA keys count too, not only Ed25519")
	p.StringVar(&f.at, "at", "", "with --metadata-dir: judge expiry at this time (RFC 3339), for archived mirrors")
	c.AddCommand(
		a.trustInitCmd(f), a.trustRefreshCmd(f), a.trustDownloadCmd(f), a.trustMirrorCmd(), a.trustShowCmd(), a.trustLifeCmd(),
	)
	return c
}

func (a *app) trustInitCmd(f *trustFlags) *cobra.Command {
	return &cobra.Command{
		Use:     "init ROOT --metadata-dir DIR",
		Short:   "begin a metadata folder with a trusted root",
		Long:    "init makes the file ROOT the trusted root of a metadata folder. ROOT must have come by a way that you trust:\neverything else follows from it. Nothing is fetched.\n" + exits,
		Example: "  patchmesh trust init root.json --metadata-dir metadata",
		Args:    exactly(1, "the file of one root"),
		RunE: func(_ *cobra.Command, args []string) error {
			if f.metadataDir == "" {
				return api.Errorf(api.ClassUsage, "trust init needs --metadata-dir").WithHint("the data folder gets its root by 'patchmesh join'")
			}
			root, err := readAtMost(args[0], maxRootFile)
			if err != nil {
				return err
			}
			if err := node.TUFInit(f.metadataDir, root, f.allKeyTypes); err != nil {
				return err
			}
			return a.print(map[string]string{"metadata_dir": f.metadataDir}, func(w io.Writer) {
				fmt.Fprintf(w, "%s begins with %s\n", f.metadataDir, args[0])
			})
		},
	}
}

func (a *app) trustRefreshCmd(f *trustFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "refresh --metadata-url URL [--metadata-dir DIR]",
		Short: "bring the trusted metadata up to date from a web host",
		Long:  "refresh fetches newer metadata from a static web host and takes it if its signatures, versions, hashes and\nexpiry hold. The host is not trusted.\n" + exits,
		Example: `  patchmesh trust refresh --metadata-url https://updates.example.org/
  patchmesh trust refresh --metadata-url http://127.0.0.1:8000/metadata --metadata-dir metadata`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := f.request()
			if err != nil {
				return err
			}
			if f.metadataDir == "" {
				return a.refreshOwn(c.Context(), f)
			}
			s, err := node.TUFRefresh(c.Context(), r)
			if err != nil {
				return err
			}
			return a.printTUF(s)
		},
	}
}

func (a *app) trustDownloadCmd(f *trustFlags) *cobra.Command {
	return &cobra.Command{
		Use:   "download --metadata-url URL --metadata-dir DIR --target-name NAME --target-base-url URL --target-dir DIR",
		Short: "fetch a target and verify it",
		Long:  "download refreshes the metadata folder, finds the target through the delegations, fetches it and keeps it once\nits length and hashes are right. A target that is there already is not fetched again.\n" + exits,
		Example: `  patchmesh trust download --metadata-dir metadata --metadata-url http://127.0.0.1:8000/metadata \
    --target-name manifest.json --target-base-url http://127.0.0.1:8000/targets --target-dir targets`,
		Args: exactly(0, "no arguments"),
		RunE: func(c *cobra.Command, _ []string) error {
			r, err := f.request()
			if err != nil {
				return err
			}
			if f.metadataDir == "" || len(f.targets) == 0 || f.targetURL == "" || f.targetDir == "" {
				return api.Errorf(api.ClassUsage, "trust download needs --metadata-dir, --target-name, --target-base-url and --target-dir")
			}
			r.Targets, r.TargetURL, r.TargetDir = f.targets, f.targetURL, f.targetDir
			s, err := node.TUFRefresh(c.Context(), r)
			if err != nil {
				return err
			}
			return a.printTUF(s)
		},
	}
}

// request turns the flags into what the client is asked for.
func (f *trustFlags) request() (node.TUFRequest, error) {
	r := node.TUFRequest{MetadataDir: f.metadataDir, MetadataURL: f.metadataURL, AllKeyTypes: f.allKeyTypes, At: time.Now()}
	if f.metadataURL == "" {
		return r, api.Errorf(api.ClassUsage, "--metadata-url is missing").WithHint("it names the folder of the web host that has timestamp.json")
	}
	if f.at == "" {
		return r, nil
	}
	at, err := time.Parse(time.RFC3339, f.at)
	if err != nil {
		return r, api.Errorf(api.ClassUsage, "--at %q is no time like 2026-03-01T12:00:00Z", f.at)
	}
	r.At = at
	return r, nil
}

func (a *app) printTUF(s *node.TUFState) error {
	return a.print(s, func(w io.Writer) {
		fmt.Fprintf(w, "root %d, timestamp %d, snapshot %d, targets %d\n", s.Root, s.Timestamp, s.Snapshot, s.Targets)
		for _, f := range s.Files {
			note := ""
			if f.Unchanged {
				note = " (was there already)"
			}
			fmt.Fprintf(w, "%s: %s, %s%s\n", api.Clean(f.Target), f.Path, api.Size(f.SizeBytes), note)
		}
	})
}

// readAtMost reads a file that must not be larger than limit.
func readAtMost(path string, limit int64) ([]byte, error) {
	b, err := readBounded(path, limit)
	if err != nil {
		return nil, err
	}
	if int64(len(b)) > limit {
		return nil, api.Errorf(api.ClassRefused, "%s is larger than a root may be", path)
	}
	return b, nil
}
