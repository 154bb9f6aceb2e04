package swarmtest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/cockroachdb/datadriven"
)

// Run plays one script. With -rewrite it writes what it saw into the script instead of comparing.
func Run(t *testing.T, path string) {
	file := &script{show: map[string]bool{}}
	datadriven.RunTest(t, path, func(t *testing.T, d *datadriven.TestData) string {
		var out strings.Builder
		lines := append([]string{first(d)}, strings.Split(d.Input, "\n")...)
		for _, text := range lines {
			l := parse(text)
			if l.verb == "" {
				continue
			}
			if err := file.play(l, &out); err != nil {
				t.Fatalf("%s: %s: %v", d.Pos, text, err)
			}
		}
		return out.String()
	})
}

// first puts the first line of a block together again.
func first(d *datadriven.TestData) string {
	words := []string{d.Cmd}
	for _, a := range d.CmdArgs {
		if len(a.Vals) > 0 {
			words = append(words, a.Key+"="+strings.Join(a.Vals, ","))
		} else {
			words = append(words, a.Key)
		}
	}
	return strings.Join(words, " ")
}

// line is one command of a script.
type line struct {
	verb    string
	words   []string // without "="
	options []option // in the order they were written
}

type option struct{ name, value string }

// parse cuts a line. What follows " #" is a comment.
func parse(text string) line {
	var l line
	for _, w := range strings.Fields(text) {
		name, value, isOption := strings.Cut(w, "=")
		switch {
		case w[0] == '#':
			return l
		case l.verb == "":
			l.verb = w
		case isOption:
			l.options = append(l.options, option{name, value})
		default:
			l.words = append(l.words, w)
		}
	}
	return l
}

// take removes a word and says whether it was there.
func (l *line) take(word string) bool {
	for i, w := range l.words {
		if w == word {
			l.words = append(l.words[:i:i], l.words[i+1:]...)
			return true
		}
	}
	return false
}

// option removes an option and gives its value; empty: it was not there.
func (l *line) option(name string) string {
	for i, o := range l.options {
		if o.name == name {
			l.options = append(l.options[:i:i], l.options[i+1:]...)
			return o.value
		}
	}
	return ""
}

// next removes the first word.
func (l *line) next() string {
	if len(l.words) == 0 {
		return ""
	}
	w := l.words[0]
	l.words = l.words[1:]
	return w
}

// rest complains about what nobody took: a typing error must not pass as a story.
func (l *line) rest() error {
	if len(l.words) > 0 || len(l.options) > 0 {
		return fmt.Errorf("what is %v %v?", l.words, l.options)
	}
	return nil
}
