// A dynamic program with a main that nobody calls; it is linked with -nostartfiles -Wl,-e,start.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>
#include <pthread.h>
#include <sys/syscall.h>
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
#elif defined(UNTRACED)
    if (syscall(SYS_clone, SIGCHLD | CLONE_UNTRACED, 0, 0, 0, 0) == 0) {
        setsid();
        execlp("echo", "echo", "child", (char *)0);
    }
    wait(0);
#elif defined(CLONE3)
    uint64_t args[8] = {CLONE_UNTRACED, 0, 0, 0, SIGCHLD};
    if (syscall(435, args, sizeof args) == 0) {
        setsid();
        execlp("echo", "echo", "child", (char *)0);
    }
    wait(0);
#elif defined(UNTRACED32)
    long pid;
    __asm__ volatile("int $0x80" : "=a"(pid) : "a"(120), "b"(SIGCHLD | CLONE_UNTRACED), "c"(0), "d"(0), "S"(0), "D"(0) : "memory");
    if (pid == 0)
        execlp("echo", "echo", "child", (char *)0);
    wait(0);
#elif defined(UNTRACEDX32)
    if (syscall(0x40000000 + SYS_clone, SIGCHLD | CLONE_UNTRACED, 0, 0, 0, 0) == 0)
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
