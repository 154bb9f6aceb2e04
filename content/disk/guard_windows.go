package disk

import (
	"errors"
	"fmt"
	"unsafe"

	"golang.org/x/sys/windows"
)

// guardList is the access list of a folder that is its owner's alone: the system, administrators and whoever owns
// it may do everything, in it too; nobody else anything. It takes nothing over from the folder above, and that is the
// point: below the root of a drive everybody may read and write what is new.
const guardList = "D:PAI(A;OICI;FA;;;SY)(A;OICI;FA;;;BA)(A;OICI;FA;;;OW)"

// Guard closes a folder to other users: their secrets, their bytes and, on this system, the local sockets lie in
// there without a guard of their own. A list that lets nobody else in is left as it is. A folder that somebody else made
// beforehand is refused: its owner could open it again.
func Guard(dir string) error {
	sd, err := windows.GetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.OWNER_SECURITY_INFORMATION|windows.DACL_SECURITY_INFORMATION)
	if err != nil {
		return fmt.Errorf("read access list of %s: %w", dir, err)
	}
	if err := trustedOwner(dir, sd); err != nil {
		return err
	}
	if closed(sd) {
		return nil
	}
	want, err := windows.SecurityDescriptorFromString(guardList)
	if err != nil {
		return fmt.Errorf("access list of %s: %w", dir, err)
	}
	list, _, err := want.DACL()
	if err == nil {
		err = windows.SetNamedSecurityInfo(dir, windows.SE_FILE_OBJECT, windows.DACL_SECURITY_INFORMATION|windows.PROTECTED_DACL_SECURITY_INFORMATION, nil, nil, list, nil)
	}
	if errors.Is(err, windows.ERROR_NOT_SUPPORTED) || errors.Is(err, windows.ERROR_INVALID_FUNCTION) {
		return nil // a file system without access lists has none to set
	}
	if err != nil {
		return fmt.Errorf("close %s to others: %w", dir, err)
	}
	return nil
}

// closed says whether an access list lets only the system, administrators and the owner in.
func closed(sd *windows.SECURITY_DESCRIPTOR) bool {
	list, _, err := sd.DACL()
	if err != nil || list == nil {
		return false // no list: everybody may do everything
	}
	owner, _, err := sd.Owner()
	if err != nil {
		return false
	}
	for i := range uint32(list.AceCount) {
		var ace *windows.ACCESS_ALLOWED_ACE
		if windows.GetAce(list, i, &ace) != nil {
			return false
		}
		if ace.Header.AceType == windows.ACCESS_DENIED_ACE_TYPE {
			continue
		}
		who := (*windows.SID)(unsafe.Pointer(&ace.SidStart))
		if ace.Header.AceType != windows.ACCESS_ALLOWED_ACE_TYPE || !who.IsWellKnown(windows.WinLocalSystemSid) &&
			!who.IsWellKnown(windows.WinBuiltinAdministratorsSid) && !who.IsWellKnown(windows.WinCreatorOwnerRightsSid) && !(owner != nil && who.Equals(owner)) {
			return false
		}
	}
	return true
}

// trustedOwner refuses a folder of another user: an owner may always change the access list.
func trustedOwner(dir string, sd *windows.SECURITY_DESCRIPTOR) error {
	owner, _, err := sd.Owner()
	if err != nil || owner == nil {
		return nil // a file system that knows no owners
	}
	if owner.IsWellKnown(windows.WinLocalSystemSid) || owner.IsWellKnown(windows.WinBuiltinAdministratorsSid) {
		return nil
	}
	me, err := windows.GetCurrentProcessToken().GetTokenUser()
	if err != nil {
		return fmt.Errorf("find out who we are: %w", err)
	}
	// The service works on a folder that the administrator who enrolled the machine has made, and was not refused then.
	if owner.Equals(me.User.Sid) || me.User.Sid.IsWellKnown(windows.WinLocalSystemSid) {
		return nil
	}
	return fmt.Errorf("folder %s belongs to %s: %w", dir, owner, ErrUnsafe)
}
