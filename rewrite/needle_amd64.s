//go:build !purego

#include "textflag.h"

// FIRST fills y with the lowest byte of r, x being y's lower half, and LAST with
// the highest one.
#define FIRST(r, x, y) VMOVD r, x; VPBROADCASTB x, y
#define LAST(r, x, y) MOVL r, AX; SHRL $24, AX; VMOVD AX, x; VPBROADCASTB x, y

// ENDS sets the bytes of y where a byte and the third after it, from off on, are
// the ends of one of the grams.
#define ENDS(off, y) \
	VPOR off(SI), Y14, Y0; \
	VPOR off+3(SI), Y14, Y1; \
	VPCMPEQB Y0, Y10, Y2; \
	VPCMPEQB Y1, Y11, Y3; \
	VPCMPEQB Y0, Y12, Y4; \
	VPCMPEQB Y1, Y13, Y5; \
	VPAND Y2, Y3, Y2; \
	VPAND Y4, Y5, Y4; \
	VPOR Y2, Y4, y

// func findGrams(s *byte, n int, a, b uint32) int
TEXT ·findGrams(SB), NOSPLIT, $0-32
	MOVQ s+0(FP), SI
	MOVQ n+8(FP), CX
	ADDQ SI, CX
	MOVL a+16(FP), R8
	MOVL b+20(FP), R9
	FIRST(R8, X10, Y10)
	LAST(R8, X11, Y11)
	FIRST(R9, X12, Y12)
	LAST(R9, X13, Y13)
	MOVL $0x20, AX
	FIRST(AX, X14, Y14)

block:
	ENDS(0, Y6)
	ENDS(32, Y7)
	VPOR Y6, Y7, Y0
	VPTEST Y0, Y0
	JNZ some

next:
	ADDQ $64, SI
	CMPQ SI, CX
	JB block
	JMP done

some:
	VPMOVMSKB Y6, AX
	VPMOVMSKB Y7, R10
	SHLQ $32, R10
	ORQ AX, R10

each:
	TZCNTQ R10, BX
	MOVL (SI)(BX*1), AX
	ORL $0x20202020, AX
	CMPL AX, R8
	JEQ found
	CMPL AX, R9
	JEQ found
	BLSRQ R10, R10
	JNZ each
	JMP next

found:
	ADDQ BX, SI

done:
	VZEROUPPER
	SUBQ s+0(FP), SI
	MOVQ SI, ret+24(FP)
	RET
