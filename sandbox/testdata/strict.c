/* Computes, writes, and ends in the one way that strict mode allows; with an argument it returns from main instead. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char line[] = "sum 00\n";
	int sum = 0;

	(void)argv;
	for (int i = 1; i <= 10; i++)
		sum += i;
	line[4] += sum / 10;
	line[5] += sum % 10;
	if (write(1, line, strlen(line)) < 0)
		return 1;
	if (argc > 1)
		return 0;
	syscall(SYS_exit, 0);
	return 1;
}
