// Makes a session of its own before all else.
#include <unistd.h>

int main(void) {
	setsid();
	write(1, "ran\n", 4);
	usleep(30000);
	return 7;
}
