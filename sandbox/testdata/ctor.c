// Writes how getppid is answered, before main and in it.
#include <errno.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

static void say(const char *where) {
	long result = syscall(SYS_getppid);
	printf("%s %d\n", where, result < 0 ? errno : 0);
	fflush(stdout);
}

__attribute__((constructor)) static void before(void) { say("constructor"); }

int main(void) {
	say("main");
	return 0;
}
