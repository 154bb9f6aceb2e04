package tufdir

import (
	"bytes"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func open(t *testing.T) (*Client, string) {
	t.Helper()
	dir := t.TempDir()
	c, err := OpenClient(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c, dir
}

func TestClientFolderOnARealDisk(t *testing.T) {
	c, dir := open(t)
	if _, _, err := c.Begin(); !errors.Is(err, ErrNoRoot) {
		t.Fatalf("new folder: %v", err)
	}
	if err := c.Init([]byte("root 1")); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(c.Save("timestamp", []byte("t")), c.Save("snapshot", []byte("s")), c.Save("targets", []byte("x"))); err != nil {
		t.Fatal(err)
	}
	if err := c.SaveRoot([]byte("root 2"), 2); err != nil {
		t.Fatal(err)
	}
	if root, mark, err := c.Begin(); string(root) != "root 2" || mark != 2 || err != nil {
		t.Fatalf("%q, %d, %v", root, mark, err)
	}
	if err := c.Forget(); err != nil {
		t.Fatal(err)
	}
	want := map[string]string{"root": "root 2", "timestamp": "", "snapshot": "", "targets": "x"}
	for role, body := range want {
		if b, err := c.Load(role); string(b) != body || err != nil {
			t.Errorf("%s: %q, %v", role, b, err)
		}
	}
	if err := c.Forget(); err != nil {
		t.Errorf("forget twice: %v", err)
	}
	names := []string{}
	list, _ := os.ReadDir(dir)
	for _, e := range list {
		names = append(names, e.Name())
	}
	if got := strings.Join(names, " "); got != ".lock root.json targets.json" {
		t.Errorf("left: %s", got)
	}
}

func TestTwoClientsDoNotShareAFolder(t *testing.T) {
	c, dir := open(t)
	if _, err := OpenClient(dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("%v, want ErrLocked", err)
	}
	_ = c.Close()
	again, err := OpenClient(dir)
	if err != nil {
		t.Fatal(err)
	}
	_ = again.Close()
}

func TestFileNamesStayInTheFolderAndApart(t *testing.T) {
	seen := map[string]string{}
	for _, role := range []string{
		"targets", "Targets", "TARGETS", "..", ".", "../x", "..\\x", "/etc/passwd", "a/b", "a%2Fb", "a%2fb", "", "con", "CON", "con.x", "lpt9", "nul",
		"x\x00y", "\xff", "ä", "Ä", "%sha256-", strings.Repeat("a", 201), strings.Repeat("a", 202), strings.Repeat("ä", 90), "x.json", "timestamp", ".lock", "rotated", "a:b", "a b.",
	} {
		name := fileName(role)
		hidden := name[0] == '.' && role != ""
		if hidden || name != filepath.Base(name) || strings.ContainsAny(name, `/\:`+"\x00") || len(name) > 240 {
			t.Errorf("role %q is kept as %q", role, name)
		}
		base, _, _ := strings.Cut(strings.ToLower(name), ".")
		if deviceNames[base] || name == lockFile || name == markFile {
			t.Errorf("role %q is kept as %q", role, name)
		}
		if other, taken := seen[strings.ToLower(name)]; taken {
			t.Errorf("roles %q and %q are one file where case is ignored", role, other)
		}
		seen[strings.ToLower(name)] = role
	}
	for _, role := range []string{"root", "timestamp", "snapshot", "targets", "delegated-1"} {
		if fileName(role) != role+".json" {
			t.Errorf("%s is kept as %s", role, fileName(role))
		}
	}
}

func FuzzFileName(f *testing.F) {
	f.Add("targets")
	f.Add("../../x")
	f.Add("Con.json")
	f.Fuzz(func(t *testing.T, role string) {
		name := fileName(role)
		if name != filepath.Base(name) || len(name) > 255 || name[0] == '.' && role != "" {
			t.Fatalf("%q is kept as %q", role, name)
		}
		if role != "root" && strings.EqualFold(name, rootFile) {
			t.Fatalf("%q takes the place of the root", role)
		}
	})
}

func TestTooLargeFileIsNotRead(t *testing.T) {
	c, dir := open(t)
	if err := os.WriteFile(filepath.Join(dir, "timestamp.json"), make([]byte, maxFileBytes+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Load("timestamp"); err == nil {
		t.Fatal("taken")
	}
}

func TestTargetIsKeptWholeOrNotAtAll(t *testing.T) {
	dir := t.TempDir()
	path, err := KeepTarget(dir, "a/b", func(w io.Writer) error { _, err := io.WriteString(w, "one"); return err })
	if err != nil {
		t.Fatal(err)
	}
	bad := errors.New("hash")
	if _, err := KeepTarget(dir, "a/b", func(w io.Writer) error { _, _ = io.WriteString(w, "two"); return bad }); !errors.Is(err, bad) {
		t.Fatalf("%v", err)
	}
	if b, err := os.ReadFile(path); string(b) != "one" || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	if list, _ := os.ReadDir(dir); len(list) != 1 {
		t.Fatalf("%v is left", list)
	}
	f, err := OpenTarget(dir, "a/b")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if b, _ := io.ReadAll(f); !bytes.Equal(b, []byte("one")) {
		t.Fatalf("%q", b)
	}
}

func TestLinkInThePlaceOfATargetIsNotFollowed(t *testing.T) {
	dir := t.TempDir()
	outside := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(outside, []byte("secret"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(outside, filepath.Join(dir, "file")); err != nil {
		t.Skip("no links here: ", err)
	}
	if _, err := OpenTarget(dir, "file"); !errors.Is(err, fs.ErrInvalid) {
		t.Fatalf("%v, want fs.ErrInvalid", err)
	}
	if _, err := KeepTarget(dir, "file", func(w io.Writer) error { _, err := io.WriteString(w, "new"); return err }); err != nil {
		t.Fatal(err)
	}
	if b, _ := os.ReadFile(outside); string(b) != "secret" {
		t.Fatalf("the file behind the link is %q", b)
	}
}

func TestMirrorOnARealDisk(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "www")
	m, err := OpenMirror(dir)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := OpenMirror(dir); !errors.Is(err, ErrLocked) {
		t.Fatalf("a second writer: %v, want ErrLocked", err)
	}
	defer m.Close()
	for i, want := range []bool{true, false} {
		for _, name := range []string{"targets/1.x", "1.root.json"} {
			if written, err := m.Put(name, []byte("b")); written != want || err != nil {
				t.Fatalf("%d %s: %v, %v", i, name, written, err)
			}
		}
		if written, err := m.PutHead("timestamp.json", []byte("1")); written != want || err != nil {
			t.Fatalf("%d head: %v, %v", i, written, err)
		}
	}
	if b, err := m.Read("none"); b != nil || err != nil {
		t.Fatalf("%q, %v", b, err)
	}
	fi, err := os.Stat(filepath.Join(dir, "targets", "1.x"))
	if err != nil || fi.Mode().Perm()&0o044 != 0o044 && os.PathSeparator == '/' {
		t.Fatalf("a web server cannot read %v, %v", fi, err)
	}
}
