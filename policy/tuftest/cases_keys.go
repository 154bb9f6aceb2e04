package tuftest

import "fmt"

func keyCases() []Case {
	out := []Case{
		{"test_snapshot_does_not_meet_threshold", func(x *X) {
			x.Role("snapshot")["threshold"] = 3
			x.AddKey("snapshot", NewSigner(Ed25519))
			x.AddKey("snapshot", NewSigner(Ed25519))
			x.Publish("root", "targets", "snapshot", "timestamp")
			x.init()
			x.ok()
			x.Signers["snapshot"] = x.Signers["snapshot"][:2]
			x.Publish("targets", "snapshot", "timestamp")
			x.refused()
			x.trusts(2, 3, 2, 2)
		}},
		{"test_snapshot_has_too_few_keys", func(x *X) {
			x.init()
			for range 4 {
				x.AddKey("snapshot", NewSigner(Ed25519))
			}
			x.Role("snapshot")["threshold"] = 6
			x.Publish("root", "snapshot", "timestamp")
			x.refused()
			x.trusts(2, 2, 0, 0)
		}},
		{"test_duplicate_keys", func(x *X) {
			x.init()
			s := NewSigner(Ed25519)
			for range 9 {
				x.TrustKey("snapshot", s)
			}
			x.Signers["snapshot"] = append(x.Signers["snapshot"], s)
			x.Role("snapshot")["threshold"] = 6
			x.Publish("root", "snapshot", "timestamp")
			x.EditTree("snapshot", func(d Object) {
				sigs := d["signatures"].([]any)
				for range 8 {
					d["signatures"] = append(d["signatures"].([]any), sigs[1])
				}
			})
			x.refused()
			if v := x.trusted("snapshot"); v != 0 { // the root may be refused already
				x.Fatalf("snapshot %d is trusted", v)
			}
		}},
		{"one key listed many times counts once", func(x *X) {
			x.init()
			s := NewSigner(Ed25519)
			for range 3 {
				x.TrustKey("snapshot", s)
			}
			x.Signers["snapshot"] = []*Signer{s}
			x.Role("snapshot")["threshold"] = 2
			x.Publish("root", "snapshot", "timestamp")
			x.refused()
			x.trusts(2, 2, 0, 0)
		}},
		{"one key under two ids counts once", func(x *X) {
			x.init()
			s := NewSigner(Ed25519)
			twin := &Signer{Public: Object{"note": "the same key"}, sign: s.sign}
			for name, v := range s.Public {
				twin.Public[name] = v
			}
			twin.ReID()
			x.SetKeys("snapshot", []*Signer{s, twin}, 2, []*Signer{s, twin})
			x.Publish("root", "snapshot", "timestamp")
			x.refused()
			x.trusts(2, 2, 0, 0)
		}},
		{"test_duplicate_sig_keyids", func(x *X) {
			x.init()
			x.EditTree("snapshot", func(d Object) {
				sigs := d["signatures"].([]any)
				d["signatures"] = append(sigs, sigs[0])
			})
			x.refused()
			x.trusts(1, 1, 0, 0)
		}},
		{"test_invalid_sig_in_valid_metadata", func(x *X) {
			x.init()
			x.AddKey("timestamp", NewSigner(Ed25519))
			x.Publish("root", "timestamp")
			for _, sig := range []string{Hash("sha512", nil), "", "no hex"} {
				x.EditTree("timestamp", func(d Object) { d["signatures"].([]any)[0].(Object)["sig"] = sig })
				x.ok()
				x.same("timestamp")
				x.Publish("timestamp")
			}
		}},
		{"a key under an id that is not its own does not count", func(x *X) {
			x.init()
			s := NewSigner(Ed25519)
			s.ID = Hash("sha256", []byte("another"))
			x.SetKeys("snapshot", []*Signer{s}, 1, []*Signer{s})
			x.Publish("root", "snapshot", "timestamp")
			x.refused()
			x.trusts(2, 2, 0, 0)
		}},
		{"a key of an unknown kind does not count and does no harm", func(x *X) {
			x.init()
			s := NewSigner(Ed25519)
			s.Public["keytype"], s.Public["scheme"] = "lattice", "lattice-512"
			s.ReID()
			x.AddKey("snapshot", s)
			x.Publish("root", "snapshot", "timestamp")
			x.ok()
			x.Role("snapshot")["threshold"] = 2
			x.Publish("root", "snapshot", "timestamp")
			x.refused()
			x.trusts(3, 3, 2, 1)
		}},
		{"a key that a role names but nobody lists does no harm", func(x *X) {
			x.init()
			x.Role("snapshot")["keyids"] = append([]string{Hash("sha256", nil)}, x.Role("snapshot")["keyids"].([]string)...)
			x.Publish("root", "snapshot", "timestamp")
			x.ok()
			x.trusts(2, 2, 2, 1)
		}},
		{"a weak Ed25519 key does not count", func(x *X) {
			x.init()
			s := NewSigner(Ed25519)
			// Under the neutral element the signature of R = B, S = 1 holds for every message.
			s.Public["keyval"] = Object{"public": "01" + fmt.Sprintf("%062x", 0)}
			s.sign = func([]byte) []byte {
				base := []byte{0x58}
				for len(base) < 32 {
					base = append(base, 0x66)
				}
				return append(append(base, 1), make([]byte, 31)...)
			}
			s.ReID()
			x.SetKeys("snapshot", []*Signer{s}, 1, []*Signer{s})
			x.Publish("root", "snapshot", "timestamp")
			x.refused()
			x.trusts(2, 2, 0, 0)
		}},
	}
	for _, kind := range []string{RSA, ECDSA, Ed25519, "legacy ECDSA"} {
		out = append(out, Case{"test_keytype_and_scheme/" + kind, func(x *X) { keyKind(x, kind) }})
	}
	return out
}

