package cmd

import (
	"fmt"
	"os"
	"path"
	"slices"
	"strings"
	"testing"
)

// The import policy. "a/..." means a and everything below it, "a/*" what lies below a. A folder takes
// the row that names it most exactly. Nothing here is relaxed merely to make a build pass: when a
// better shape appears, the shape, architecture.md and this table change together.
const layers = `
folder       | may import inside                                 | must not import                                                  | because
content/...  | content/...                                       | net/...                                                          | content is bytes: it knows no network
policy/...   | content/... policy/...                            | net/... os/... syscall context sync/... log/...                  | policy is rules: no network, disk or clock
swarm/...    | content/... policy/... swarm/...                  | net/... os/... syscall context sync/... log/... path/filepath    | swarm decides and never does I/O, waits or logs
sim/...      | content/... policy/... swarm/... sim/...          | net/... os/exec syscall                                          | sim drives the core in virtual time: it does not touch the world
node         | content/... policy/... swarm/... node/...         |                                                                  | node wires what lies below it and knows neither sim nor cmd
node/*       | content/... policy/... swarm/... node/api         |                                                                  | sub-packages of node are leaves: api and the layers below, never each other
bench/...    | content/... policy/... swarm/... node/... bench/... |                                                                | bench measures node and knows no simulator
cmd/...      | node/... sim/... bench/... cmd/...                |                                                                  | cmd parses, calls and prints: it sees just node, sim and bench
`

// Every outside dependency has a home. The longest matching row counts.
const homes = `
import path                                        | homes                                  | because
github.com/hashicorp/memberlist/...                | node/gossip                            | gossip is one driver detail behind events
github.com/hashicorp/go-metrics/...                | node/gossip                            | memberlist's own metrics
github.com/libp2p/...                              | node/transport                         | the transport is assembled by hand in one place
github.com/libp2p/go-libp2p/core/...               | node/transport node/keys node/enrol    | identities and peer ids are libp2p's, streams are not anybody else's
github.com/multiformats/...                        | node/transport                         | libp2p's way to write addresses and to agree on protocols
github.com/multiformats/go-multihash/...           | content                                | part of content ids
github.com/ipfs/go-cid/...                         | content                                | everyone else speaks of content.ID
github.com/klauspost/compress/...                  | content/...                            | compression happens once, at the edge of content
github.com/klauspost/compress/zstd/...             | content/... node/source                | .deb members are read where packages are read
github.com/minio/sha256-simd/...                   | content/...                            | hashing bytes is what content is for
github.com/cespare/xxhash/v2/...                   | swarm                                  | rendezvous hashing only: no security rests on it
github.com/theupdateframework/go-tuf/v2/metadata/... | policy                               | trust metadata is judged in one place
github.com/theupdateframework/go-tuf/v2/metadata/updater/... |                              | the updater does network and disk: the mesh carries the documents
github.com/theupdateframework/go-tuf/v2/metadata/fetcher/... |                              | the fetcher does network and disk: the mesh carries the documents
github.com/sigstore/sigstore/pkg/signature/...     | policy                                 | go-tuf signs through its signer types
modernc.org/sqlite/...                             | node/state                             | nobody else knows which engine holds the state
github.com/knqyf263/go-deb-version/...             | node/install                           | version order matters where packages are detected
github.com/ulikunitz/xz/...                        | node/source node/install               | .deb members are read where packages are read
github.com/prometheus/...                          | node                                   | metrics are one reading of the core's notes
github.com/gofrs/flock/...                         | node node/state node/tufdir content/disk | one process per data folder
github.com/landlock-lsm/go-landlock/...             | node/sandbox                           | the kernel's rules must reach every thread, on every kernel
github.com/kardianos/service/...                   | node/daemon                            | launchd entries and the protocol of the Windows service manager
filippo.io/age/...                                 | node/keys                              | passphrases guard keys on disk
golang.org/x/crypto/...                            | node/keys node/enrol node/transport    | secrets and sealed boxes
golang.org/x/sys/...                               | content/disk node/... bench cmd/patchmesh | what the standard library does not reach on one system
golang.org/x/term/...                              | cmd/patchmesh                          | only people's side asks whether there is a terminal
golang.org/x/time/...                              | node/transport node/origin             | byte rates are shaped where bytes flow
github.com/spf13/cobra/...                         | cmd/patchmesh                          | flags are parsed in one place
github.com/spf13/pflag/...                         | cmd/patchmesh                          | cobra's flags
github.com/schollz/progressbar/v3/...              | cmd/patchmesh                          | only people's side shows progress
github.com/adrg/xdg/...                            | cmd/patchmesh                          | the default data folder is a matter of the command line
github.com/cockroachdb/datadriven/...               |                                        | for tests: scripts with golden output
filippo.io/edwards25519/...                        |                                        | for tests: an independent judge of Ed25519 signatures
pgregory.net/rapid/...                             |                                        | for tests
github.com/rogpeppe/go-internal/...                |                                        | for tests
`

