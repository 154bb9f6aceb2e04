package enrol

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"patchmesh/content"
)

func openStick(t *testing.T, dir string) *Stick {
	t.Helper()
	s, err := OpenStick(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func someRequest(t *testing.T) []byte {
	t.Helper()
	tok, _ := newToken(t)
	p, err := NewRequest(tok, newKey(t), "n", nil, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return p.Request
}

func TestStickCarriesRequestsAndAnswers(t *testing.T) {
	dir := t.TempDir()
	if _, err := OpenStick(dir, false); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("an empty stick: %v", err)
	}
	s := openStick(t, dir)
	req := someRequest(t)
	id, err := s.PutRequest(req)
	if err != nil || id != content.Sum(req) {
		t.Fatal(id, err)
	}
	if _, err := s.Answer(id); !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("an answer before there is one: %v", err)
	}
	got, skipped, err := s.Requests()
	if err != nil || skipped != 0 || len(got) != 1 || !bytes.Equal(got[0], req) {
		t.Fatalf("%d requests, %d skipped, %v", len(got), skipped, err)
	}
	for _, answer := range []string{"waiting", "member"} { // the second takes the place of the first
		if err := s.PutAnswer(id, []byte(answer)); err != nil {
			t.Fatal(err)
		}
		if b, err := s.Answer(id); err != nil || string(b) != answer {
			t.Fatalf("%q, %v", b, err)
		}
	}
	if err := s.Drop(id); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, StickFolder))
	if err != nil || len(left) != 0 {
		t.Fatalf("%v is left, %v", left, err)
	}
}

// Whatever lies on a stick, only regular files that are what their names say are read.
func TestSEnrolHostileStick(t *testing.T) {
	secret := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secret, []byte("of the seed"), 0o600); err != nil {
		t.Fatal(err)
	}
	good := someRequest(t)
	name := content.Sum(good).String() + requestSuffix
	write := func(name string, body []byte) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.WriteFile(filepath.Join(dir, name), body, 0o600); err != nil {
				t.Skip("no such name on this file system:", err)
			}
		}
	}
	link := func(to, name string) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
				t.Skip("no links here:", err)
			}
		}
	}
	secretName := content.Sum([]byte("of the seed")).String() + requestSuffix
	big := bytes.Repeat([]byte("x"), MaxRequestBytes+1)
	for what, plant := range map[string]func(*testing.T, string){
		"other content":          write(name, []byte("x")),
		"empty":                  write(name, nil),
		"oversized":              write(content.Sum(big).String()+requestSuffix, big),
		"name of no request":     write("hello.req", good),
		"name in capitals":       write(strings.ToUpper(content.Sum(good).String())+requestSuffix, good),
		"no suffix":              write(content.Sum(good).String(), good),
		"two suffixes":           write(name+requestSuffix, good),
		"a space":                write(" "+name, good),
		"half written":           write(content.Sum(good).String()+".tmp", good),
		"dots":                   write("..req", good),
		"control characters":     write("\x1b[31m.req", good),
		"link to a secret":       link(secret, secretName),
		"link to itself":         link(name, name),
		"link to nothing":        link("/nonexistent/x", name),
		"link to a device":       link("/dev/zero", name),
		"folder":                 func(t *testing.T, dir string) { mustDo(t, os.Mkdir(filepath.Join(dir, name), 0o700)) },
		"folder of the suffix":   func(t *testing.T, dir string) { mustDo(t, os.Mkdir(filepath.Join(dir, ".req"), 0o700)) },
		"pipe that never speaks": func(t *testing.T, dir string) { pipe(t, filepath.Join(dir, name)) },
	} {
		t.Run(what, func(t *testing.T) {
			dir := t.TempDir()
			s := openStick(t, dir)
			plant(t, filepath.Join(dir, StickFolder))
			got, skipped, err := s.Requests()
			if err != nil || len(got) != 0 || skipped != 1 {
				t.Errorf("%d requests, %d skipped, %v", len(got), skipped, err)
			}
			if _, err := s.PutRequest(good); err != nil && what != "folder" {
				t.Errorf("the folder is of no use any more: %v", err)
			}
		})
	}
	if b, err := os.ReadFile(secret); err != nil || string(b) != "of the seed" {
		t.Errorf("the file behind the link was changed: %q, %v", b, err)
	}
}

func mustDo(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Answers are written where the attacker has put something before: a link to a file of the seed.
func TestSEnrolStickDoesNotWriteThroughLinks(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("links need rights there")
	}
	victim := filepath.Join(t.TempDir(), "state.db")
	mustDo(t, os.WriteFile(victim, []byte("precious"), 0o600))
	req := content.Sum(someRequest(t))
	for _, suffix := range []string{".tmp", answerSuffix} {
		dir := t.TempDir()
		s := openStick(t, dir)
		mustDo(t, os.Symlink(victim, filepath.Join(dir, StickFolder, req.String()+suffix)))
		if _, err := s.Answer(req); err == nil {
			t.Error("an answer was read through a link")
		}
		mustDo(t, s.PutAnswer(req, []byte("answer")))
		if b, err := s.Answer(req); err != nil || string(b) != "answer" {
			t.Errorf("%q, %v", b, err)
		}
	}
	if b, err := os.ReadFile(victim); err != nil || string(b) != "precious" {
		t.Errorf("the seed's file now holds %q, %v", b, err)
	}
	// The folder itself as a link out of the stick, or to another folder of it.
	for _, to := range []string{filepath.Dir(victim), "elsewhere"} {
		dir := t.TempDir()
		mustDo(t, os.Mkdir(filepath.Join(dir, "elsewhere"), 0o700))
		mustDo(t, os.Symlink(to, filepath.Join(dir, StickFolder)))
		if _, err := OpenStick(dir, true); !errors.Is(err, ErrFormat) {
			t.Errorf("a folder that is a link to %s: %v", to, err)
		}
	}
	dir := t.TempDir()
	mustDo(t, os.WriteFile(filepath.Join(dir, StickFolder), nil, 0o600))
	if _, err := OpenStick(dir, true); !errors.Is(err, ErrFormat) {
		t.Errorf("a file in the folder's place: %v", err)
	}
}

func TestSEnrolStickIsBounded(t *testing.T) {
	dir := t.TempDir()
	s := openStick(t, dir)
	for i := range maxStickFiles + 40 {
		body := fmt.Append(nil, "request ", i)
		mustDo(t, os.WriteFile(filepath.Join(dir, StickFolder, content.Sum(body).String()+requestSuffix), body, 0o600))
	}
	got, skipped, err := s.Requests()
	if err != nil || len(got) != maxStickFiles || skipped != 40 {
		t.Errorf("%d requests, %d skipped, %v", len(got), skipped, err)
	}
	big := content.Sum([]byte("big"))
	mustDo(t, os.WriteFile(filepath.Join(dir, StickFolder, big.String()+answerSuffix), make([]byte, MaxAnswerBytes+1), 0o600))
	if _, err := s.Answer(big); !errors.Is(err, ErrFormat) {
		t.Errorf("an endless answer: %v", err)
	}
}
