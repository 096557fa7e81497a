//go:build !purego

package rewrite

// hasVectors says that the processor has AVX2 and BMI1, as nearly all have since
// 2013.
var hasVectors = hasAVX2()

func hasAVX2() bool

// plainBlocks passes over plain markup. It looks at blocks times 64 bytes from
// src on, where text must begin, and at nameMargin bytes more. Up to done there
// are but text and whole tags, all plain; up to seen it has looked. If that is
// less than all, what may not be plain is between the two.
//
//go:noescape
func plainBlocks(src *byte, blocks int, names *nameSets) (done, seen int)

// findGrams is the first of the n positions in s at which, but for the case of
// letters, the bytes of a or b stand, or n if there is none. n is a multiple of
// blockSize; three bytes more are looked at.
//
//go:noescape
func findGrams(s *byte, n int, a, b uint32) int
