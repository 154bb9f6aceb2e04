package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"testing"
	"time"

	"patchmesh/content"
	"patchmesh/node/api"
	"patchmesh/node/media"
)

// The program that is killed is this test binary, told by its environment what to do.
const killEnv = "PATCHMESH_TEST_BUNDLE_KILL"

// killer is a carrier that ends its process without a word, at a step or after so many bytes of chunks.
type killer struct {
	api.Carrier
	step string // the method, with - in front for before it; empty: none
	left int
}

func die() {
	if p, err := os.FindProcess(os.Getpid()); err == nil {
		_ = p.Kill()
	}
	select {}
}

func (k *killer) at(step string) {
	if k.step == step {
		die()
	}
}

func (k *killer) AdoptTrust(ctx context.Context, d api.TrustDocs) (*api.TrustAdopted, error) {
	k.at("-trust")
	a, err := k.Carrier.AdoptTrust(ctx, d)
	k.at("trust")
	return a, err
}

func (k *killer) TakeDocs(ctx context.Context, d api.CargoDocs) (*api.TakenDocs, error) {
	k.at("-docs")
	a, err := k.Carrier.TakeDocs(ctx, d)
	k.at("docs")
	return a, err
}

func (k *killer) TakeChunks(ctx context.Context, r io.Reader) (*api.TakenChunks, error) {
	k.at("-chunks")
	a, err := k.Carrier.TakeChunks(ctx, readKiller{r, k})
	k.at("chunks")
	return a, err
}

func (k *killer) GiveDocs(ctx context.Context, q api.DocQuery) (*api.CargoDocs, error) {
	a, err := k.Carrier.GiveDocs(ctx, q)
	k.at("give")
	return a, err
}

func (k *killer) GiveChunks(ctx context.Context, q api.ChunkQuery, w io.Writer) error {
	k.at("-chunks")
	err := k.Carrier.GiveChunks(ctx, q, writeKiller{w, k})
	k.at("chunks")
	return err
}

func (k *killer) moved(n int) {
	if k.left -= n; k.left < 0 {
		die()
	}
}

type readKiller struct {
	r io.Reader
	k *killer
}

func (r readKiller) Read(b []byte) (int, error) {
	n, err := r.r.Read(b)
	r.k.moved(n)
	return n, err
}

type writeKiller struct {
	w io.Writer
	k *killer
}

func (w writeKiller) Write(b []byte) (int, error) {
	w.k.moved(len(b))
	return w.w.Write(b)
}

