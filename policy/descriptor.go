package policy

import (
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"patchmesh/content"
)

// Descriptor is the metadata of one revision of an update. It is content-addressed: an approval
// names it by ID, so the approvers' signatures cover every byte of it.
type Descriptor struct {
	Format         int        `json:"format"`
	Update         UpdateID   `json:"update"`
	Revision       int        `json:"revision"`
	Title          string     `json:"title"`
	Severity       string     `json:"severity"`       // critical important moderate low unspecified
	Classification string     `json:"classification"` // security critical definition driver feature ... other
	Product        string     `json:"product,omitempty"`
	CVEs           []string   `json:"cves,omitempty"`
	References     []string   `json:"references,omitempty"` // advisories, knowledge base numbers
	Supersedes     []UpdateID `json:"supersedes,omitempty"`
	Prerequisites  []UpdateID `json:"prerequisites,omitempty"`
	Languages      []string   `json:"languages,omitempty"`
	Licence        string     `json:"licence,omitempty"`

	// What installing it does to people. Encode writes Unknown for what is empty: not to know is an
	// answer of its own, never a guess.
	Restart       string `json:"restart"`         // never, maybe, always, unknown
	AsksUser      string `json:"asks_user"`       // never, maybe, always, unknown
	Exclusive     string `json:"exclusive"`       // no, yes, unknown: nothing else may be installed with it
	MaxRunSeconds int    `json:"max_run_seconds"` // 0: unknown
	// Disruptive is no for what neither stops a service, asks anybody nor restarts anything. Empty: not stated.
	Disruptive string `json:"disruptive,omitempty"` // no, yes

	Installer     string            `json:"installer"`
	InstallerArgs map[string]string `json:"installer_args,omitempty"`
	// Requires names what an agent must know to handle the update: installer kinds and rules. One
	// that does not know an entry holds.
	Requires  []string `json:"requires"`
	Removable bool     `json:"removable"`

	FileName    string     `json:"file_name"`
	Payload     content.ID `json:"payload"` // of the payload map
	MapBytes    int        `json:"map_bytes"`
	PlainBytes  int64      `json:"plain_bytes"`
	StoredBytes int64      `json:"stored_bytes"`
	SHA256      string     `json:"sha256"` // of the whole plain payload, hex

	// Origins are URLs of the plain payload at its vendor's, http or https; OriginHosts are hosts, beside
	// those, to which their redirects may lead ("cdn.example.org", "cdn.example.org:8443").
	Origins     []string `json:"origins,omitempty"`
	OriginHosts []string `json:"origin_hosts,omitempty"`

	Package string `json:"package,omitempty"`
	Version string `json:"version,omitempty"`
	Arch    string `json:"arch,omitempty"` // as Go names it; empty: any
	Depends string `json:"depends,omitempty"`

	// Rules that this machine evaluates by looking at itself; nil: the installer alone decides.
	Applicable *Condition `json:"applicable,omitempty"` // no: the update is not for this machine
	Installed  *Condition `json:"installed,omitempty"`  // whether it is there
	// Probe must hold within ProbeSeconds after an install, else the install is rolled back.
	Probe        *Condition `json:"probe,omitempty"`
	ProbeSeconds int        `json:"probe_seconds,omitempty"` // 0: DefaultProbeSeconds

	// Before and After run with every install, see Hook; nil: nothing does.
	Before *Hook `json:"before,omitempty"`
	After  *Hook `json:"after,omitempty"`

	// Mitigates is the update that this one stands in for, until MitigationEnds at the latest.
	Mitigates      UpdateID  `json:"mitigates,omitempty"`
	MitigationEnds time.Time `json:"mitigation_ends,omitzero"`

	// Withdrawn: its vendor has taken this revision back. It is for people and seeds; machines do what is approved.
	Withdrawn bool `json:"withdrawn,omitempty"`

	Vendor *Vendor `json:"vendor,omitempty"` // the file that a customised payload was made around; nil: nobody says
}

// forArch says whether it is for machines of an architecture; "" is one that nobody names.
func (d *Descriptor) forArch(arch string) bool {
	return d.Arch == "" || d.Arch == "all" || d.Arch == arch
}

// MayAsk says whether its installer is known to ask a person something. Nobody may be there to answer: it is never
// forced by a deadline.
func (d *Descriptor) MayAsk() bool { return d.AsksUser == "maybe" || d.AsksUser == "always" }

// Unknown is the value of a property that nobody has stated.
const Unknown = "unknown"

// Limits of a descriptor.
const (
	DescriptorFormat   = 1
	MaxDescriptorBytes = 256 << 10
	maxRunSeconds      = 7 * 24 * 3600
	// DefaultProbeSeconds is how long a probe may take to hold.
	DefaultProbeSeconds = 30
	maxProbeSeconds     = 3600
	maxFileNameBytes    = 255
)

// Encode fills what was left unknown and writes the document.
func (d *Descriptor) Encode() ([]byte, error) {
	d.Format = DescriptorFormat
	for _, f := range []*string{&d.Restart, &d.AsksUser, &d.Exclusive} {
		if *f == "" {
			*f = Unknown
		}
	}
	if err := d.check(); err != nil {
		return nil, err
	}
	return encodeAtMost("descriptor", d, MaxDescriptorBytes)
}

// ID names the encoded document; zero if it cannot be encoded. d is only read: many may hold it.
func (d *Descriptor) ID() content.ID {
	c := *d
	b, err := c.Encode()
	if err != nil {
		return content.ID{}
	}
	return content.Sum(b)
}

