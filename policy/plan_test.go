package policy

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"patchmesh/content"
)

// Scripts in testdata read as questions of an admin and answers of a machine. A block is commands,
// a line of dashes, and what they print; the world lasts for one file. "go test ./policy -rewrite"
// writes the answers anew: read the diff.
var rewrite = flag.Bool("rewrite", false, "write the answers in testdata anew")

func TestPlans(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, f := range files {
		t.Run(strings.TrimSuffix(filepath.Base(f), ".txt"), func(t *testing.T) {
			b, err := os.ReadFile(f)
			if err != nil {
				t.Fatal(err)
			}
			got := play(t, string(b))
			if *rewrite {
				if err := os.WriteFile(f, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if got != string(b) {
				t.Errorf("%s", firstDifference(string(b), got))
			}
		})
	}
}

func firstDifference(want, got string) string {
	w, g := strings.Split(want, "\n"), strings.Split(got, "\n")
	for i := range min(len(w), len(g)) {
		if w[i] != g[i] {
			return fmt.Sprintf("line %d\nwant %s\ngot  %s", i+1, w[i], g[i])
		}
	}
	return "one is longer than the other"
}

// play runs a script and returns it with the answers that came.
func play(t *testing.T, script string) string {
	w := &office{descs: map[content.ID]*Descriptor{}, latest: map[string]*Descriptor{}, machines: map[string]*Machine{}}
	var out strings.Builder
	for block := range strings.SplitSeq(strings.TrimRight(script, "\n"), "\n\n") {
		commands, _, asked := strings.Cut(block, "\n----")
		var answer strings.Builder
		for line := range strings.SplitSeq(commands, "\n") {
			line, _, _ = strings.Cut(line, "#")
			if f := strings.Fields(line); len(f) > 0 {
				w.run(t, &answer, f[0], f[1:])
			}
		}
		if out.Len() > 0 {
			out.WriteString("\n")
		}
		out.WriteString(commands + "\n")
		if asked || answer.Len() > 0 {
			out.WriteString("----\n" + answer.String())
		}
	}
	return out.String()
}

// office is the world of a script: an admin's manifest, the descriptors, and machines.
type office struct {
	m        Manifest
	descs    map[content.ID]*Descriptor
	latest   map[string]*Descriptor
	machines map[string]*Machine
}

func (w *office) run(t *testing.T, out *strings.Builder, cmd string, args []string) {
	t.Helper()
	pos, opt := split(args)
	switch cmd {
	case "group":
		w.m.Groups = append(w.m.Groups, Group{Name: pos[0], Parent: opt["in"]})
	case "update":
		w.update(t, pos[0], opt)
	case "lose": // the descriptor has not arrived on the machine
		delete(w.descs, w.latest[pos[0]].ID())
	case "approve":
		w.approve(t, pos, opt)
	case "withdraw":
		w.m.Approvals = slices.DeleteFunc(w.m.Approvals, func(a Approval) bool { return string(a.Update) == pos[0] && a.Group == pos[1] })
	case "hold":
		w.m.Holds = append(w.m.Holds, Hold{ID: pos[0], Update: UpdateID(pos[1]), Group: opt["group"], Kind: "pause", Reason: strings.Join(pos[2:], " "), At: t0, ExpiresAt: when(t, opt["until"])})
	case "release":
		w.m.Holds = slices.DeleteFunc(w.m.Holds, func(h Hold) bool { return h.ID == pos[0] })
	case "setting": // setting NAME GROUP VALUE
		w.m.Settings = append(w.m.Settings, Setting{Name: pos[0], Group: pos[1], Value: pos[2]})
	case "local": // local MACHINE NAME=VALUE... holds=PATTERNS
		m := w.machines[pos[0]]
		m.LocalHolds, m.Local = list(opt["holds"]), opt
	case "accept":
		w.wish(pos[0], pos[1], func(wish *Wish) { wish.Accepted = true })
	case "postpone": // as the machine itself would, within its bounds
		w.postpone(t, out, pos, opt)
	case "rings": // rings PLAN RING=GROUPS...
		p := RingPlan{Name: pos[0]}
		for _, name := range pos[1:] {
			ring, groups, _ := strings.Cut(name, ":")
			r := Ring{Name: ring, Groups: list(groups)}
			r.SpreadMinutes, _ = strconv.Atoi(or(opt["spread"], "0"))
			p.Rings = append(p.Rings, r)
		}
		w.m.RingPlans = append(w.m.RingPlans, p)
	case "promote":
		for i := range w.m.Approvals {
			if a := &w.m.Approvals[i]; string(a.Update) == pos[0] {
				a.RingsOpened = append(a.RingsOpened, when(t, pos[1]))
			}
		}
	case "window": // window ID GROUP RULE at=01:00 minutes=120
		minutes, _ := strconv.Atoi(or(opt["minutes"], "120"))
		w.m.Windows = append(w.m.Windows, Window{ID: pos[0], Group: pos[1], Rule: strings.ReplaceAll(pos[2], ":", "="), From: "2026-01-01", At: or(opt["at"], "01:00"), Zone: or(opt["zone"], "UTC"), Minutes: minutes})
	case "machine":
		w.machines[pos[0]] = &Machine{ID: pos[0], Groups: list(opt["groups"]), Arch: or(opt["arch"], "amd64"), Installers: list(or(opt["can"], "deb,file")), Detected: map[UpdateID]Detection{}}
	case "found":
		w.machines[pos[0]].Detected[UpdateID(pos[1])] = Detection{Present: true, At: t0}
	case "missing":
		w.machines[pos[0]].Detected[UpdateID(pos[1])] = Detection{At: t0}
	case "unreadable":
		w.machines[pos[0]].Detected[UpdateID(pos[1])] = Detection{At: t0, Err: ReasonInstallerExit}
	case "plan":
		w.plan(t, out, pos[0], opt)
	default:
		t.Fatalf("no command %q", cmd)
	}
}

func (w *office) wish(machine, update string, say func(*Wish)) {
	m := w.machines[machine]
	if m.Wishes == nil {
		m.Wishes = map[UpdateID]Wish{}
	}
	wish := m.Wishes[UpdateID(update)]
	wish.Revision = w.latest[update].Revision
	say(&wish)
	m.Wishes[UpdateID(update)] = wish
}

func (w *office) postpone(t *testing.T, out *strings.Builder, pos []string, opt map[string]string) {
	now := t0
	if opt["at"] != "" {
		now = when(t, opt["at"])
	}
	m := w.machines[pos[0]]
	for _, v := range MakePlan(&w.m, func(id content.ID) *Descriptor { return w.descs[id] }, *m, false, now).Verdicts {
		if string(v.Update) == pos[1] {
			wish, err := w.m.Postpone(v, *m, when(t, pos[2]).Sub(t0), now)
			if err != nil {
				fmt.Fprintf(out, "refused: %v\n", err)
				return
			}
			w.wish(pos[0], pos[1], func(o *Wish) { *o = wish })
		}
	}
}

func (w *office) update(t *testing.T, name string, opt map[string]string) {
	t.Helper()
	d := fileDescriptor()
	if or(opt["installer"], "deb") == "deb" {
		d = debDescriptor()
	}
	d.Update, d.Arch, d.Installer, d.Supersedes = UpdateID(name), opt["arch"], or(opt["installer"], "deb"), nil
	if n, err := strconv.Atoi(opt["revision"]); err == nil {
		d.Revision = n
	}
	d.Severity = or(opt["severity"], d.Severity)
	d.MaxRunSeconds, _ = strconv.Atoi(or(opt["minutes"], "0"))
	d.MaxRunSeconds *= 60
	d.Requires = append([]string{d.Installer}, list(opt["requires"])...)
	d.Exclusive = opt["alone"]
	for _, s := range list(opt["needs"]) {
		d.Prerequisites = append(d.Prerequisites, UpdateID(s))
	}
	for _, s := range list(opt["replaces"]) {
		d.Supersedes = append(d.Supersedes, UpdateID(s))
	}
	if _, err := d.Encode(); err != nil {
		t.Fatal(err)
	}
	w.descs[d.ID()], w.latest[name] = d, d
}

func (w *office) approve(t *testing.T, pos []string, opt map[string]string) {
	t.Helper()
	d := w.latest[pos[0]]
	var opened []time.Time
	if opt["rings"] != "" {
		opened = []time.Time{t0}
	}
	w.m.Approvals = append(w.m.Approvals, Approval{
		Update: d.Update, Revision: d.Revision, Descriptor: d.ID(), DescriptorBytes: 1000, Group: pos[1], Action: Action(pos[2]), IgnoreWindows: opt["windows"] == "ignored", Expedite: opt["expedite"] != "", RingPlan: opt["rings"], RingsOpened: opened,
		NotBefore: when(t, opt["from"]), Deadline: when(t, opt["deadline"]), At: t0,
	})
}

// plan signs nothing, but sends the manifest through its encoding, as a machine gets it.
func (w *office) plan(t *testing.T, out *strings.Builder, name string, opt map[string]string) {
	t.Helper()
	w.m.Org, w.m.IssuedAt = "acme", t0
	w.m.Epoch++
	b, err := w.m.Encode()
	if err != nil {
		fmt.Fprintf(out, "refused: %v\n", err)
		return
	}
	m, err := DecodeManifest(b)
	if err != nil {
		fmt.Fprintf(out, "refused: %v\n", err)
		return
	}
	now := t0
	if opt["at"] != "" {
		now = when(t, opt["at"])
	}
	p := MakePlan(m, func(id content.ID) *Descriptor { return w.descs[id] }, *w.machines[name], opt["stale"] != "", now)
	if len(p.Verdicts) == 0 {
		fmt.Fprintf(out, "%s has nothing approved\n", name)
	}
	for _, v := range p.Verdicts {
		fmt.Fprintf(out, "%s %s\n", name, describeVerdict(m, v))
	}
	if !p.NextAt.IsZero() {
		fmt.Fprintf(out, "%s looks again at %s\n", name, offset(p.NextAt))
	}
}

func describeVerdict(m *Manifest, v Verdict) string {
	a := m.Approvals[v.Approval]
	s := fmt.Sprintf("%s: %s, %s", v.Update, v.Verb, v.Compliance)
	if v.Reason != "" {
		s += fmt.Sprintf(", because %s", v.Reason)
	}
	if v.Detail != "" {
		s += fmt.Sprintf(" (%s)", v.Detail)
	}
	if !v.Until.IsZero() {
		s += " until " + offset(v.Until)
	}
	s += fmt.Sprintf("; %s for %s", a.Action, a.Group)
	for _, l := range v.Losing {
		s += fmt.Sprintf(" beats %s for %s", m.Approvals[l].Action, m.Approvals[l].Group)
	}
	return s
}

// split parts words from key=value.
func split(args []string) (pos []string, opt map[string]string) {
	opt = map[string]string{}
	for _, a := range args {
		if k, v, named := strings.Cut(a, "="); named {
			opt[k] = v
		} else {
			pos = append(pos, a)
		}
	}
	return pos, opt
}

func list(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ",")
}

func or(s, other string) string {
	if s == "" {
		return other
	}
	return s
}

// when reads +3h or +2d: time after the beginning of the script.
func when(t *testing.T, s string) time.Time {
	t.Helper()
	if s == "" {
		return time.Time{}
	}
	n, err := strconv.Atoi(strings.Trim(s, "+dh"))
	if err != nil {
		t.Fatalf("time %q", s)
	}
	if strings.HasSuffix(s, "d") {
		return t0.Add(time.Duration(n) * day)
	}
	return t0.Add(time.Duration(n) * time.Hour)
}

func offset(at time.Time) string { return fmt.Sprintf("+%dh", int(at.Sub(t0).Hours())) }
