//go:build !linux

package main

// slowWatcher: no system but Linux has the setting.
func slowWatcher() {}
