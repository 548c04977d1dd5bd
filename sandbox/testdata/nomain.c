// A dynamic program with a main that nobody calls; it is linked with -nostartfiles -Wl,-e,start.
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <pthread.h>
#include <sys/wait.h>

int main(void) { return 0; }

#ifdef THREAD
static void *thread(void *p) { puts("thread"); fflush(stdout); return p; }
#endif

#ifdef __x86_64__
__attribute__((force_align_arg_pointer))
#endif
void start(void)
{
#if defined(FORK)
    if (fork() == 0)
        execlp("echo", "echo", "child", (char *)0);
    wait(0);
#elif defined(EXEC)
    execlp("echo", "echo", "exec", (char *)0);
#elif defined(THREAD)
    pthread_t t;
    pthread_create(&t, 0, thread, 0);
    pthread_join(t, 0);
#endif
    exit(7);
}
