package tuftest

import "encoding/json"

func basicCases() []Case {
	return append([]Case{
		{"test_basic_refresh_requests", func(x *X) {
			x.init()
			x.ok()
			x.asks("root 2", "timestamp", "snapshot 1", "targets 1")
		}},
		{"test_basic_refresh_trusted_data", func(x *X) {
			x.init()
			x.ok()
			for _, role := range []string{"root", "timestamp", "snapshot", "targets"} {
				x.same(role)
			}
		}},
		{"test_implicit_refresh", func(x *X) {
			x.init()
			x.notGot("nonexistent artifact")
			x.asks("root 2", "timestamp", "snapshot 1", "targets 1")
			x.trusts(1, 1, 1, 1)
		}},
		{"test_invalid_initial_root", func(x *X) {
			x.EditTree("root", func(d Object) { delete(d["signed"].(Object), "version") })
			_ = x.Client.Init(x.Version("root", 1)) // may refuse it already
			x.refused()
			x.asks()
		}},
		{"test_unsigned_initial_root", func(x *X) {
			x.EditTree("root", func(d Object) { d["signatures"].([]any)[0].(Object)["sig"] = Hash("sha512", nil) })
			_ = x.Client.Init(x.Version("root", 1))
			x.refused()
			x.asks()
		}},
		{"test_timestamp_content_changes", func(x *X) {
			x.init()
			x.ok()
			x.Unpublish("timestamp")
			x.Signed["timestamp"]["meta"] = Object{"snapshot.json": Object{"version": 100}}
			x.Publish("timestamp")
			x.Asked()
			x.ok()
			x.lastAsked("timestamp")
			var d struct {
				Signed struct {
					Meta map[string]struct{ Version int }
				}
			}
			must(json.Unmarshal(x.Client.Role("timestamp"), &d))
			if v := d.Signed.Meta["snapshot.json"].Version; v != 1 {
				x.Fatalf("the kept timestamp names snapshot %d, want 1", v)
			}
		}},
		{"test_basic_metadata_hash_support", func(x *X) {
			x.HashMeta = true
			x.Publish("targets", "snapshot", "timestamp")
			x.init()
			x.ok()
			x.trusts(1, 2, 2, 2)
		}},
		{"test_metadata_bytes_match", func(x *X) {
			x.init()
			x.Edit("timestamp", append(x.Newest("timestamp"), ' '))
			x.ok()
			x.same("timestamp")
		}},
		{"test_custom_fields", func(x *X) {
			x.init()
			x.ok()
			s := NewSigner(Ed25519)
			s.Public["extra-field"] = Object{"a": 1, "b": 2}
			s.ReID()
			x.Signed["root"]["custom-field"] = "value"
			x.AddKey("root", s)
			x.Role("root")["another-field"] = "value"
			x.Publish("root")
			x.ok()
			x.trusts(2, 1, 1, 1)
		}},
		{"test_deprecated_keyid_hash_algorithms", func(x *X) {
			x.init()
			s := NewSigner(Ed25519)
			s.Public["keyid_hash_algorithms"] = "md5"
			s.ReID()
			x.SetKeys("snapshot", []*Signer{s}, 1, []*Signer{s})
			x.Publish("root", "snapshot", "timestamp")
			x.ok()
			x.trusts(2, 2, 2, 1)
		}},
		{"test_faketime", func(x *X) {
			x.init()
			x.Signed["root"]["expires"] = Date(Start.AddDate(0, 0, 7))
			x.Publish("root")
			x.ok()
			if x.Client.Refresh(Start.AddDate(0, 0, 8)) == nil {
				x.Fatal("a root that expired a day ago was taken")
			}
		}},
		{"test_incorrect_metadata_type", func(x *X) {
			x.init()
			x.AddKey("snapshot", x.Signers["timestamp"][0])
			x.Signed["snapshot"]["meta"] = Object{"snapshot.json": Object{"version": 1}}
			x.Publish("root", "snapshot")
			x.Edit("timestamp", x.Newest("snapshot"))
			x.refused()
			x.trusts(2, 0, 0, 0)
		}},
	}, mismatchCases()...)
}

