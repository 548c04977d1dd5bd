/* Prints its pid, and then each signal that it gets and how often; SIGTERM is the last. Not SA_RESTART: pause() returns for each. */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static volatile sig_atomic_t counts[65];

static void count(int n) { counts[n]++; }

int main(void)
{
	static const int list[] = { SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2, SIGWINCH, SIGTERM, SIGCONT };
	struct sigaction sa;
	sigset_t all, none;

	memset(&sa, 0, sizeof sa);
	sa.sa_handler = count;
	for (unsigned i = 0; i < sizeof list / sizeof *list; i++)
		sigaction(list[i], &sa, NULL);
	sigfillset(&all);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &all, NULL);
	printf("ready %d\n", (int)getpid());
	fflush(stdout);
	while (!counts[SIGTERM])
		sigsuspend(&none);
	usleep(60000);		/* a doubled signal would come now */
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (unsigned i = 0; i < sizeof list / sizeof *list; i++)
		if (counts[list[i]])
			printf("%s %d\n", sigabbrev_np(list[i]), (int)counts[list[i]]);
	printf("done\n");
	return 0;
}
