// Package inspect turns verdicts into what a person wants to know about a gate: what it lets through, sorted by what
// calls are for ([Summarise]); one call's story on every architecture ([Tell]); what two gates disagree on, worst first
// ([Diff]); and what several gates make together ([Merge]). It works on verdicts alone, so a policy, a container
// profile and somebody's BPF get the same answers. It prints nothing.
package inspect
