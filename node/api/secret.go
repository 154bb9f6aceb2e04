package api

import (
	"fmt"
	"io"
	"log/slog"
)

// Secret is a text that must not be seen: it prints, logs and marshals as a mark. What is kept is
// read with Reveal, at the one place where it is used. The zero value is no secret at all.
type Secret string

const secretMark = "[secret]"

// Reveal gives the text.
func (s Secret) Reveal() string { return string(s) }

func (s Secret) mark() string {
	if s == "" {
		return ""
	}
	return secretMark
}

// String implements fmt.Stringer.
func (s Secret) String() string { return s.mark() }

// Format implements fmt.Formatter: no verb shows it, %q, %x and %#v neither.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, s.mark()) }

// MarshalText implements encoding.TextMarshaler, and with it every JSON log.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.mark()), nil }

// UnmarshalText takes the text as it comes.
func (s *Secret) UnmarshalText(b []byte) error {
	*s = Secret(b)
	return nil
}

// LogValue implements slog.LogValuer.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.mark()) }
