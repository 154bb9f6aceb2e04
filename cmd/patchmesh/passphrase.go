package main

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"

	"patchmesh/node/api"
)

// maxPassphrase bounds what is read of a passphrase file.
const maxPassphrase = 4096

// readPassphraseFile reads the first line of a file.
func readPassphraseFile(path string) (api.Secret, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", api.Errorf(api.ClassUsage, "passphrase file: %v", err)
	}
	defer f.Close()
	line, err := bufio.NewReader(io.LimitReader(f, maxPassphrase)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return "", api.Errorf(api.ClassUsage, "passphrase file: %v", err)
	}
	p := strings.TrimRight(line, "\r\n")
	if p == "" {
		return "", api.Errorf(api.ClassUsage, "the first line of %s is empty", path)
	}
	return api.Secret(p), nil
}

func onTerminal() bool { return term.IsTerminal(int(os.Stdin.Fd())) }

// askPassphrase asks on the terminal, twice for a new one.
func (a *app) askPassphrase(prompt string, twice bool) (api.Secret, error) {
	ask := func(text string) (api.Secret, error) {
		fmt.Fprint(a.errOut, text)
		b, err := term.ReadPassword(int(os.Stdin.Fd()))
		fmt.Fprintln(a.errOut)
		return api.Secret(b), err
	}
	p, err := ask(prompt + ": ")
	if err != nil || !twice {
		return p, err
	}
	again, err := ask("the same again: ")
	if err != nil {
		return "", err
	}
	if p != again || p == "" {
		return "", api.Errorf(api.ClassUsage, "the two passphrases differ or are empty")
	}
	return p, nil
}

// signing calls do with the passphrase from the file, if one is named. Where the keys turn out to
// need one and somebody sits at the terminal, it asks and calls do again.
func (a *app) signing(file string, do func(passphrase api.Secret) error) error {
	noCoreDumps(true)
	var p api.Secret
	if file != "" {
		var err error
		if p, err = readPassphraseFile(file); err != nil {
			return err
		}
	}
	err := do(p)
	var e *api.Error
	if file == "" && errors.As(err, &e) && e.Class == api.ClassRefused && strings.Contains(e.What, "needs its passphrase") && onTerminal() {
		if p, err = a.askPassphrase("passphrase of the approver key", false); err != nil {
			return err
		}
		return do(p)
	}
	return err
}
