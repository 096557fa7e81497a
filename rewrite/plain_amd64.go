//go:build !purego

package rewrite

// canSkipPlain says that the processor has what plainBlocks needs: AVX2 and
// BMI1, as nearly all since 2013.
var canSkipPlain = hasAVX2()

func hasAVX2() bool

// plainBlocks passes over plain markup. It looks at blocks times 64 bytes from
// src on, where text must begin, and at nameMargin bytes more. Up to done there
// are but text and whole tags, all plain; up to seen it has looked. If that is
// less than all, what may not be plain is between the two.
//
//go:noescape
func plainBlocks(src *byte, blocks int, names *nameSets) (done, seen int)
