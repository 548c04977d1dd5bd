#include "textflag.h"

// func syscall6(nr, a, b, c, d, e, f uintptr) uintptr
TEXT ·syscall6(SB), NOSPLIT, $0-64
	MOVQ nr+0(FP), AX
	MOVQ a+8(FP), DI
	MOVQ b+16(FP), SI
	MOVQ c+24(FP), DX
	MOVQ d+32(FP), R10
	MOVQ e+40(FP), R8
	MOVQ f+48(FP), R9
	SYSCALL
	MOVQ AX, ret+56(FP)
	RET

// func cloneOnStack(nr, flags, stack, pidfd, control, entry uintptr) uintptr
TEXT ·cloneOnStack(SB), NOSPLIT, $0-56
	MOVQ nr+0(FP), AX
	MOVQ flags+8(FP), DI
	MOVQ stack+16(FP), SI
	MOVQ pidfd+24(FP), DX
	MOVQ control+32(FP), R12
	MOVQ entry+40(FP), R13
	MOVQ R12, R10 // the word to clear, control.uses
	XORL R8, R8
	SUBQ $32, SI
	SYSCALL
	TESTQ AX, AX
	JZ   child
	MOVQ AX, ret+48(FP)
	RET

child:
	MOVQ R12, 0(SP) // where either of Go's calling conventions has its first argument
	MOVQ R12, AX
	XORPS X15, X15
	CALL R13
	UNDEF
