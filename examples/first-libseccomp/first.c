/* The first program that everybody writes with libseccomp: forbid all but write and exit, write, fork.
 *
 *	gcc -o first first.c -lseccomp
 *	./first             # killed at fork
 *	./first return      # killed as well: returning from main is exit_group, not exit
 *
 * monban explain pid:N shows what the filter of the running program means.
 */
#include <seccomp.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	(void)argv;
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_KILL);
	if (!ctx || seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(exit), 0) < 0 ||
	    seccomp_rule_add(ctx, SCMP_ACT_ALLOW, SCMP_SYS(write), 0) < 0 || seccomp_load(ctx) < 0)
		return 1;
	if (write(STDOUT_FILENO, "write: allowed\n", 15) != 15 || argc > 1)
		return 0;
	fork();
	write(STDOUT_FILENO, "fork: not stopped\n", 18);
	return 0;
}
