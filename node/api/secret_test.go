package api

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecretIsShownNowhere(t *testing.T) {
	const canary = "canary-7f3a"
	r := ApproveRequest{Update: "u", Passphrase: canary}
	var seen bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
		fmt.Fprintf(&seen, verb+"\n", r.Passphrase)
		fmt.Fprintf(&seen, verb+"\n", r)
		fmt.Fprintf(&seen, verb+"\n", &r)
		fmt.Fprintf(&seen, verb+"\n", []any{r, map[string]Secret{"a": r.Passphrase}})
	}
	fmt.Fprintln(&seen, r, r.Passphrase, Errorf(ClassFailed, "with %s", r.Passphrase))
	for _, h := range []slog.Handler{slog.NewTextHandler(&seen, nil), slog.NewJSONHandler(&seen, nil)} {
		slog.New(h).Info("x", "request", r, "passphrase", r.Passphrase, "all", []Secret{r.Passphrase})
	}
	b, err := json.Marshal(map[string]any{"r": r, "p": r.Passphrase})
	if err != nil {
		t.Fatal(err)
	}
	seen.Write(b)
	hexed := fmt.Sprintf("%x", canary)
	if s := strings.ToLower(seen.String()); strings.Contains(s, canary) || strings.Contains(s, hexed) {
		t.Errorf("the secret was shown: %s", s)
	}
	if !strings.Contains(seen.String(), secretMark) {
		t.Error("there is no mark in its place")
	}
	if r.Passphrase.Reveal() != canary || Secret("").String() != "" {
		t.Error("what is kept is lost, or nothing is shown as something")
	}
	var back ApproveRequest
	if err := json.Unmarshal([]byte(`{"passphrase":"canary-7f3a"}`), &back); err != nil || back.Passphrase.Reveal() != canary {
		t.Errorf("a body is not read: %v", err)
	}
}
