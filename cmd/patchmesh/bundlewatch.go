package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"runtime"
	"time"

	"github.com/spf13/cobra"

	"patchmesh/node"
	"patchmesh/node/api"
)

// watchMediaEvery is how often mount points are looked at; nothing on them is opened for that.
const watchMediaEvery = 2 * time.Second

func (a *app) bundleWatchCmd() *cobra.Command {
	var once bool
	var most string
	c := &cobra.Command{
		Use:   "watch [DIR]...",
		Short: "handle media that are put in, both ways, where policy allows it",
		Long: "watch looks at mount points, or at the folders given, for media that export has written. At a site it imports them\n" +
			"and writes the way back; on a seed it takes what came back and packs anew for the same site. So a stick, or a\n" +
			"folder of a laptop that goes round, needs no command at either end. A machine does so only if its setting\n" +
			"media-import is yes; nothing on a medium is run, and it is verified as by import.\n" +
			"A laptop that is a machine of the mesh itself needs neither folder nor watch: the setting carries names the sites\n" +
			"that it serves whenever it meets their machines, and 'patchmesh log events --kind carried' tells what it did.\n" + exits,
		Example: "  patchmesh policy set media-import=yes --group ships\n  patchmesh bundle watch\n  patchmesh policy set carries=north,south --group couriers",
		Args:    cobra.ArbitraryArgs,
		RunE: func(c *cobra.Command, args []string) error {
			bytes, err := parseSize(most)
			if err != nil {
				return err
			}
			if len(args) == 0 {
				args = mountPoints()
			}
			return a.watchMedia(c.Context(), args, bytes, once)
		},
	}
	c.Flags().BoolVar(&once, "once", false, "handle what is there now, and end")
	c.Flags().StringVar(&most, "max-size", "256GiB", "media that say they hold more are left alone")
	return c
}

// mountPoints are where systems put removable media.
func mountPoints() []string {
	switch runtime.GOOS {
	case "windows":
		var out []string
		for d := 'D'; d <= 'Z'; d++ {
			out = append(out, string(d)+`:\`)
		}
		return out
	case "darwin":
		return []string{"/Volumes/*"}
	}
	return []string{"/media/*", "/media/*/*", "/run/media/*/*", "/mnt", "/mnt/*"}
}

func (a *app) watchMedia(ctx context.Context, dirs []string, most int64, once bool) error {
	var seen node.MediaSeen
	for {
		for _, dir := range seen.Look(dirs) {
			var h *node.HandledMedium
			err := a.onCarrier(func(c api.Carrier) error {
				s, ok := c.(api.Service)
				if !ok {
					return api.Errorf(api.ClassUnreachable, "no patchmesh is running on %s", a.data).WithHint("start it with 'patchmesh run': it says what policy allows")
				}
				var err error
				h, err = node.HandleMedium(ctx, c, s, dir, most, time.Now)
				return err
			})
			seen.Done(dir)
			if err != nil && once {
				return err
			}
			if err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n", api.Clean(dir), err)
				continue
			}
			if err := a.print(h, func(w io.Writer) { writeHandled(w, h) }); err != nil {
				return err
			}
		}
		if once {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchMediaEvery):
		}
	}
}

func writeHandled(w io.Writer, h *node.HandledMedium) {
	if h.Imported != nil {
		writeBundleImport(w, h.Imported, h.AsOf.IsZero())
	}
	if !h.AsOf.IsZero() {
		fmt.Fprintf(w, "packed %s ago\n", time.Since(h.AsOf).Round(time.Minute))
	}
	if h.Returned != nil {
		fmt.Fprintf(w, "%s: reports of %d machines for the way back\n", h.Returned.File, h.Returned.Reports)
	}
	if h.Exported != nil {
		writeExport(w, h.Exported, false)
	}
}
