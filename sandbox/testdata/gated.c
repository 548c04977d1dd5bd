// Writes into the file that it is given whether getpriority is answered with errno 42, as the gate says.
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv) {
	long result = syscall(SYS_getpriority, 0, 0);
	const char *word = result == -1 && errno == 42 ? "gated" : "UNGATED";
	int fd = syscall(SYS_open, argv[1], O_CREAT | O_WRONLY, 0644);
	syscall(SYS_write, fd, word, strlen(word));
	return 0;
}
