//go:build !linux

package main

// labVerbs need network namespaces, which Linux alone has.
var labVerbs []verb
