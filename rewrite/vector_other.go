//go:build !amd64 || purego

package rewrite

// Without vector instructions what does not need them is faster.
const hasVectors = false

func plainBlocks(*byte, int, *nameSets) (done, seen int) { return 0, 0 }

func findGrams(_ *byte, n int, _, _ uint32) int { return 0 }
