/* An ordinary C program that knows nothing of seccomp: it writes, then forks.
 *
 *	gcc -o first first.c
 *	monban run --gate first.gate -- ./first
 */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
	puts("write: allowed");
	fflush(stdout);
	fork();
	puts("fork: not stopped");
	return 0;
}