// DecodeDescriptor reads a document and checks all of it. ErrFormat, ErrTooLarge.
func DecodeDescriptor(b []byte) (*Descriptor, error) {
	var d Descriptor
	if err := decodeExact(b, MaxDescriptorBytes, &d); err != nil {
		return nil, fmt.Errorf("descriptor: %w", err)
	}
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("descriptor: %w", err)
	}
	return &d, nil
}

var severities = []string{"critical", "important", "moderate", "low", "unspecified"}

func (d *Descriptor) check() error {
	if d.Format != DescriptorFormat || d.Revision < 1 {
		return fmt.Errorf("descriptor format %d revision %d: %w", d.Format, d.Revision, ErrFormat)
	}
	if _, err := ParseUpdateID(string(d.Update)); err != nil {
		return err
	}
	if !slices.Contains(severities, d.Severity) {
		return fmt.Errorf("severity %.30q: %w", d.Severity, ErrFormat)
	}
	if err := d.checkPayload(); err != nil {
		return err
	}
	if err := d.checkEffects(); err != nil {
		return err
	}
	if err := d.checkRelations(); err != nil {
		return err
	}
	if err := d.checkOrigins(); err != nil {
		return err
	}
	if err := errors.Join(d.checkConditions(), d.checkMitigation(), d.Vendor.check(d), d.checkHooks()); err != nil {
		return err
	}
	texts := slices.Concat(
		[]string{d.Title, d.Classification, d.Product, d.Installer, d.FileName, d.Package, d.Version, d.Arch},
		d.CVEs, d.References, d.Languages, d.Requires,
	)
	for k, v := range d.InstallerArgs {
		texts = append(texts, k, v)
	}
	if len(texts) > 2000 {
		return fmt.Errorf("descriptor of %d texts: %w", len(texts), ErrTooLarge)
	}
	for _, s := range texts {
		if err := checkText("descriptor text", s, 4096); err != nil {
			return err
		}
	}
	if err := checkProse("licence", d.Licence, 128<<10); err != nil {
		return err
	}
	return checkText("dependencies", d.Depends, 64<<10)
}

// checkEffects accepts stated answers and Unknown, nothing in between.
func (d *Descriptor) checkEffects() error {
	often := []string{"never", "maybe", "always", Unknown}
	for _, f := range []struct {
		name, value string
		may         []string
	}{
		{"restart", d.Restart, often}, {"asks_user", d.AsksUser, often}, {"exclusive", d.Exclusive, []string{"no", "yes", Unknown}},
	} {
		if !slices.Contains(f.may, f.value) {
			return fmt.Errorf("descriptor of %s: %s %.30q: %w", d.Update, f.name, f.value, ErrFormat)
		}
	}
	if err := d.checkDisruptive(); err != nil {
		return err
	}
	if d.MaxRunSeconds < 0 || d.MaxRunSeconds > maxRunSeconds {
		return fmt.Errorf("descriptor of %s: run time of %d s: %w", d.Update, d.MaxRunSeconds, ErrFormat)
	}
	return nil
}

func (d *Descriptor) checkRelations() error {
	for _, u := range slices.Concat(d.Supersedes, d.Prerequisites) {
		if _, err := ParseUpdateID(string(u)); err != nil {
			return err
		}
		if u == d.Update {
			return fmt.Errorf("descriptor of %s relates it to itself: %w", d.Update, ErrFormat)
		}
	}
	return nil
}

func (d *Descriptor) checkConditions() error {
	for _, c := range []struct {
		name string
		c    *Condition
	}{{"applicable", d.Applicable}, {"installed", d.Installed}, {"probe", d.Probe}} {
		if c.c == nil {
			continue
		}
		if err := c.c.checkRule(); err != nil {
			return fmt.Errorf("descriptor of %s: %s: %w", d.Update, c.name, err)
		}
	}
	if d.ProbeSeconds < 0 || d.ProbeSeconds > maxProbeSeconds || d.ProbeSeconds > 0 && d.Probe == nil {
		return fmt.Errorf("descriptor of %s: probe of %d s: %w", d.Update, d.ProbeSeconds, ErrFormat)
	}
	return nil
}

func (d *Descriptor) checkPayload() error {
	sum, err := hex.DecodeString(d.SHA256)
	if err != nil || len(sum) != 32 || hex.EncodeToString(sum) != d.SHA256 || d.Payload.IsZero() || d.Installer == "" {
		return fmt.Errorf("descriptor of %s names no payload: %w", d.Update, ErrFormat)
	}
	if d.PlainBytes < 1 || d.PlainBytes > content.MaxPayloadBytes || d.StoredBytes < 1 || d.StoredBytes > d.PlainBytes ||
		d.MapBytes < 1 || d.MapBytes > content.MaxMapBytes {
		return fmt.Errorf("descriptor of %s: payload of %d bytes: %w", d.Update, d.PlainBytes, ErrFormat)
	}
	return checkFileName(d.FileName)
}

// checkFileName accepts names that are no paths on any system: one in a descriptor must never lead
// an installer out of its folder.
func checkFileName(s string) error {
	if s == "" || len(s) > maxFileNameBytes || s == "." || s == ".." || strings.ContainsAny(s, `/\:`) {
		return fmt.Errorf("file name %.60q: %w", s, ErrFormat)
	}
	return nil
}
