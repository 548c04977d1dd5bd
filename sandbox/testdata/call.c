/* call MODE NR [ARG...]: makes one system call, from the main thread, another thread or a child; prints its result. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static long nr, args[6];

static void *make(void *unused)
{
	long r = syscall(nr, args[0], args[1], args[2], args[3], args[4], args[5]);

	printf("%ld errno %d\n", r, r < 0 ? errno : 0);
	fflush(stdout);
	return unused;
}

static void *idle(void *unused)
{
	for (;;)
		pause();
	return unused;
}

int main(int argc, char **argv)
{
	pthread_t t;

	if (argc < 3)
		return 2;
	nr = strtoul(argv[2], NULL, 0);
	for (int i = 3; i < argc && i < 9; i++)
		args[i - 3] = strtoul(argv[i], NULL, 0);
	if (!strcmp(argv[1], "main")) {
		make(NULL);
	} else if (!strcmp(argv[1], "threads")) {	/* the first thread, among others */
		for (int i = 0; i < 4; i++)
			pthread_create(&t, NULL, idle, NULL);
		usleep(20000);
		make(NULL);
	} else if (!strcmp(argv[1], "thread")) {	/* another thread than the first */
		pthread_create(&t, NULL, make, NULL);
		pthread_join(t, NULL);
		printf("joined\n");
	} else if (!strcmp(argv[1], "child")) {
		int status = 0;

		if (fork() == 0) {
			make(NULL);
			_exit(0);
		}
		wait(&status);
		printf("child signal %d\n", WTERMSIG(status));
	}
#ifdef __x86_64__
	else if (!strcmp(argv[1], "int80")) {		/* an i386 call of a 64-bit program */
		long r;

		__asm__ volatile("int $0x80" : "=a"(r) : "a"(nr), "b"(args[0]), "c"(args[1]), "d"(args[2]) : "memory");
		printf("%ld\n", r);
	}
#endif
	return 0;
}
