// Package record learns which system calls a program makes, by watching a run: all of its threads, its children and
// what they execute. What was seen is generalised by rules that are written down (see [Generalise]) and becomes a
// policy that explains itself in comments.
//
// A recording shows what one run did. What a program does now and then only is not in it: record the runs that matter,
// one into the other's file, and let the rest be refused with an error rather than killed.
package record
