/* A static program without a C library: its entry point is its first instruction. */
static long call3(long nr, long a, long b, long c)
{
	long r;
#if defined(__x86_64__)
	__asm__ volatile("syscall" : "=a"(r) : "a"(nr), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
#elif defined(__i386__)
	__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(a), "c"(b), "d"(c) : "memory");
#else
	register long x8 __asm__("x8") = nr, x0 __asm__("x0") = a, x1 __asm__("x1") = b, x2 __asm__("x2") = c;
	__asm__ volatile("svc #0" : "+r"(x0) : "r"(x8), "r"(x1), "r"(x2) : "memory");
	r = x0;
#endif
	return r;
}

void _start(void)
{
#if defined(__x86_64__)
	call3(1, 1, (long)"first\n", 6);
	call3(60, 0, 0, 0);
#elif defined(__i386__)
	call3(4, 1, (long)"first\n", 6);
	call3(1, 0, 0, 0);
#else
	call3(64, 1, (long)"first\n", 6);
	call3(93, 0, 0, 0);
#endif
	for (;;)
		;
}
