#include "textflag.h"

// func syscall6(nr, a, b, c, d, e, f uintptr) uintptr
TEXT ·syscall6(SB), NOSPLIT, $0-64
	MOVD nr+0(FP), R8
	MOVD a+8(FP), R0
	MOVD b+16(FP), R1
	MOVD c+24(FP), R2
	MOVD d+32(FP), R3
	MOVD e+40(FP), R4
	MOVD f+48(FP), R5
	SVC
	MOVD R0, ret+56(FP)
	RET

// func cloneOnStack(nr, flags, stack, pidfd, control, entry uintptr) uintptr
TEXT ·cloneOnStack(SB), NOSPLIT, $0-56
	MOVD nr+0(FP), R8
	MOVD flags+8(FP), R0
	MOVD stack+16(FP), R1
	MOVD pidfd+24(FP), R2
	MOVD control+32(FP), R9
	MOVD entry+40(FP), R10
	MOVD ZR, R3
	MOVD R9, R4 // the word to clear, control.uses
	SUB  $32, R1
	SVC
	CBZ  R0, child
	MOVD R0, ret+48(FP)
	RET

child:
	MOVD R9, 8(RSP) // behind the place of the link register: where either of Go's calling conventions has its first argument
	MOVD R9, R0
	CALL (R10)
	UNDEF