func keyKind(x *X, kind string) {
	x.init()
	s := NewSigner(map[bool]string{true: ECDSA, false: kind}[kind == "legacy ECDSA"])
	if kind == "legacy ECDSA" {
		s.Public["keytype"] = "ecdsa-sha2-nistp256"
		s.ReID()
	}
	x.AddKey("root", s)
	x.Role("root")["threshold"] = 2
	x.Publish("root")
	x.ok()
	x.trusts(2, 1, 1, 1)
	x.Publish("root")
	bad := *s
	bad.sign = func([]byte) []byte { return s.sign([]byte("another document")) }
	x.Signers["root"] = []*Signer{x.Signers["root"][0], &bad}
	x.Publish("root")
	x.refused()
	x.trusts(3, 1, 1, 1)
}

func rollbackCases() []Case {
	out := []Case{
		{"test_new_timestamp_version_rollback", func(x *X) {
			x.init()
			x.Publish("timestamp")
			x.ok()
			x.trusts(1, 2, 1, 1)
			x.Unpublish("timestamp")
			x.Signed["timestamp"]["version"] = 1
			x.Publish("timestamp")
			x.Asked()
			x.refused()
			x.trusts(1, 2, 1, 1)
			x.lastAsked("timestamp")
		}},
		{"test_targets_role_removal", func(x *X) {
			x.init()
			x.Delegate("targets", "delegated", Object{"paths": []string{"delegatedpath/*"}})
			x.Publish("delegated", "targets", "snapshot", "timestamp")
			x.ok()
			delete(x.Signed["snapshot"]["meta"].(Object), "delegated.json")
			x.Publish("snapshot", "timestamp")
			x.refused()
			x.trusts(1, 3, 2, 2)
		}},
		{"test_targets_fast_forward_recovery", func(x *X) {
			x.init()
			x.Delegate("targets", "delegated", Object{"paths": []string{"delegatedpath/*"}})
			x.Publish("delegated")
			for range 99 {
				x.Publish("targets")
			}
			x.Publish("snapshot", "timestamp")
			x.ok()
			x.trusts(1, 2, 2, 100)
			x.RotateKeys("snapshot")
			x.Unpublish("targets")
			x.Signed["targets"]["version"] = 1
			delete(x.Signed["snapshot"]["meta"].(Object), "delegated.json")
			x.Publish("root", "targets", "snapshot", "timestamp")
			x.ok()
			x.trusts(2, 3, 3, 1)
		}},
		{"test_new_snapshot_fast_forward_recovery", func(x *X) {
			x.init()
			for range 99 {
				x.Publish("snapshot")
			}
			x.Publish("timestamp")
			x.ok()
			x.trusts(1, 2, 100, 1)
			x.RotateKeys("snapshot")
			x.RotateKeys("timestamp")
			x.Unpublish("snapshot")
			x.Signed["snapshot"]["version"] = 1
			x.Publish("root", "targets", "snapshot", "timestamp")
			x.ok()
			x.trusts(2, 3, 1, 2)
		}},
		{"test_new_timestamp_fast_forward_recovery", func(x *X) {
			x.init()
			for range 99 {
				x.Publish("timestamp")
			}
			x.ok()
			x.trusts(1, 100, 1, 1)
			x.RotateKeys("timestamp")
			x.Unpublish("timestamp")
			x.Signed["timestamp"]["version"] = 1
			x.Publish("root", "timestamp")
			x.ok()
			x.trusts(2, 1, 1, 1)
		}},
	}
	for _, hashes := range []bool{false, true} {
		name := map[bool]string{false: "/basic", true: "/with hashes"}[hashes]
		out = append(out, Case{"test_snapshot_rollback" + name, func(x *X) {
			x.init()
			x.HashMeta = hashes
			x.Publish("snapshot", "timestamp")
			x.ok()
			x.Unpublish("snapshot")
			x.Signed["snapshot"]["version"] = 1
			x.Publish("snapshot", "timestamp")
			x.Asked()
			x.refused()
			x.trusts(1, 2, 2, 1)
			x.lastAsked("timestamp")
		}}, Case{"test_targets_rollback" + name, func(x *X) {
			x.init()
			x.HashMeta = hashes
			x.Publish("targets", "snapshot", "timestamp")
			x.ok()
			x.Unpublish("targets")
			x.Signed["targets"]["version"] = 1
			x.Publish("targets", "snapshot", "timestamp")
			x.refused()
			x.trusts(1, 3, 2, 2)
		}})
	}
	return out
}
