package disk

import (
	"strings"
	"testing"

	"golang.org/x/sys/windows"
)

// A folder that everybody may enter is closed, one that is closed is left as it is.
func TestGuardClosesAFolderToOthers(t *testing.T) {
	dir := t.TempDir()
	open, err := windows.SecurityDescriptorFromString("D:PAI(A;OICI;FA;;;WD)")
	if err != nil {
		t.Fatal(err)
	}
	list, _, err := open.DACL()
	if err != nil {
		t.Fatal(err)
	}
	look := func() *windows.SECURITY_DESCRIPTOR {
		sd, err := windows.GetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
		if err != nil {
			t.Fatal(err)
		}
		return sd
	}
	if err := windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, list, nil); err != nil {
		t.Fatal(err)
	}
	if closed(look()) {
		t.Fatalf("open to everybody and taken for closed: %s", look())
	}
	for range 2 {
		if err := Guard(dir); err != nil {
			t.Fatal(err)
		}
		if sd := look(); !closed(sd) && (!underWine() || strings.Contains(sd.String(), "FA;;;WD)")) {
			t.Fatalf("still open: %s", sd)
		}
	}
}

// underWine: it keeps access lists as the modes of another system, in which others may always read a folder.
func underWine() bool {
	return windows.NewLazySystemDLL("ntdll.dll").NewProc("wine_get_version").Find() == nil
}
