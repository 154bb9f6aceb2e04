package main

import (
	"time"

	"github.com/spf13/pflag"

	"patchmesh/node/api"
)

// spanFlag is a flag for a length of time that knows days and weeks.
type spanFlag time.Duration

func (f *spanFlag) String() string {
	if *f == 0 {
		return ""
	}
	return time.Duration(*f).String()
}

func (f *spanFlag) Type() string { return "duration" }

func (f *spanFlag) Set(s string) error {
	d, err := api.ParseSpan(s)
	*f = spanFlag(d)
	return err
}

// spanVar is a flag for a length of time with a default.
func spanVar(f *pflag.FlagSet, into *time.Duration, name string, usual time.Duration, text string) {
	*into = usual
	f.Var((*spanFlag)(into), name, text)
}
