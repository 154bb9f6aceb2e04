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

// parseTree reads one JSON document into maps, lists, strings, json.Numbers, booleans and nils. A
// name that stands twice in an object is refused: two readers could take different ones, and the
// signature would cover both readings.
func parseTree(b []byte) (any, error) {
	if !utf8.Valid(b) {
		return nil, fmt.Errorf("not UTF-8: %w", ErrFormat)
	}
	d := json.NewDecoder(bytes.NewReader(b))
	d.UseNumber()
	v, err := readTree(d, 0)
	if err != nil {
		return nil, err
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("data after the document: %w", ErrFormat)
	}
	return v, nil
}

func readTree(d *json.Decoder, depth int) (any, error) {
	t, err := d.Token()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", ErrFormat, err)
	}
	open, isDelim := t.(json.Delim)
	switch {
	case !isDelim:
		return t, nil
	case depth >= maxTUFNesting:
		return nil, fmt.Errorf("nested deeper than %d: %w", maxTUFNesting, ErrFormat)
	case open == '[':
		return readList(d, depth+1)
	}
	return readObject(d, depth+1)
}

func readList(d *json.Decoder, depth int) (any, error) {
	list := []any{}
	for d.More() {
		v, err := readTree(d, depth)
		if err != nil {
			return nil, err
		}
		list = append(list, v)
	}
	return list, endTree(d)
}

func readObject(d *json.Decoder, depth int) (any, error) {
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
		if object[name], err = readTree(d, depth); err != nil {
			return nil, err
		}
	}
	return object, endTree(d)
}

func endTree(d *json.Decoder) error {
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
