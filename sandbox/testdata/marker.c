/* Writes the Seccomp mode of its first moments into the file that it is given, then waits to be ended. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	char buf[4096];
	int in, out;
	long n;
	char *s;

	if (argc < 2)
		return 2;
	in = open("/proc/self/status", O_RDONLY);
	n = read(in, buf, sizeof buf - 1);
	buf[n > 0 ? n : 0] = 0;
	s = strstr(buf, "Seccomp:");
	out = open(argv[1], O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (!s || write(out, s + 9, 1) != 1)
		return 1;
	close(out);
	for (int i = 0; i < 10; i++)
		sleep(1);
	return 0;
}