// topLevel is all that may live at the top, dotfiles aside.
var topLevel = strings.Fields("cmd node swarm content policy sim bench go.mod go.sum Makefile README.md LICENSE")

// buildResults are made by make and ignored by git.
var buildResults = []string{"bin", "*.out", "*.test"}

func TestImportsPointOneWay(t *testing.T) {
	for _, p := range layerProblems(t, readTree(t, repo)) {
		t.Error(p)
	}
}

func TestNothingElseLivesAtTheTop(t *testing.T) {
	for _, p := range topProblems(t, repo) {
		t.Error(p)
	}
}

func TestLayersRefusePlantedImports(t *testing.T) {
	for _, c := range []struct {
		name, file, imports string
		words               []string // none: allowed
	}{
		{"swarm may use time and its layers below", "swarm/core.go", `"time"; "patchmesh/policy"; "patchmesh/swarm/wire"`, nil},
		{"swarm and locks", "swarm/core.go", `"sync"`, []string{"swarm/core.go:2", `"sync"`, "never does I/O"}},
		{"swarm and atomics", "swarm/core.go", `"sync/atomic"`, []string{`"sync/atomic"`}},
		{"swarm and contexts", "swarm/core.go", `"context"`, []string{`"context"`}},
		{"swarm and the network", "swarm/wire/frame.go", `"net/netip"`, []string{`"net/netip"`}},
		{"policy and the disk", "policy/trust.go", `"os"`, []string{`"os"`, "disk"}},
		{"content and the network", "content/disk/disk.go", `"net/http"`, []string{"no network"}},
		{"content looking up", "content/id.go", `"patchmesh/swarm"`, []string{"patchmesh/swarm"}},
		{"swarm looking up", "swarm/core.go", `"patchmesh/node/api"`, []string{"patchmesh/node/api"}},
		{"leaves of node know each other", "node/gossip/gossip.go", `"patchmesh/node/transport"`, []string{"never each other"}},
		{"leaves of node know node", "node/gossip/gossip.go", `"patchmesh/node"`, []string{"never each other"}},
		{"leaves of node may use api", "node/control/server.go", `"patchmesh/node/api"`, nil},
		{"node knows the simulator", "node/node.go", `"patchmesh/sim"`, []string{"neither sim nor cmd"}},
		{"sim knows node", "sim/world.go", `"patchmesh/node/api"`, []string{"patchmesh/node/api"}},
		{"cmd reaches past node", "cmd/patchmesh/run.go", `"patchmesh/swarm"`, []string{"just node, sim and bench"}},
		{"tests may import what they like", "swarm/core_test.go", `"os"; "patchmesh/node"`, nil},
		{"test suites may import what they like", "swarm/swarmtest/run.go", `"os"`, nil},
		{"shipped code uses a test suite", "content/disk/disk.go", `"patchmesh/content/storetest"`, []string{"for tests"}},
		{"a second home for memberlist", "node/node.go", `"github.com/hashicorp/memberlist"`, []string{"node/gossip"}},
		{"a second home for streams", "node/enrol/token.go", `"github.com/libp2p/go-libp2p/p2p/net/swarm"`, []string{"node/transport"}},
		{"peer ids where keys live", "node/keys/identity.go", `"github.com/libp2p/go-libp2p/core/peer"`, nil},
		{"trust metadata that does I/O", "policy/trust.go", `"github.com/theupdateframework/go-tuf/v2/metadata/updater"`, []string{"updater"}},
		{"a dependency without a home", "node/node.go", `"example.org/left/pad"`, []string{"no home"}},
		{"cgo", "node/state/db.go", `"C"`, []string{"static"}},
		{"a folder without a row", "extra/x.go", `"fmt"`, []string{"no row"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			text := "package p; import (\n" + strings.ReplaceAll(c.imports, "; ", "\n") + "\n)\n"
			problems := layerProblems(t, readTree(t, plant(t, map[string]string{c.file: text})))
			if c.words == nil {
				if len(problems) > 0 {
					t.Errorf("refused: %q", problems)
				}
				return
			}
			expectOne(t, problems, c.words...)
		})
	}
}

