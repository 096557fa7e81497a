//go:build !purego

#include "textflag.h"

// All vector instructions here begin with V: where such ones stand between
// others, some processors take microseconds for each change.
//
// Y0 and Y1 are the block in hand, Y2 to Y5 scratch.
// These registers hold a bit for each byte of the block, the first one lowest:
#define LESS R8      // '<', then those that begin a tag
#define GREATER R9   // '>', then those that end a tag
#define DOUBLE R10   // '"' in tags
#define SINGLE R11   // '\'' in tags
#define BEFORE R12   // what can stand before the quote that begins a value
#define OPENING DX   // '"' that may begin a value
// and these a bit that is carried from block to block:
#define INTAG R13    // the block begins within a tag
#define INVALUE DI   // the last '"' may have begun a value

// SPREAD fills y with byte c, x being its lower half.
#define SPREAD(c, x, y) MOVL $c, AX; VMOVD AX, x; VPBROADCASTB x, y

// BITS makes r of the bytes of lo and hi that are not 0.
#define BITS(lo, hi, r) VPMOVMSKB lo, AX; VPMOVMSKB hi, r; SHLQ $32, r; ORQ AX, r

// FIND makes r of the bytes of the block that are y's.
#define FIND(y, r) VPCMPEQB Y0, y, Y2; VPCMPEQB Y1, y, Y3; BITS(Y2, Y3, r)

// NAME sets bits of r if the tag at address p (lost) is not obviously plain.
#define NAME(p, r, tmp) \
	MOVBLZX 1(p), r; \
	MOVBLZX 2(p), tmp; \
	MOVBLZX 3(p), p; \
	MOVWLZX 0(R14)(r*2), r; \
	ANDW 512(R14)(tmp*2), r; \
	ANDW 1024(R14)(p*2), r

DATA plainTag<>+0(SB)/8, $"<p>"
GLOBL plainTag<>(SB), RODATA|NOPTR, $8

// func plainBlocks(src *byte, blocks int, names *nameSets) (done, seen int)
TEXT ·plainBlocks(SB), NOSPLIT, $32-40
	MOVQ src+0(FP), SI // the block in hand
	MOVQ blocks+8(FP), CX
	SHLQ $6, CX
	ADDQ SI, CX // where the last block ends
	SPREAD('<', X10, Y10)
	SPREAD('>', X11, Y11)
	SPREAD('"', X12, Y12)
	SPREAD('\'', X13, Y13)
	SPREAD('=', X14, Y14)
	SPREAD(' ', X15, Y15)
	MOVQ names+16(FP), R14
	LEAQ plainTag<>(SB), AX
	MOVQ AX, none-8(SP)
	XORL INTAG, INTAG
	XORL INVALUE, INVALUE
	XORL DX, DX // 1 if the last byte of the block before is one of BEFORE
	XORL BP, BP // LESS of the last block in which a tag begins
	MOVQ SI, last-16(SP) // and that block

block:
	VMOVDQU (SI), Y0
	VMOVDQU 32(SI), Y1
	FIND(Y10, LESS)
	FIND(Y11, GREATER)
	FIND(Y12, DOUBLE)
	FIND(Y13, SINGLE)
	VPCMPEQB Y0, Y14, Y2
	VPCMPEQB Y1, Y14, Y3
	VPMINUB Y0, Y15, Y4
	VPMINUB Y1, Y15, Y5
	VPCMPEQB Y0, Y4, Y4 // bytes up to ' '
	VPCMPEQB Y1, Y5, Y5
	VPOR Y4, Y2, Y2
	VPOR Y5, Y3, Y3
	BITS(Y2, Y3, BEFORE)

	// AX: within a tag, the borrows of GREATER - LESS.
	MOVQ INTAG, inTag-24(SP)
	MOVQ GREATER, AX
	MOVQ GREATER, BX
	XORQ LESS, AX
	NEGQ INTAG // sets the carry flag
	SBBQ LESS, BX
	SBBQ INTAG, INTAG
	NEGQ INTAG
	XORQ BX, AX
	ANDNQ LESS, AX, LESS
	ANDQ AX, GREATER
	ANDQ AX, DOUBLE
	ANDQ AX, SINGLE

	// BX: after a '"' that may begin a value, in the same way.
	LEAQ (DX)(BEFORE*2), OPENING
	ANDQ DOUBLE, OPENING
	ANDNQ DOUBLE, OPENING, BX
	NEGQ INVALUE
	SBBQ OPENING, BX
	SBBQ INVALUE, INVALUE
	NEGQ INVALUE
	XORQ DOUBLE, BX
	MOVQ BEFORE, DX
	SHRQ $63, DX

	ANDQ BX, GREATER
	ORQ GREATER, SINGLE
	JNZ doubt

	// The names of the first two tags, whether there are so many or not: to
	// guess how many there are takes longer.
	TZCNTQ LESS, AX
	LEAQ (SI)(AX*1), AX
	CMOVQCS none-8(SP), AX
	BLSRQ LESS, R9
	TZCNTQ R9, BX
	LEAQ (SI)(BX*1), BX
	CMOVQCS AX, BX
	NAME(AX, R10, R11)
	NAME(BX, R11, R12)
	ORL R11, R10
	TESTW R10, R10
	JNZ doubt
	BLSRQ R9, R9
	JNZ third

next:
	MOVQ last-16(SP), AX
	TESTQ LESS, LESS
	CMOVQNE LESS, BP
	CMOVQNE SI, AX
	MOVQ AX, last-16(SP)
	ADDQ $64, SI
	CMPQ SI, CX
	JB block
	MOVQ SI, CX
	JMP done

third:
	TZCNTQ R9, AX
	LEAQ (SI)(AX*1), AX
	NAME(AX, R10, R11)
	TESTW R10, R10
	JNZ doubt
	BLSRQ R9, R9
	JNZ third
	JMP next

doubt:
	MOVQ inTag-24(SP), INTAG
	LEAQ 64(SI), CX

done:
	VZEROUPPER
	MOVQ src+0(FP), R8
	SUBQ R8, CX
	MOVQ CX, seen+32(FP)
	TESTQ INTAG, INTAG
	JZ text
	BSRQ BP, AX
	MOVQ last-16(SP), SI
	ADDQ AX, SI

text:
	SUBQ R8, SI
	MOVQ SI, done+24(FP)
	RET

// func hasAVX2() bool
TEXT ·hasAVX2(SB), NOSPLIT, $0-1
	MOVB $0, ret+0(FP)
	XORL AX, AX
	CPUID
	CMPL AX, $7
	JLT no
	MOVL $1, AX
	XORL CX, CX
	CPUID
	ANDL $0x18000000, CX // OSXSAVE and AVX
	CMPL CX, $0x18000000
	JNE no
	XORL CX, CX
	XGETBV // what the system saves of the registers
	ANDL $6, AX
	CMPL AX, $6
	JNE no
	MOVL $7, AX
	XORL CX, CX
	CPUID
	ANDL $0x28, BX // AVX2 and BMI1
	CMPL BX, $0x28
	SETEQ ret+0(FP)
no:
	RET
