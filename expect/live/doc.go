// Package live has the kernel decide what package expect has proven: a child process puts a gate's filters on one of
// its threads and makes a call there. Only calls that the gate refuses, or that do nothing but answer, are made.
package live
