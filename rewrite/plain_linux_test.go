package rewrite

import (
	"syscall"
	"testing"
)

// plainBlocks reads nothing behind what it says: there, memory ends.
func TestPlainBlocksReads(t *testing.T) {
	if !canSkipPlain {
		t.Log("nothing to test on this processor")
		return
	}
	page := syscall.Getpagesize()
	mem, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(mem)
	if err := syscall.Mprotect(mem[page:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	text := mem[page-2*blockSize-nameMargin : page]
	for i := range text {
		text[i] = '<'
		checkPlain(t, text)
		text[i] = 'a'
	}
}
