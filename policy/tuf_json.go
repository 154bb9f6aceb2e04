package policy

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"unicode/utf8"
)

// maxTUFNesting bounds the depth of a document of any TUF repository; the specification's own fields
// need seven, the rest is room for custom ones.
const maxTUFNesting = 32

// maxTUFValues bounds how many values a document holds: brackets alone would become twenty times their
// size in memory. The most that a sensible document of the greatest size has is half of this.
const maxTUFValues = 1 << 20

// parseTree reads one JSON document into maps, lists, strings, json.Numbers, booleans and nils. A
// name that stands twice in an object is refused: two readers could take different ones, and the
// signature would cover both readings.
func parseTree(b []byte) (any, error) {
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("not UTF-8: %w", ErrFormat)
	}
	d := treeReader{Decoder: json.NewDecoder(bytes.NewReader(b))}
	d.UseNumber()
	v, err := d.value(0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("data after the document: %w", ErrFormat)
	}
	return v, nil
}

// treeReader reads one tree and counts its values.
type treeReader struct {
	*json.Decoder
	values int
}

func (d *treeReader) value(depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	open, isDelim := t.(json.Delim)
	d.values++
	switch {
	case d.values > maxTUFValues:
		return nil, fmt.Errorf("more than %d values: %w", maxTUFValues, ErrTooLarge)
	case !isDelim:
		return t, nil
	case depth >= maxTUFNesting:
		return nil, fmt.Errorf("nested deeper than %d: %w", maxTUFNesting, ErrFormat)
	case open == '[':
		return d.list(depth + 1)
	}
	return d.object(depth + 1)
}

func (d *treeReader) list(depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := d.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, d.end()
}

func (d *treeReader) object(depth int) (any, error) {
	object := map[string]any{}
	for d.More() {
		t, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("%w: %w", ErrFormat, err)
		}
		name, _ := t.(string) // the decoder takes nothing else here
		if _, twice := object[name]; twice {
			return nil, fmt.Errorf("field %.40q stands there twice: %w", name, ErrFormat)
		}
		if object[name], err = d.value(depth); err != nil {
			return nil, err
		}
	}
	return object, d.end()
}

func (d *treeReader) end() error {
	if _, err := d.Token(); err != nil {
		return fmt.Errorf("%w: %w", ErrFormat, err)
	}
	return nil
}

// canonical writes a tree in canonical JSON, over which TUF signatures and key ids are made: names
// in order of their code points, no spaces, only the quote and the backslash escaped, whole numbers
// only (wiki.laptop.org/go/Canonical_JSON, named by the TUF specification, section 4.1).
func canonical(v any) ([]byte, error) {
	var b bytes.Buffer
	if err := writeCanonical(&b, v); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func writeCanonical(b *bytes.Buffer, v any) error {
	switch v := v.(type) {
	case nil:
		b.WriteString("null")
	case bool:
		b.WriteString(strconv.FormatBool(v))
	case string:
		writeCanonicalString(b, v)
	case json.Number:
		if !wholeNumber(string(v)) {
			return fmt.Errorf("number %.40q is not a whole one: %w", string(v), ErrFormat)
		}
		b.WriteString(string(v))
	case []any:
		b.WriteByte('[')
		for i, x := range v {
			if i > 0 {
				b.WriteByte(',')
			}
			if err := writeCanonical(b, x); err != nil {
				return err
			}
		}
		b.WriteByte(']')
	default: // parseTree makes nothing else
		return writeCanonicalObject(b, v.(map[string]any))
	}
	return nil
}

func writeCanonicalObject(b *bytes.Buffer, object map[string]any) error {
	b.WriteByte('{')
	for i, name := range slices.Sorted(maps.Keys(object)) {
		if i > 0 {
			b.WriteByte(',')
		}
		writeCanonicalString(b, name)
		b.WriteByte(':')
		if err := writeCanonical(b, object[name]); err != nil {
			return err
		}
	}
	b.WriteByte('}')
	return nil
}

func writeCanonicalString(b *bytes.Buffer, s string) {
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
}

// wholeNumber takes 0, 7 and -7, but not 1e3, 1.0 or -0: one number has one spelling.
func wholeNumber(s string) bool {
	digits := s
	if digits != "" && digits[0] == '-' {
		digits = digits[1:]
	}
	if digits == "" || (digits[0] == '0' && s != "0") {
		return false
	}
	for i := range len(digits) {
		if digits[i] < '0' || digits[i] > '9' {
			return false
		}
	}
	return true
}

// objectsOnly says whether every element of a list or object is an object; absent things are fine.
func objectsOnly(v any) bool {
	isObject := func(x any) bool { _, ok := x.(map[string]any); return ok }
	switch v := v.(type) {
	case nil:
		return true
	case []any:
		return !slices.ContainsFunc(v, func(x any) bool { return !isObject(x) })
	case map[string]any:
		for _, x := range v {
			if !isObject(x) {
				return false
			}
		}
		return true
	}
	return false
}
