/* A program for the kernel's strict mode: it reads, computes, writes, and ends.
 *
 *	gcc -o sum sum.c
 *	seq 10 | monban run --strict -- ./sum
 *
 * Only read, write, exit and sigreturn are left, so it uses no stdio, whose buffers take memory calls, and does not return from
 * main, which ends in exit_group.
 */
#include <sys/syscall.h>
#include <unistd.h>

int main(void)
{
	char buf[4096];
	unsigned long sum = 0, n = 0;
	ssize_t got;

	while ((got = read(STDIN_FILENO, buf, sizeof buf)) > 0)
		for (ssize_t i = 0; i < got; i++)
			if (buf[i] >= '0' && buf[i] <= '9') {
				n = n * 10 + (buf[i] - '0');
			} else {
				sum += n;
				n = 0;
			}
	sum += n;

	char *end = buf + sizeof buf, *p = end;
	*--p = '\n';
	do
		*--p = '0' + sum % 10;
	while (sum /= 10);
	if (write(STDOUT_FILENO, p, end - p) != end - p)
		syscall(SYS_exit, 1);
	syscall(SYS_exit, 0);
}