// mismatchCases serve one document that is wrong or missing, and say how far the client may get.
func mismatchCases() []Case {
	all := []string{"root", "targets", "snapshot", "timestamp"}
	type after struct{ root, timestamp, snapshot, targets int }
	unsigned := func(role string, want after) Case {
		return Case{"test_unsigned_metadata/" + role, func(x *X) {
			x.Signers[role] = nil
			x.Publish(all...)
			x.init()
			x.refused()
			x.trusts(want.root, want.timestamp, want.snapshot, want.targets)
		}}
	}
	mismatch := func(role string, want after) Case {
		return Case{"test_url_and_metadata_version_mismatch/" + role, func(x *X) {
			x.Signed[role]["version"] = 2
			x.Publish(all...) // says version 3, stands at 2
			x.EditMeta(role, 2)
			x.init()
			x.refused()
			x.trusts(want.root, want.timestamp, want.snapshot, want.targets)
		}}
	}
	wrongHash := func(role, by string, want after) Case {
		return Case{"test_" + role + "_hash_mismatch", func(x *X) {
			x.HashMeta = true
			x.Publish("targets", "snapshot", "timestamp")
			x.init()
			x.ok()
			x.Publish(role)
			x.Signed[by]["meta"].(Object)[role+".json"].(Object)["hashes"] = Object{"sha256": Hash("sha256", nil)}
			if by == "snapshot" {
				x.Publish("snapshot")
			}
			x.Publish("timestamp")
			x.refused()
			x.trusts(want.root, want.timestamp, want.snapshot, want.targets)
		}}
	}
	missing := func(role, by string, want after) Case {
		return Case{"test_" + role + "_404", func(x *X) {
			x.init()
			x.ok()
			x.Signed[by]["meta"].(Object)[role+".json"] = Object{"version": 2}
			if by == "snapshot" {
				x.Publish("snapshot")
			}
			x.Publish("timestamp")
			x.Asked()
			x.refused()
			x.lastAsked(role + " 2")
			x.trusts(want.root, want.timestamp, want.snapshot, want.targets)
		}}
	}
	return []Case{
		unsigned("root", after{1, 0, 0, 0}), unsigned("timestamp", after{2, 0, 0, 0}),
		unsigned("snapshot", after{2, 2, 0, 0}), unsigned("targets", after{2, 2, 2, 0}),
		mismatch("root", after{1, 0, 0, 0}), mismatch("snapshot", after{2, 2, 0, 0}), mismatch("targets", after{2, 2, 2, 0}),
		wrongHash("targets", "snapshot", after{1, 3, 3, 2}), wrongHash("snapshot", "timestamp", after{1, 3, 2, 2}),
		missing("snapshot", "timestamp", after{1, 2, 1, 1}), missing("targets", "snapshot", after{1, 2, 2, 1}),
		{"test_timestamp_404", func(x *X) {
			x.init()
			x.ok()
			x.Unpublish("timestamp")
			x.Asked()
			x.refused()
			x.lastAsked("timestamp")
			x.trusts(1, 1, 1, 1)
		}},
	}
}

// EditMeta makes the documents that name a role say another version of it, and publishes them anew in
// place of the newest ones.
func (r *Repo) EditMeta(role string, version int) {
	again := func(by string) {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.published[by][len(r.published[by])-1] = r.sign(by)
	}
	switch role {
	case "targets":
		r.Signed["snapshot"]["meta"].(Object)["targets.json"] = Object{"version": version}
		again("snapshot")
	case "snapshot":
		r.Signed["timestamp"]["meta"] = Object{"snapshot.json": Object{"version": version}}
		again("timestamp")
	}
}

func expiryCases() []Case {
	past := Date(Start.AddDate(0, 0, -5))
	return []Case{
		{"test_root_expired", func(x *X) {
			x.init()
			x.ok()
			x.Publish("root")
			x.ok()
			x.Signed["root"]["expires"] = past
			x.Publish("root", "targets", "snapshot", "timestamp")
			x.refused()
			x.trusts(3, 1, 1, 1)
		}},
		{"test_timestamp_expired", func(x *X) {
			x.init()
			x.ok()
			x.Signed["timestamp"]["expires"] = past
			x.Publish("timestamp")
			x.refused()
			x.trusts(1, 1, 1, 1)
		}},
		{"test_snapshot_expired", func(x *X) {
			x.init()
			x.ok()
			x.Signed["snapshot"]["expires"] = past
			x.Publish("snapshot", "timestamp")
			x.refused()
			x.trusts(1, 2, 1, 1)
		}},
		{"test_targets_expired", func(x *X) {
			x.init()
			x.ok()
			x.Signed["targets"]["expires"] = past
			x.Publish("targets", "snapshot", "timestamp")
			x.refused()
			x.trusts(1, 2, 2, 1)
		}},
		{"test_expired_local_root", func(x *X) {
			x.init()
			x.Signed["root"]["expires"] = Date(Start.AddDate(0, 0, 7))
			x.Publish("root")
			x.ok()
			x.Signed["root"]["expires"] = Date(Start.AddDate(0, 0, 21))
			x.Publish("root")
			must(x.Client.Refresh(Start.AddDate(0, 0, 18)))
			x.trusts(3, 1, 1, 1)
		}},
		{"test_expired_local_timestamp", func(x *X) {
			x.init()
			x.Signed["timestamp"]["expires"] = Date(Start.AddDate(0, 0, 7))
			x.Publish("timestamp")
			x.ok()
			x.Signed["timestamp"]["expires"] = Date(Start.AddDate(0, 0, 21))
			x.Publish("targets", "snapshot", "timestamp")
			must(x.Client.Refresh(Start.AddDate(0, 0, 18)))
			x.trusts(1, 3, 2, 2)
		}},
		{"a document expires at its very second", func(x *X) {
			x.init()
			x.Signed["timestamp"]["expires"] = Date(Start)
			x.Publish("timestamp")
			x.refused()
			x.trusts(1, 0, 0, 0)
		}},
		{"the same expired timestamp again is a freeze", func(x *X) {
			x.init()
			x.Signed["timestamp"]["expires"] = Date(Start.AddDate(0, 0, 7))
			x.Publish("timestamp")
			x.ok()
			if x.Client.Refresh(Start.AddDate(0, 0, 8)) == nil {
				x.Fatal("an expired timestamp was taken because it was here already")
			}
		}},
	}
}
