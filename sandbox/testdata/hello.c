/* Prints its arguments, one a line, and ends with 7. */
#include <stdio.h>

int main(int argc, char **argv)
{
	printf("hello\n");
	for (int i = 1; i < argc; i++)
		printf("%s\n", argv[i]);
	fflush(stdout);
	return 7;
}