func TestTopLevelRefusesPlantedFolder(t *testing.T) {
	root := plant(t, map[string]string{"docs/a.md": "", "swarm/core.go": "", ".ci/run": "", "bin/patchmesh": "", "cover.out": ""})
	expectOne(t, topProblems(t, root), "docs")
}

func topProblems(t *testing.T, root string) []string {
	t.Helper()
	entries, err := os.ReadDir(root)
	if err != nil {
		t.Fatal(err)
	}
	var problems []string
	for _, e := range entries {
		name := e.Name()
		built := slices.ContainsFunc(buildResults, func(glob string) bool { ok, _ := path.Match(glob, name); return ok })
		if !strings.HasPrefix(name, ".") && !built && !slices.Contains(topLevel, name) {
			problems = append(problems, fmt.Sprintf("%s lives at the top; allowed there: %s and dotfiles", name, strings.Join(topLevel, " ")))
		}
	}
	return problems
}

func layerProblems(t *testing.T, files []source) []string {
	t.Helper()
	folderRows, homeRows := readTable(t, layers, 4), readTable(t, homes, 3)
	var problems []string
	for _, f := range files {
		if f.exempt() || f.folder == "." {
			continue
		}
		row := bestRow(folderRows, f.folder)
		if row == nil {
			problems = append(problems, fmt.Sprintf("%s: folder %s has no row in the import policy", f.path, f.folder))
			continue
		}
		for _, im := range f.ast.Imports {
			name := strings.Trim(im.Path.Value, `"`)
			if why := refusal(row, homeRows, f.folder, name); why != "" {
				problems = append(problems, fmt.Sprintf("%s: import of %q: %s", f.at(im.Pos()), name, why))
			}
		}
	}
	return problems
}

// refusal says why folder may not import name; empty when it may.
func refusal(row []string, homeRows [][]string, folder, name string) string {
	inside, isInside := strings.CutPrefix(name, "patchmesh/")
	switch {
	case name == "C":
		return "no cgo: one static binary per system"
	case isInside && isTestFolder(inside):
		return "test suites are for tests"
	case isInside:
		if inside != folder && !strings.HasPrefix(inside, folder+"/") && !anyMatch(row[1], inside) {
			return fmt.Sprintf("%s may import %s: %s", row[0], row[1], row[3])
		}
	case !strings.Contains(strings.Split(name, "/")[0], "."): // the standard library
		if anyMatch(row[2], name) {
			return fmt.Sprintf("%s must not: %s", row[0], row[3])
		}
	default:
		home := bestRow(homeRows, name)
		if home == nil {
			return "this dependency has no home: add a row with the one package that needs it and why our own would be worse"
		}
		if !anyMatch(home[1], folder) {
			return fmt.Sprintf("its homes are [%s]: %s", home[1], home[2])
		}
	}
	return ""
}

// readTable cuts a table into rows of cells, its heading dropped.
func readTable(t *testing.T, text string, columns int) [][]string {
	t.Helper()
	var rows [][]string
	for line := range strings.Lines(strings.TrimSpace(text)) {
		cells := strings.Split(line, "|")
		if len(cells) != columns {
			t.Fatalf("row %q has %d cells, want %d", line, len(cells), columns)
		}
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		rows = append(rows, cells)
	}
	return rows[1:]
}

// bestRow finds the row whose first cell names name most exactly; nil without one.
func bestRow(rows [][]string, name string) []string {
	var best []string
	for _, r := range rows {
		if match(r[0], name) && (best == nil || len(r[0]) > len(best[0]) || r[0] == name) {
			best = r
		}
	}
	return best
}

func anyMatch(patterns, name string) bool {
	return slices.ContainsFunc(strings.Fields(patterns), func(p string) bool { return match(p, name) })
}

// match knows "a", "a/..." (a and all below) and "a/*" (what lies below a).
func match(pattern, name string) bool {
	if base, ok := strings.CutSuffix(pattern, "/..."); ok {
		return name == base || strings.HasPrefix(name, base+"/")
	}
	if base, ok := strings.CutSuffix(pattern, "/*"); ok {
		return strings.HasPrefix(name, base+"/")
	}
	return pattern == name
}
