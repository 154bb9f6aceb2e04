package main

import (
	"context"
	"flag"
	"fmt"
	"io"

	"patchmesh/bench"
)

var tableVerb = verb{name: "table", example: "patchbench table --results bench/results", setUp: func(f *flag.FlagSet) func(context.Context, io.Writer, io.Writer) error {
	results := f.String("results", "bench/results", "`folder` of the raw numbers; table and plots are written there too")
	return func(_ context.Context, out, _ io.Writer) error {
		written, err := bench.WriteTables(*results)
		for _, name := range written {
			fmt.Fprintln(out, name)
		}
		return err
	}
}}
