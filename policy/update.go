package policy

import (
	"fmt"
	"regexp"
	"strings"
	"unicode"
	"unicode/utf8"
)

// UpdateID names an update: lower case letters, digits and . _ + ~ : -, 1 to 128 of them.
type UpdateID string

// AllUpdates in a Hold means every update.
const AllUpdates UpdateID = "all"

var updateIDPattern = regexp.MustCompile(`^[a-z0-9][a-z0-9._+~:-]{0,127}$`)

// ParseUpdateID refuses anything that could be taken for a path, an option or another update.
func ParseUpdateID(s string) (UpdateID, error) {
	if !updateIDPattern.MatchString(s) || UpdateID(s) == AllUpdates {
		return "", fmt.Errorf("update id %.130q: %w", s, ErrFormat)
	}
	return UpdateID(s), nil
}

// Action is what an approval asks for.
type Action string

// The actions, see features.md section 4. DetectOnly is what an update without approval has.
const (
	ActionInstall    Action = "install"
	ActionRemove     Action = "remove"
	ActionDetectOnly Action = "detect-only"
	ActionDecline    Action = "decline"
	ActionOptional   Action = "optional"
	ActionStageOnly  Action = "stage-only"
)

// ParseAction reads an action.
func ParseAction(s string) (Action, error) {
	switch a := Action(s); a {
	case ActionInstall, ActionRemove, ActionDetectOnly, ActionDecline, ActionOptional, ActionStageOnly:
		return a, nil
	}
	return "", fmt.Errorf("action %.40q: %w", s, ErrFormat)
}

var namePattern = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)

// ValidName says whether a text may name a group, site or machine: 1 to 63 letters, digits, dots,
// dashes and underscores, beginning with a letter or digit.
func ValidName(s string) bool { return namePattern.MatchString(s) }

// checkName accepts names of groups, sites and organisations' parts.
func checkName(kind, s string) error {
	if !ValidName(s) {
		return fmt.Errorf("%s name %.70q: %w", kind, s, ErrFormat)
	}
	return nil
}

// checkText bounds free text of one line and refuses control characters, which could rewrite a
// terminal or show the text in another order than it was signed in, and invisible ones.
func checkText(kind, s string, most int) error {
	if strings.ContainsAny(s, "\n\t") {
		return fmt.Errorf("%s holds a control character: %w", kind, ErrFormat)
	}
	return checkProse(kind, s, most)
}

// checkProse is checkText for text of many lines.
func checkProse(kind, s string, most int) error {
	if len(s) > most {
		return fmt.Errorf("%s of %d bytes, at most %d: %w", kind, len(s), most, ErrTooLarge)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%s is not UTF-8: %w", kind, ErrFormat)
	}
	for _, r := range s {
		if isControl(r) {
			return fmt.Errorf("%s holds a control character: %w", kind, ErrFormat)
		}
	}
	return nil
}

// isControl finds what a reader does not see: controls, what turns the direction of text, and characters
// without a width, with which two texts look alike that are not.
func isControl(r rune) bool {
	if r == '\n' || r == '\t' {
		return false
	}
	return unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Cs, unicode.Zl, unicode.Zp)
}
