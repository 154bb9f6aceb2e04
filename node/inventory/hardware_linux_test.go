package inventory

import (
	"os"
	"path/filepath"
	"slices"
	"testing"
)

func plantSys(t *testing.T, files map[string]string) string {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return root
}

func TestHardwareIsWhatStaysAndNotWhatManyShare(t *testing.T) {
	card := func(name, mac, assigned string) map[string]string {
		dir := "class/net/" + name + "/"
		return map[string]string{dir + "device/vendor": "x", dir + "address": mac + "\n", dir + "addr_assign_type": assigned + "\n"}
	}
	files := map[string]string{
		"class/dmi/id/product_uuid": "4C4C4544-0051-3510-8052-B4C04F303332\n", "class/dmi/id/board_serial": "/7XK2/CN12/\n",
		"class/dmi/id/board_vendor": "Dell Inc.\n", "class/dmi/id/board_name": "0WXY\n",
		"class/net/docker0/address": "02:42:00:00:00:01\n", "class/net/docker0/addr_assign_type": "0\n", // no device
	}
	for _, c := range []map[string]string{card("eth1", "AA:bb:cc:00:00:02", "0"), card("eth0", "aa:bb:cc:00:00:01", "0"), card("wlan0", "aa:bb:cc:00:00:03", "1")} {
		for k, v := range c {
			files[k] = v
		}
	}
	want := []string{"uuid:4c4c4544-0051-3510-8052-b4c04f303332", "board:dell inc./0wxy//7xk2/cn12/", "mac:aa:bb:cc:00:00:01,aa:bb:cc:00:00:02"}
	if got := hardwareIn(plantSys(t, files)); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
	for _, filler := range []string{
		"", "00000000-0000-0000-0000-000000000000", "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF", "03000200-0400-0500-0006-000700080009",
		"To Be Filled By O.E.M.", "Default string", "None", "0123456789", "Not Specified", "System Serial Number",
	} {
		root := plantSys(t, map[string]string{"class/dmi/id/product_uuid": filler, "class/dmi/id/board_serial": filler})
		if got := hardwareIn(root); len(got) != 0 {
			t.Errorf("%q was taken for a fact: %q", filler, got)
		}
	}
	if got := hardwareIn(filepath.Join(t.TempDir(), "none")); got != nil {
		t.Errorf("without /sys: %q", got)
	}
}
