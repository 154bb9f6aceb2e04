package tuftest

import (
	"fmt"
	"slices"
)

func downloadCases() []Case {
	out := []Case{
		{"test_client_downloads_expected_file", func(x *X) {
			x.init()
			x.AddTarget("targets", "target_file.txt", []byte("target file contents"))
			x.Publish("targets", "snapshot", "timestamp")
			x.ok()
			x.kept()
			x.got("target_file.txt")
			x.kept("target file contents")
		}},
		{"test_client_downloads_expected_file_in_sub_dir", func(x *X) {
			x.init()
			x.AddTarget("targets", "path/to/a/target_file.txt", []byte("target file contents"))
			x.Publish("targets", "snapshot", "timestamp")
			x.got("path/to/a/target_file.txt")
			x.kept("target file contents")
		}},
		{"a target cannot leave its folder", func(x *X) {
			x.init()
			for _, name := range []string{"../up", "/etc/up", "a/../../up", `..\up`, "con", "a:b"} {
				x.AddTarget("targets", name, []byte("bytes of "+name))
			}
			x.Publish("targets", "snapshot", "timestamp")
			x.got(`..\up`, "con", "a:b")
			x.kept(`bytes of ..\up`, "bytes of con", "bytes of a:b")
		}},
		{"test_repository_substitutes_target_file", func(x *X) {
			x.init()
			x.AddTarget("targets", "target_file.txt", []byte("target file contents"))
			x.AddTarget("targets", "another_target_file.txt", []byte("content"))
			x.Publish("targets", "snapshot", "timestamp")
			x.got("target_file.txt")
			x.kept("target file contents")
			x.Artifacts["target_file.txt"] = []byte("malicious data - should not download")
			x.Artifacts["another_target_file.txt"] = []byte("malicious data - should not download")
			_ = x.Client.Download(Start, "target_file.txt") // may be content with the kept one
			x.kept("target file contents")
			x.notGot("another_target_file.txt")
			x.kept("target file contents")
		}},
		{"a target of the right length and other bytes", func(x *X) {
			x.init()
			x.AddTarget("targets", "file", []byte("good"))
			x.Publish("targets", "snapshot", "timestamp")
			for _, bad := range []string{"evil", "goo", "goodd", ""} {
				x.Artifacts["file"] = []byte(bad)
				x.notGot("file")
				x.kept()
			}
		}},
		{"test_multiple_changes_to_target", manyChanges},
		{"test_download_with_unknown_hash_algorithm", func(x *X) {
			x.AddTarget("targets", "target_file.txt", []byte("target file contents"), "unknown-hash")
			x.Publish("targets", "snapshot", "timestamp")
			x.init()
			x.notGot("target_file.txt")
			x.kept()
		}},
		{"test_artifact_cache", func(x *X) {
			x.init()
			x.AddTarget("targets", "target_file.txt", []byte("target file contents"))
			x.Publish("targets", "snapshot", "timestamp")
			x.got("target_file.txt")
			x.got("target_file.txt")
			if asked := x.AskedTargets(); len(asked) != 1 {
				x.Fatalf("fetched %q", asked)
			}
		}},
		{"an empty target", func(x *X) {
			x.init()
			x.AddTarget("targets", "empty", []byte{})
			x.Publish("targets", "snapshot", "timestamp")
			x.got("empty")
			x.kept("")
		}},
		{"a target that is gone", func(x *X) {
			x.init()
			x.AddTarget("targets", "file", []byte("good"))
			delete(x.Artifacts, "file")
			x.Publish("targets", "snapshot", "timestamp")
			x.notGot("file")
		}},
	}
	for _, kinds := range [][]string{{"sha256"}, {"sha512"}, {"sha256", "sha512"}} {
		out = append(out, Case{fmt.Sprintf("test_download_with_hash_algorithms/%v", kinds), func(x *X) {
			body := []byte("target file contents")
			x.AddTarget("targets", "target_file.txt", body, kinds...)
			x.Publish("targets", "snapshot", "timestamp")
			x.init()
			x.got("target_file.txt")
			x.kept(string(body))
			asked := x.AskedTargets()
			if len(asked) != 1 || !slices.ContainsFunc(kinds, func(k string) bool { return asked[0] == "target_file.txt "+Hash(k, body) }) {
				x.Fatalf("fetched %q", asked)
			}
		}})
	}
	return out
}

func manyChanges(x *X) {
	x.init()
	x.AddTarget("targets", "target_file.txt", []byte("target file contents"))
	x.Publish("targets", "snapshot", "timestamp")
	x.got("target_file.txt")
	added := []string{}
	for i := range 11 {
		changed, fresh, name := fmt.Sprintf("modified file contents %d", i), fmt.Sprintf("new file contents %d", i), fmt.Sprintf("new-target-%d", i)
		x.AddTarget("targets", "target_file.txt", []byte(changed))
		x.AddTarget("targets", name, []byte(fresh))
		x.Publish("targets", "snapshot", "timestamp")
		if i%5 != 0 {
			continue
		}
		x.got("target_file.txt")
		x.kept(append([]string{changed}, added...)...)
		x.got(name)
		added = append(added, fresh)
		x.kept(append([]string{changed}, added...)...)
		x.Artifacts["target_file.txt"] = []byte("malicious contents")
		x.Publish("targets", "snapshot", "timestamp")
		_ = x.Client.Download(Start, "target_file.txt")
		x.kept(append([]string{changed}, added...)...)
	}
}
