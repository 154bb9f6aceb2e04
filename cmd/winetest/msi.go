package winetest

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// The product codes of the packages that MSI makes.
const (
	Code64  = "{01234567-64AB-CDEF-0123-456789ABCDEF}"
	Code32  = "{01234567-32AB-CDEF-0123-456789ABCDEF}"
	CodeBad = "{01234567-BADB-CDEF-0123-456789ABCDEF}"
)

// MSI makes packages of version 1.2.3 in a folder: tool64.msi and tool32.msi place a file tool.txt below Program
// Files, bad.msi is content with no machine. It skips the test where there is no wixl.
func MSI(t testing.TB, dir string) {
	t.Helper()
	if _, err := exec.LookPath("wixl"); err != nil {
		t.Skip("wixl is not installed here (Debian: wixl)")
	}
	if err := os.WriteFile(filepath.Join(dir, "tool.txt"), []byte("tool"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, p := range []struct{ name, arch, code, folder, win64, more string }{
		{"tool64", "x64", Code64, "ProgramFiles64Folder", `Win64="yes"`, ""},
		{"tool32", "x86", Code32, "ProgramFilesFolder", "", ""},
		{"bad", "x64", CodeBad, "ProgramFiles64Folder", `Win64="yes"`, `<Condition Message="no machine is good enough">0 = 1</Condition>`},
	} {
		source := fmt.Sprintf(wxs, p.code[1:len(p.code)-1], p.name, p.code[10:13], p.more, p.folder, p.name, p.code[10:13], p.win64)
		if err := os.WriteFile(filepath.Join(dir, p.name+".wxs"), []byte(source), 0o600); err != nil {
			t.Fatal(err)
		}
		c := exec.Command("wixl", "-a", p.arch, "-o", p.name+".msi", p.name+".wxs")
		c.Dir = dir
		if out, err := c.CombinedOutput(); err != nil {
			t.Fatalf("wixl: %v\n%s", err, out)
		}
	}
}

const wxs = `<?xml version="1.0"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Id="%s" Name="%s" UpgradeCode="11111%s-2222-3333-4444-555555555555" Language="1033" Version="1.2.3" Manufacturer="Tests">
<Package InstallerVersion="200" Compressed="yes" InstallScope="perMachine"/><Media Id="1" Cabinet="c.cab" EmbedCab="yes"/>%s
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="%s"><Directory Id="INSTALLDIR" Name="%s">
<Component Id="C" Guid="99999%s-2222-3333-4444-555555555555" %s><File Id="F" Name="tool.txt" Source="tool.txt" KeyPath="yes"/></Component>
</Directory></Directory></Directory><Feature Id="All" Level="1"><ComponentRef Id="C"/></Feature></Product></Wix>
`
