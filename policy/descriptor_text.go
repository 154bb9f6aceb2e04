package policy

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
)

// Property is one thing that a descriptor says, for people. Neither part holds control characters.
type Property struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// Properties are all that a descriptor says of an update, for who approves it or asks about it: what is not stated is
// left away, but for what installing does to people, where nobody's knowing is an answer. Texts of many lines are
// told by size and hash. The order is fixed.
func (d *Descriptor) Properties() []Property {
	var out []Property
	add := func(name string, values ...string) {
		if s := strings.Join(slices.DeleteFunc(values, func(v string) bool { return v == "" }), ", "); s != "" {
			out = append(out, Property{name, s})
		}
	}
	add("update", fmt.Sprintf("%s revision %d", d.Update, d.Revision))
	add("title", d.Title)
	add("severity", d.Severity)
	add("classification", d.Classification)
	add("product", d.Product)
	add("cves", d.CVEs...)
	add("references", d.References...)
	add("languages", d.Languages...)
	add("licence", sized(d.Licence))
	if d.Withdrawn {
		add("withdrawn", "its vendor has taken this revision back")
	}
	add("supersedes", names(d.Supersedes)...)
	add("prerequisites", names(d.Prerequisites)...)
	add("restart", d.Restart)
	add("asks user", d.AsksUser)
	add("exclusive", d.Exclusive)
	add("disruptive", d.Disruptive)
	add("run time", seconds(d.MaxRunSeconds, Unknown))
	add("removable", map[bool]string{true: "yes", false: "no"}[d.Removable])
	d.tellWork(add)
	return out
}

// tellWork is what a machine does by, and which bytes it is about.
func (d *Descriptor) tellWork(add func(string, ...string)) {
	add("installer", d.Installer)
	for _, k := range slices.Sorted(maps.Keys(d.InstallerArgs)) {
		add("argument", k+"="+d.InstallerArgs[k])
	}
	add("requires", d.Requires...)
	add("package", d.Package)
	add("version", d.Version)
	add("arch", d.Arch)
	add("depends", d.Depends)
	add("file", fmt.Sprintf("%s, %d bytes, %d as stored", d.FileName, d.PlainBytes, d.StoredBytes))
	add("sha256", d.SHA256)
	add("origins", d.Origins...)
	add("origin hosts", d.OriginHosts...)
	for _, c := range []struct {
		name string
		c    *Condition
	}{{"applicable if", d.Applicable}, {"installed if", d.Installed}, {"healthy if", d.Probe}} {
		if c.c != nil {
			add(c.name, c.c.String())
		}
	}
	if d.Probe != nil {
		add("healthy within", seconds(d.ProbeSeconds, seconds(DefaultProbeSeconds, "")))
	}
	add("runs before", d.Before.told())
	add("runs after", d.After.told())
	if d.Mitigates != "" {
		add("mitigates", string(d.Mitigates)+" until "+d.MitigationEnds.UTC().Format(time.RFC3339))
	}
	if v := d.Vendor; v != nil {
		add("vendor's file", fmt.Sprintf("%s, %d bytes, sha256 %s", v.FileName, v.Bytes, v.SHA256), v.Origin, v.Member)
	}
}

// String is a condition as people write it: JSON in one line.
func (c *Condition) String() string {
	b, err := encodeAtMost("condition", c, MaxDescriptorBytes)
	if err != nil {
		return "cannot be shown"
	}
	return strings.TrimSpace(string(b))
}

// told names a hook by what it runs and its hash; nil is nothing.
func (h *Hook) told() string {
	if h == nil {
		return ""
	}
	with := h.Interpreter
	if with == "" {
		with, _, _ = strings.Cut(h.Script, "\n")
	}
	return fmt.Sprintf("%s with %s, within %s", sized(h.Script), with, seconds(h.TimeoutSeconds, "no time"))
}

// sized is a text of many lines by its size and hash.
func sized(s string) string {
	if s == "" {
		return ""
	}
	sum := content.Sum([]byte(s)).SHA256()
	return fmt.Sprintf("%d bytes, sha256 %x", len(s), sum)
}

func names(ids []UpdateID) []string {
	var out []string
	for _, u := range ids {
		out = append(out, string(u))
	}
	return out
}

func seconds(n int, none string) string {
	if n == 0 {
		return none
	}
	return (time.Duration(n) * time.Second).String()
}
