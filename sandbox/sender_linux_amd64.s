#include "textflag.h"

// func noteSenderAddr() uintptr
TEXT ·noteSenderAddr(SB), NOSPLIT, $0-8
	LEAQ noteSender<>(SB), AX
	MOVQ AX, ret+0(FP)
	RET

// A signal handler, in the C calling convention: DI is the signal, SI the siginfo_t (si_code at 8, si_pid at 16). It uses
// registers that a C function may overwrite and no stack.
TEXT noteSender<>(SB), NOSPLIT|NOFRAME|TOPFRAME, $0
	MOVL 8(SI), AX
	MOVL 16(SI), CX
	SHLQ $32, CX
	ORQ  CX, AX
	LEAQ ·senders(SB), CX
	MOVQ AX, (CX)(DI*8)
	MOVQ ·runtimeHandler(SB), AX
	JMP  AX
