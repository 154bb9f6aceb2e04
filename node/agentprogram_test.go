package node

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"

	"patchmesh/node/install"
)

// processGroup is what the service manager of the tests ends as a whole.
var processGroup = os.Getpid

// agentWish is what the approvals of the test ask for.
type agentWish struct {
	Version string
	Seconds int
	Kill    string // step at which the process kills itself, once
}

// testAgent is a program under the launcher: it says that it is well, installs what is wished, and makes
// room, all as a node does.
func testAgent(root, version string) int {
	log := slog.New(slog.DiscardHandler)
	run := LaunchedAs(os.Getenv)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	note(filepath.Join(root, "alive"), version)
	note(filepath.Join(root, "group"), fmt.Sprint(processGroup()))
	go func() {
		var w agentWish
		if b, err := os.ReadFile(filepath.Join(root, "wish")); err != nil || json.Unmarshal(b, &w) != nil {
			return
		}
		i, _ := install.For("agent")
		j, err := agentJob(root, w)
		if err != nil {
			note(filepath.Join(root, "outcome"), err.Error())
			return
		}
		j.Step = func(step string) error { dieAt(root, w.Kill, step); return nil }
		res, err := install.Bring(ctx, i, j)
		if run.moved() || ctx.Err() != nil {
			return
		}
		said := "installed " + res.Version
		var e *install.Error
		if errors.As(err, &e) {
			said = e.Reason + ": " + e.Error()
		}
		note(filepath.Join(root, "outcome"), version+" says: "+said)
	}()
	left := make(chan struct{})
	go run.follow(ctx, log, func() error {
		dieAt(root, wishOf(root).Kill, "before proof")
		sum, err := install.FileSHA256(os.Getenv("TEST_SELF"))
		if err != nil || sum != run.SHA256 {
			return fmt.Errorf("launched as %s, am %s: %w", run.SHA256, sum, err)
		}
		err = slotsProof(run).Proved([32]byte(unhex(sum)))
		dieAt(root, wishOf(root).Kill, "after proof")
		return err
	}, func() { close(left) })
	<-left
	return ExitHandover
}

func unhex(s string) []byte { var b []byte; _, _ = fmt.Sscanf(s, "%x", &b); return b }

func wishOf(root string) (w agentWish) {
	b, _ := os.ReadFile(filepath.Join(root, "wish"))
	_ = json.Unmarshal(b, &w)
	return w
}

// dieAt kills this process as a power cut would, the first time that it comes to a step.
func dieAt(root, want, step string) {
	if want != step {
		return
	}
	f, err := os.OpenFile(filepath.Join(root, "killed"), os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return
	}
	_ = f.Close()
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Kill()
	}
	select {}
}

func note(path, line string) {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err == nil {
		_, _ = io.WriteString(f, line+"\n")
		_ = f.Close()
	}
}

func agentJob(root string, w agentWish) (install.Job, error) {
	b, err := os.ReadFile(filepath.Join(root, "payload"))
	return install.Job{
		Root: root, Work: filepath.Join(root, "work"), Keep: filepath.Join(root, "kept"),
		Spec: install.Spec{
			Update: "agent", Revision: 1, Installer: "agent", FileName: "patchmesh", SHA256: sha256.Sum256(b), PlainBytes: int64(len(b)), Version: w.Version,
			Args: map[string]string{"prove-seconds": fmt.Sprint(w.Seconds)},
		},
		Open: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil },
	}, err
}
