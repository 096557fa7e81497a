package rewrite

import (
	"syscall"
	"testing"
)

// Nothing is read behind the text: there, memory ends.
func TestVectorReads(t *testing.T) {
	if !hasVectors {
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
		checkNeedles(t, []string{"aaaa"}, text[i:])
		text[i] = 'a'
	}
}
