package peercred

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"testing"

	"patchmesh/node/api"
)

func TestTheKernelNamesTheCaller(t *testing.T) {
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		t.Skip("this system does not tell who calls")
	}
	ln, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c, err := net.Dial("unix", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	s, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	who, err := Of(s)
	if err != nil || who.UID != os.Getuid() || who.GID != os.Getgid() || who.PID != os.Getpid() {
		t.Fatalf("%v, %v; this is uid %d gid %d pid %d", who, err, os.Getuid(), os.Getgid(), os.Getpid())
	}
}

func TestNobodyIsGuessed(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	if who, err := Of(a); !errors.Is(err, api.ErrNoCaller) {
		t.Fatalf("a pipe has the caller %v, %v", who, err)
	}
}
