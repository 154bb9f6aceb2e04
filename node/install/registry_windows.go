package install

import (
	"errors"
	"strconv"
	"strings"

	"golang.org/x/sys/windows/registry"
)

// registryValue reads a text or number below HKLM. The 64-bit view is the system's own.
func registryValue(key, name string) (value string, exists bool, err error) {
	k, err := registry.OpenKey(registry.LOCAL_MACHINE, strings.TrimPrefix(key, `HKLM\`), registry.QUERY_VALUE|registry.WOW64_64KEY)
	if errors.Is(err, registry.ErrNotExist) {
		return "", false, nil
	}
	if err != nil {
		return "", false, err
	}
	defer k.Close()
	value, _, err = k.GetStringValue(name)
	if errors.Is(err, registry.ErrUnexpectedType) {
		var n uint64
		n, _, err = k.GetIntegerValue(name)
		value = strconv.FormatUint(n, 10)
	}
	if errors.Is(err, registry.ErrNotExist) {
		return "", false, nil
	}
	return value, err == nil, err
}
