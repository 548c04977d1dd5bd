#include "textflag.h"

// func noteSenderAddr() uintptr
TEXT ·noteSenderAddr(SB), NOSPLIT, $0-8
	MOVD $noteSender<>(SB), R0
	MOVD R0, ret+0(FP)
	RET

// A signal handler, in the C calling convention: R0 is the signal, R1 the siginfo_t (si_code at 8, si_pid at 16). It uses
// registers that a C function may overwrite and no stack.
TEXT noteSender<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVWU 8(R1), R9
	MOVWU 16(R1), R10
	ORR   R10<<32, R9, R9
	MOVD  $·senders(SB), R10
	MOVD  R9, (R10)(R0<<3)
	MOVD  ·runtimeHandler(SB), R10
	B     (R10)
