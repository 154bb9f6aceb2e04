//go:build !linux

package main

// useHugePages does nothing: other systems give large pages by themselves, or not at all.
func useHugePages(int) {}
