//go:build race

package sim

// raced: the race detector makes every run ten times slower, and looks at fewer of them.
const raced = true
