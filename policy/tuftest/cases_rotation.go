package tuftest

// version is one version of a role: indexes of the keys it trusts, how many it takes, who signs.
type version struct {
	keys      []int
	threshold int
	sigs      []int
}

func rotationCases() []Case {
	one, three := []int{1}, []int{1, 2, 3}
	five, swapped, fresh := []int{0, 1, 2, 3, 4}, []int{0, 1, 3, 4, 5}, []int{5, 6, 7, 8, 9}
	var out []Case
	for _, c := range []struct {
		name     string
		ok       bool
		versions []version
	}{
		{"1-of-1-key-rotation", true, []version{{one, 1, []int{1}}, {[]int{2}, 1, []int{2, 1}}, {[]int{2}, 1, []int{2}}}},
		{"1-of-1-key-rotation-unused-signatures", true, []version{{one, 1, []int{3, 1, 4}}, {[]int{2}, 1, []int{3, 2, 1, 4}}, {[]int{2}, 1, []int{3, 2, 4}}}},
		{"3-of-5-sign-with-different-keycombos", true, []version{{five, 3, []int{0, 2, 4}}, {five, 3, []int{0, 4, 1}}, {five, 3, []int{0, 1, 3}}, {five, 3, []int{0, 1, 3}}}},
		{"3-of-5-one-key-rotated", true, []version{{five, 3, []int{0, 2, 4}}, {swapped, 3, []int{0, 4, 1}}}},
		{"3-of-5-one-key-rotated-with-intermediate-step", true, []version{{five, 3, []int{0, 2, 4}}, {swapped, 3, []int{0, 2, 4, 5}}, {swapped, 3, []int{0, 4, 5}}}},
		{"3-of-5-all-keys-rotated-with-intermediate-step", true, []version{{five, 3, []int{0, 2, 4}}, {fresh, 3, []int{0, 2, 4, 5, 6, 7}}, {fresh, 3, []int{5, 6, 7}}}},
		{"1-of-3-threshold-increase-to-2-of-3", true, []version{{three, 1, one}, {three, 2, []int{1, 2}}}},
		{"2-of-3-threshold-decrease-to-1-of-3", true, []version{{three, 2, []int{1, 2}}, {three, 1, []int{1, 2}}, {three, 1, one}}},
		{"1-of-2-threshold-increase-to-2-of-2", true, []version{{one, 1, one}, {[]int{1, 2}, 2, []int{1, 2}}}},
		{"1-of-1-key-rotation-fail-not-signed-with-old-key", false, []version{{one, 1, one}, {[]int{2}, 1, []int{2, 3, 4}}}},
		{"1-of-1-key-rotation-fail-not-signed-with-new-key", false, []version{{one, 1, one}, {[]int{2}, 1, []int{1, 3, 4}}}},
		{"3-of-5-one-key-rotate-fails-not-signed-with-3-new-keys", false, []version{{five, 3, []int{0, 2, 4}}, {swapped, 3, []int{0, 2, 4}}}},
		{"3-of-5-one-key-rotate-fails-not-signed-with-3-old-keys", false, []version{{five, 3, []int{0, 2, 4}}, {swapped, 3, []int{0, 4, 5}}}},
		{"1-of-3-threshold-bump-to-2-of-3-fails-new-threshold-not-reached", false, []version{{three, 1, one}, {three, 2, []int{2}}}},
		{"2-of-3-threshold-decr-to-1-of-3-fails-old-threshold-not-reached", false, []version{{three, 2, []int{1, 2}}, {three, 1, one}}},
	} {
		out = append(out, Case{"test_root_rotation/" + c.name, func(x *X) { rootRotation(x, c.versions, c.ok) }})
	}
	for _, c := range []struct {
		name string
		ok   bool
		v    version
	}{
		{"1-of-1-key-rotation", true, version{[]int{2}, 1, []int{2}}},
		{"1-of-1-key-rotation-unused-signatures", true, version{one, 1, []int{3, 1, 4}}},
		{"1-of-1-key-rotation-fail-not-signed-with-new-key", false, version{[]int{2}, 1, []int{1, 3, 4}}},
		{"3-of-5-one-key-signature-wrong-not-signed-with-3-expected-keys", false, version{swapped, 3, []int{0, 2, 4}}},
		{"2-of-5-one-key-signature-missing-threshold-not-reached", false, version{swapped, 3, []int{0, 4}}},
		{"3-of-5-sign-first-combo", true, version{five, 3, []int{0, 2, 4}}},
		{"3-of-5-sign-second-combo", true, version{five, 3, []int{0, 4, 1}}},
		{"3-of-5-sign-third-combo", true, version{five, 3, []int{0, 1, 3}}},
		{"3-of-5-sign-fourth-combo", true, version{five, 3, []int{1, 2, 3}}},
		{"3-of-5-sign-fifth-combo", true, version{five, 3, []int{2, 3, 4}}},
	} {
		out = append(out, Case{"test_non_root_rotations/" + c.name, func(x *X) { otherRotation(x, c.v, c.ok) }})
	}
	return out
}

func tenSigners() (out []*Signer) {
	for range 10 {
		out = append(out, NewSigner(Ed25519))
	}
	return out
}

func pick(all []*Signer, which []int) (out []*Signer) {
	for _, i := range which {
		out = append(out, all[i])
	}
	return out
}

func rootRotation(x *X, versions []version, ok bool) {
	signers := tenSigners()
	x.Unpublish("root")
	for _, v := range versions {
		x.SetKeys("root", pick(signers, v.keys), v.threshold, pick(signers, v.sigs))
		x.Publish("root")
	}
	x.Publish("targets", "snapshot", "timestamp")
	x.init()
	want := x.Version("root", len(versions))
	if ok {
		x.ok()
	} else {
		x.refused()
		want = x.Version("root", len(versions)-1)
	}
	if string(x.Client.Role("root")) != string(want) {
		x.Fatal("the trusted root is not the last good one")
	}
}

func otherRotation(x *X, v version, ok bool) {
	signers := tenSigners()
	x.init()
	for _, role := range []string{"timestamp", "snapshot", "targets"} {
		x.SetKeys(role, pick(signers, v.keys), v.threshold, pick(signers, v.sigs))
		x.Publish("root", "targets", "snapshot", "timestamp")
		if !ok {
			x.refused()
			continue
		}
		x.ok()
		x.same(role)
	}
}
