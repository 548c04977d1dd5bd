// Package inspect finds what a person wants to know about a gate, as facts: what it lets through, sorted by what calls
// are for ([Summarise], and all there is to say in [Explain]); what happens to a call and why ([Ask], [Desk]); one
// call's story on every architecture ([Tell]); what two gates disagree on, worst first ([Diff], [Excess]); what several
// gates make together ([Merge], [Origins]); what it compiles to ([Compile]); and which gate ends a program, for which
// reason ([Culprits]). A policy, a container profile and somebody's BPF get the same answers. It prints nothing:
// package report has the words.
package inspect
