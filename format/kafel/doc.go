// Package kafel reads the policies of Kafel, the language of nsjail.
//
// A policy means what Kafel's compiler makes of it. Rules are tried in order, USE stands for the rules of the policy
// that it names, and the first rule that matches decides; DEFAULT is KILL where it is not said. KILL, DENY and
// KILL_THREAD kill the thread, and so does a token of another architecture. Names are one architecture's calls and
// SYSCALL[n] is the number n; all other numbers get the default, those of x32 too.
//
// A comparison looks at whole registers, unsigned, where a constant in it needs more than 32 bits or an argument in it
// has 64: those that the kernel declares so, and all that the policy names itself, as in write(fd, buf, n). Otherwise
// it looks at the low halves only. Comparisons of two arguments with each other are refused: a meaning has one argument
// a test.
package kafel
