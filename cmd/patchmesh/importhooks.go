package main

import (
	"io"
	"os"
	"time"

	"github.com/spf13/pflag"

	"patchmesh/node/api"
)

// hookFiles are the scripts of an import.
type hookFiles struct {
	before, after, interpreter string
	timeout                    time.Duration
}

func (h *hookFiles) flags(f *pflag.FlagSet) {
	f.StringVar(&h.before, "before", "", "script that runs before the install; one that does not end with 0 or 3010 (restart) stops it")
	f.StringVar(&h.after, "after", "", "script that runs after it; one that does not end well is reported and run again")
	f.StringVar(&h.interpreter, "hook-interpreter", "", "absolute path of the program that runs these scripts (default: what they name behind #!)")
	spanVar(f, &h.timeout, "hook-timeout", api.DefaultHookSeconds*time.Second, "how long each of these scripts may take")
}

func (h *hookFiles) read(r *api.ImportRules) error {
	for _, x := range []struct {
		path string
		into **api.Hook
	}{{h.before, &r.Before}, {h.after, &r.After}} {
		if x.path == "" {
			continue
		}
		f, err := os.Open(x.path)
		if os.IsNotExist(err) {
			return api.Errorf(api.ClassNotFound, "no file %s", x.path)
		}
		if err != nil {
			return api.Errorf(api.ClassFailed, "%v", err)
		}
		b, err := io.ReadAll(io.LimitReader(f, api.MaxHookBytes+1))
		_ = f.Close()
		if err != nil {
			return api.Errorf(api.ClassFailed, "%v", err)
		}
		if len(b) > api.MaxHookBytes {
			return api.Errorf(api.ClassUsage, "%s is larger than %d bytes", x.path, api.MaxHookBytes).WithHint("a larger program is an update of its own, installer kind script")
		}
		if h.timeout < time.Second || h.timeout%time.Second != 0 {
			return api.Errorf(api.ClassUsage, "--hook-timeout %s is no whole number of seconds", h.timeout)
		}
		*x.into = &api.Hook{Interpreter: h.interpreter, Script: string(b), TimeoutSeconds: int(h.timeout / time.Second)}
	}
	return nil
}