// TestBundleKillHelper is the process that is killed; alone it does nothing.
func TestBundleKillHelper(t *testing.T) {
	verb := os.Getenv(killEnv)
	if verb == "" {
		t.Skip("is started by another test")
	}
	left, err := strconv.Atoi(os.Getenv(killEnv + "_BYTES"))
	if err != nil {
		t.Fatal(err)
	}
	data, stick, step := os.Getenv(killEnv+"_DATA"), os.Getenv(killEnv+"_STICK"), os.Getenv(killEnv+"_STEP")
	err = WithCarrier(data, time.Now, func(c api.Carrier) error {
		k := &killer{c, step, left}
		if verb == "export" {
			_, err := ExportBundle(context.Background(), k, ExportRequest{Dir: stick, Site: "north", VolumeBytes: 5 << 20, Now: time.Now()})
			return err
		}
		_, err := ImportBundle(context.Background(), k, stick, time.Now())
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

// cutPoint is where a process is killed: by itself at a step or after some bytes, or from outside after a time.
type cutPoint struct {
	step  string
	bytes int
	after time.Duration
}

// helper runs the program up to the point, and says whether it came to its end.
func helper(t *testing.T, verb, data, stick string, p cutPoint) (ended bool) {
	t.Helper()
	cmd := exec.Command(os.Args[0], "-test.run", "^TestBundleKillHelper$", "-test.v")
	cmd.Env = append(os.Environ(), killEnv+"="+verb, killEnv+"_DATA="+data, killEnv+"_STICK="+stick, killEnv+"_STEP="+p.step, fmt.Sprintf("%s_BYTES=%d", killEnv, p.bytes))
	out := &tail{}
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	if p.after > 0 {
		kill := time.AfterFunc(p.after, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
	}
	err := cmd.Wait()
	var exit *exec.ExitError
	if err != nil && (!errors.As(err, &exit) || exit.Exited()) {
		t.Fatalf("%s: %v\n%s", verb, err, out.b)
	}
	return err == nil
}

// tail keeps the end of what a process says.
type tail struct{ b []byte }

func (l *tail) Write(b []byte) (int, error) {
	l.b = append(l.b, b...)
	l.b = l.b[max(0, len(l.b)-4096):]
	return len(b), nil
}

// A process that exports or imports is killed with SIGKILL: nothing wrong is believed afterwards, and the same
// command again completes.
func TestKilledExportAndImportGoOn(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("there a process that is killed looks like one that failed")
	}
	s := newSite(t)
	body := static(12<<20 + 77)
	s.update("u1", body)
	id := s.payload("u1")
	seed, site := s.seed.cfg.DataDir, s.folder.dir
	s.seed.stop()
	restore := s.saved(t)
	s.folder.close()
	whole := t.TempDir()
	began := time.Now()
	if !helper(t, "export", seed, whole, cutPoint{bytes: 1 << 40}) {
		t.Fatal("the export was killed by nobody")
	}
	took := time.Since(began)
	points, killed := soak(4, 200), 0
	rng := rand.New(rand.NewPCG(1, 2))
	for n := range points {
		// Half of the points lie in the data, a quarter at steps, a quarter anywhere in time.
		at := func(steps ...string) cutPoint {
			switch n % 4 {
			case 2:
				return cutPoint{bytes: 1 << 40, step: steps[n/4%len(steps)]}
			case 3:
				return cutPoint{bytes: 1 << 40, after: time.Duration(rng.Int64N(int64(took))) + time.Millisecond}
			}
			return cutPoint{bytes: rng.IntN(len(body))}
		}
		stick := filepath.Join(t.TempDir(), "stick")
		if err := os.Mkdir(stick, 0o755); err != nil {
			t.Fatal(err)
		}
		p := at("-chunks", "chunks", "give")
		if !helper(t, "export", seed, stick, p) {
			killed++
		}
		s.judgeCut(t, id, stick, fmt.Sprintf("export killed at %+v", p))
		if !helper(t, "export", seed, stick, cutPoint{bytes: 1 << 40}) {
			t.Fatal("the repeated export was killed by nobody")
		}
		restore(t)
		s.folder.close()
		p = at("-trust", "trust", "-docs", "docs", "-chunks", "chunks")
		if !helper(t, "import", site, stick, p) {
			killed++
		}
		s.reopen(t)
		s.checkStore(id)
		if v, most := s.believer.current().HeadVersion(), s.headOf(t, stick); v > most {
			t.Fatalf("import killed at %+v: head %d is trusted, the stick has %d", p, v, most)
		}
		i, err := s.take(stick)
		if err != nil || !i.Complete {
			t.Fatalf("import again after a kill at %+v: %+v, %v", p, i, err)
		}
		if err := s.store.Publish(id); err != nil {
			t.Fatalf("after a kill at %+v: %v", p, err)
		}
		restore(t)
		s.folder.close()
		if err := os.RemoveAll(stick); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d processes of %d were killed before their end", killed, 2*points)
	if killed < points/2 {
		t.Errorf("only %d of %d processes were killed before their end", killed, 2*points)
	}
	s.reopen(t) // what is cleaned up at the end
}

// judgeCut imports what a killed export has left: an error with a reason, or a part that is known to be one.
func (s *site) judgeCut(t *testing.T, id content.ID, stick, what string) {
	t.Helper()
	s.reopen(t)
	defer s.folder.close()
	i, err := s.take(stick)
	switch {
	case err != nil && api.ClassOf(err) == api.ClassNotFound:
	case err != nil:
		t.Fatalf("%s: %v", what, err)
	case i.Damaged > 0 || !i.Complete && i.Reason == "":
		t.Fatalf("%s: %+v", what, i)
	}
	s.checkStore(id)
}

func (s *site) reopen(t *testing.T) {
	t.Helper()
	f, err := openFolder(s.folder.dir, time.Now)
	if err != nil {
		t.Fatal(err)
	}
	*s.folder = *f
}

// headOf is the head that a stick names.
func (s *site) headOf(t *testing.T, stick string) int64 {
	t.Helper()
	f, err := media.Open(stick, false)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	x, err := f.Index()
	if err != nil {
		t.Fatal(err)
	}
	return x.HeadNo
}
