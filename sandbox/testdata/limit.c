// Writes its limit on open files before main, and does nothing in it that strict mode would not allow.
#include <stdio.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

__attribute__((constructor)) static void before(void) {
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
		printf("%lu %lu\n", (unsigned long)limit.rlim_cur, (unsigned long)limit.rlim_max);
	fflush(stdout);
}

int main(void) {
	syscall(SYS_exit, 0);
	return 0;
}
