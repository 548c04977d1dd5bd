// Package gate is the noun of the house: one thing that answers system calls, whatever it was read from. A [Gate] is a
// policy, or programs that have no policy; it knows what it means, for which architectures, where it came from and what
// its reader noticed.
//
//	g := gate.OfPolicy("web.gate", p)
//	v, err := g.Verdict()
//	filters, err := g.Filters()
//
// What a gate means is found once, when somebody asks, in a space of its own; [Gate.In] shares a space, so that two
// gates can be compared. It is compiled only when its filters are asked for.
package gate
