package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
	"patchmesh/node/control"
)

func (a *app) trustMirrorCmd() *cobra.Command {
	return &cobra.Command{
		Use:   "mirror DIR",
		Short: "write the signed approvals as files for any static web host",
		Long: "mirror writes the trusted metadata of this seed into a folder, under the standard names of TUF, so that any\n" +
			"static web host carries approvals to machines that never talk to the seed ('patchmesh trust refresh'). Run it\n" +
			"again after each approval, or by a timer: only what is new is written, and the head last, so that the folder\n" +
			"is whole at any moment. What the head does not lead to any more stays for a day, for slow clients; older roots\n" +
			"stay for ever. The payloads are not in it.\n" + exits,
		Example: "  patchmesh trust mirror /srv/www/updates",
		Args:    exactly(1, "one folder"),
		RunE: func(c *cobra.Command, args []string) error {
			return a.onSeed(func(s api.Service) error {
				t, ok := s.(api.Truster)
				if !ok {
					return api.Errorf(api.ClassFailed, "this node does not give its documents away")
				}
				d, err := t.TrustDocs(c.Context())
				if err != nil {
					return err
				}
				m, err := node.WriteMirror(args[0], d, time.Now())
				if err != nil {
					return err
				}
				return a.print(m, func(w io.Writer) {
					fmt.Fprintf(w, "%s: head %d, epoch %d, %d of %d files written, %d old ones removed\n", m.Dir, m.Head, m.Epoch, m.Written, m.Files, m.Removed)
				})
			})
		},
	}
}

// refreshOwn takes newer approvals from a web host into the data folder: through the running node, or
// beside a stopped one.
func (a *app) refreshOwn(ctx context.Context, f *trustFlags) error {
	if f.at != "" || f.allKeyTypes {
		return api.Errorf(api.ClassUsage, "--at and --all-key-types go with --metadata-dir only").
			WithHint("a mesh has Ed25519 keys, and the clock of its machines is not for the caller to choose")
	}
	// The folder is not held while the web host takes its time: a node may start meanwhile.
	var have *api.TrustDocs
	err := a.onTrust(func(t api.Truster) (err error) {
		have, err = t.TrustDocs(ctx)
		return err
	})
	if err != nil {
		return err
	}
	docs, err := node.FetchTrust(ctx, have, f.metadataURL, time.Now())
	if err != nil {
		return err
	}
	var s *api.TrustAdopted
	err = a.onTrust(func(t api.Truster) (err error) {
		s, err = t.AdoptTrust(ctx, *docs)
		return err
	})
	if err != nil {
		return err
	}
	return a.print(s, func(w io.Writer) {
		note := ""
		if s.Unchanged {
			note = " (nothing newer there)"
		}
		fmt.Fprintf(w, "epoch %d, head %d, valid until %s%s\n", s.Epoch, s.Head, s.ExpiresAt.Format(time.DateOnly), note)
	})
}

// onTrust calls f with the running node of the data folder, or with the folder itself.
func (a *app) onTrust(f func(api.Truster) error) error {
	for end := time.Now().Add(startup); ; time.Sleep(50 * time.Millisecond) {
		s, err := control.Dial(a.data)
		if err == nil {
			t, ok := s.(api.Truster)
			if !ok {
				return api.Errorf(api.ClassFailed, "this node does not give its documents away")
			}
			return f(t)
		}
		if api.ClassOf(err) != api.ClassUnreachable {
			return err
		}
		err = node.WithFolder(a.data, time.Now, f)
		if !errors.Is(err, node.ErrLocked) || time.Now().After(end) {
			return err // locked: a node is just starting, or another command is at work
		}
	}
}
