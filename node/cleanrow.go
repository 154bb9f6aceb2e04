package node

import (
	"reflect"
	"slices"
	"strings"

	"patchmesh/node/api"
	"patchmesh/policy"
)

// cleanRow makes a machine's word about itself fit to be shown. Its signature says whose word it is, and nothing
// about what stands in it: a machine in bad hands could else write rows of other machines into the admin's
// terminal, or commands for it. Updates whose name cannot be one are left out, nobody has approved them; and so is one that
// was told already, or a seed would carry over a hundred thousand rows of it with every report.
func cleanRow(m *api.Machine) {
	seen := make(map[string]bool, len(m.Updates))
	m.Updates = slices.DeleteFunc(m.Updates, func(u api.Update) bool {
		_, err := policy.ParseUpdateID(u.Update)
		was := seen[u.Update]
		seen[u.Update] = true
		return err != nil || was
	})
	m.LeftOut = max(m.LeftOut, 0)
	cleanStrings(reflect.ValueOf(m))
	cutWords(m)
}

// maxWord is how long a word may be that stands for a state or a reason: of a list that newer versions know more of, but a word.
const maxWord = 64

// cutWords shortens what would be a column of a table: one of megabytes makes every row as wide, in the rows of all others too.
func cutWords(m *api.Machine) {
	words := []*string{&m.Reason}
	for i := range m.Refused {
		words = append(words, &m.Refused[i].Reason)
	}
	for i := range m.Updates {
		u := &m.Updates[i]
		words = append(words, &u.State, &u.Reason, &u.Compliance)
	}
	for _, w := range words {
		if len(*w) > maxWord {
			*w = strings.ToValidUTF8((*w)[:maxWord], "")
		}
	}
}

// cleanStrings cleans every text that a value holds, in the fields of structs, lists and maps.
func cleanStrings(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			cleanStrings(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if f := v.Field(i); f.CanSet() { // the fields of a time are its own
				cleanStrings(f)
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			cleanStrings(v.Index(i))
		}
	case reflect.Map:
		for _, k := range v.MapKeys() {
			value, key := reflect.New(v.Type().Elem()).Elem(), reflect.New(v.Type().Key()).Elem()
			value.Set(v.MapIndex(k))
			key.Set(k)
			cleanStrings(value)
			cleanStrings(key)
			v.SetMapIndex(k, reflect.Value{})
			v.SetMapIndex(key, value)
		}
	case reflect.String:
		v.SetString(api.Clean(v.String()))
	}
}
