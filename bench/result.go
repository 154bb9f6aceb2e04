package bench

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// Result is one run of one contender: a line of JSON in results/SCENARIO.jsonl. Nothing in it is
// computed from other runs.
type Result struct {
	Session   string    `json:"session"` // runs that belong together: measured side by side
	At        time.Time `json:"at"`      // when the run began
	Scenario  string    `json:"scenario"`
	Contender string    `json:"contender"`
	Version   string    `json:"version"` // of the contender, as it says itself
	Run       int       `json:"run"`     // from 1
	Error     string    `json:"error,omitempty"`

	Machines     int     `json:"machines"` // that had to get everything
	PayloadBytes int64   `json:"payload_bytes"`
	BoundSeconds float64 `json:"bound_s"` // payload / rate of the narrowest link; zero without rates

	// Seconds are when each machine had everything, rising, since the contender was told to begin.
	Seconds []float64 `json:"seconds"`
	// LastSeconds are the last machine's, one for each release of the run.
	LastSeconds []float64 `json:"last_s"`

	// Wire bytes from interface counters, headers included.
	WANInBytes   int64 `json:"wan_in_bytes"` // into the site
	WANOutBytes  int64 `json:"wan_out_bytes"`
	LANInBytes   int64 `json:"lan_in_bytes"`   // sum over the machines
	SeedOutBytes int64 `json:"seed_out_bytes"` // sent by the seed

	// CPUSeconds is the processor time of all processes of the contender, seed included, between the
	// start of the clock and the last machine's end.
	CPUSeconds  float64 `json:"cpu_s"`
	PeakRSS     int64   `json:"peak_rss_bytes"` // of the machine that held most, from its start on
	SeedPeakRSS int64   `json:"seed_peak_rss_bytes"`

	// Told is what the contender says of itself, by name: "payload_wan_bytes", "duplicate_bytes" ...
	Told map[string]float64 `json:"told,omitempty"`

	Hardware Hardware `json:"hardware"`
}

// Hardware is what a run was made on.
type Hardware struct {
	CPU         string  `json:"cpu"`
	Cores       int     `json:"cores"`
	MemoryBytes int64   `json:"memory_bytes"`
	Kernel      string  `json:"kernel"`
	System      string  `json:"system"`
	Load1       float64 `json:"load_1min"` // before the run: what else the machine was doing
}

// Last is the median over the releases of when the last machine was done; for most scenarios there
// is one.
func (r Result) Last() float64 { return Median(r.LastSeconds) }

// DeliveredGB is what all machines together have got, in 10^9 bytes.
func (r Result) DeliveredGB() float64 {
	return float64(r.PayloadBytes) * float64(r.Machines) * float64(max(len(r.LastSeconds), 1)) / 1e9
}

// maxResultLine bounds one line of a results file.
const maxResultLine = 1 << 20

// AppendResult adds one line to dir/SCENARIO.jsonl.
func AppendResult(dir string, r Result) error {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	line, err := json.Marshal(r)
	if err != nil {
		return err
	}
	f, err := os.OpenFile(filepath.Join(dir, r.Scenario+".jsonl"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return err
	}
	_, err = f.Write(append(line, '\n'))
	return errors.Join(err, f.Close())
}

// ReadResults reads the results of one scenario, in the order of the file; none where there is no file.
func ReadResults(dir, scenario string) ([]Result, error) {
	f, err := os.Open(filepath.Join(dir, scenario+".jsonl"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer f.Close()
	all, err := parseResults(f)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", f.Name(), err)
	}
	return all, nil
}

func parseResults(r io.Reader) ([]Result, error) {
	var all []Result
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, maxResultLine)
	for n := 1; lines.Scan(); n++ {
		if strings.TrimSpace(lines.Text()) == "" {
			continue
		}
		var one Result
		if err := json.Unmarshal(lines.Bytes(), &one); err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		all = append(all, one)
	}
	return all, lines.Err()
}

// newest keeps, of every contender, the runs of the session that it was measured in last. Contenders
// come in the order of their names.
func newest(all []Result) map[string][]Result {
	session := map[string]Result{}
	for _, r := range all {
		if last, ok := session[r.Contender]; !ok || r.At.After(last.At) {
			session[r.Contender] = r
		}
	}
	kept := map[string][]Result{}
	for _, r := range all {
		if r.Session == session[r.Contender].Session {
			kept[r.Contender] = append(kept[r.Contender], r)
		}
	}
	for _, runs := range kept {
		slices.SortStableFunc(runs, func(a, b Result) int { return a.At.Compare(b.At) })
	}
	return kept
}
