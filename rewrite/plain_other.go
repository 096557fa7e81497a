//go:build !amd64 || purego

package rewrite

// Without vector instructions the exact scanner is faster.
const canSkipPlain = false

func plainBlocks(*byte, int, *nameSets) (done, seen int) { return 0, 0 }
