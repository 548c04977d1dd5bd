package compile

import (
	"maps"
	"monban/abi"
	"monban/bpf"
	"monban/verdict"
)

// Weights say how often calls are made, by name, relative to each other. A call that isn't named counts as one.
// What the kernel answers from its cache costs nothing and weighs nothing.
type Weights map[string]float64

// ServerMix is what is assumed without a recording: a server opens sockets, starts threads and processes now and then,
// and hardly anything asks for its personality.
func ServerMix() Weights { return maps.Clone(serverMix) }

var serverMix = Weights{
	"socket": 73, "socketcall": 73, "ioctl": 40, "prctl": 20, "fcntl": 40, "fcntl64": 40, "mmap": 60, "mmap2": 60, "mprotect": 60,
	"madvise": 40, "futex": 100, "clone": 25, "clone3": 25, "openat": 100, "ipc": 5, "personality": 2, "unshare": 1, "setns": 1,
}

func (o Options) weights() Weights {
	if o.Weights == nil {
		return serverMix
	}
	return o.Weights
}

// of is the weight of a call on the architecture with a token; 0 is none in particular.
func (w Weights) of(token, nr uint32) float64 {
	if a, ok := abi.Of(token, nr); ok {
		if name, ok := a.Name(nr); ok {
			if weight, ok := w[name]; ok {
				return weight
			}
		}
	}
	return 1
}

// weigh says how much the path to each span of call numbers matters.
func (p *pool) weigh(spans []span) {
	p.space.Charge(lookup * len(spans))
	for i := range spans {
		s := &spans[i]
		calls := float64(min(s.hi-s.lo, 1000) + 1)
		c := p.codes[s.then]
		switch {
		case c.op != ret && s.lo == s.hi:
			s.weight = p.weights.of(p.arch, s.lo)
		case c.op != ret:
			s.weight = calls
		case bpf.Action(c.k) == bpf.Allow:
			s.weight = 1e-4 * calls // the cache answers
		default:
			s.weight = 5e-4 * min(calls, 20) // seldom: a program that is denied much was given the wrong gate
		}
	}
}

// weighValues does the same for the values of an argument: small ones are common, and so is what is allowed. A value x
// weighs about 1/x²; all together are light beside a call.
func (p *pool) weighValues(spans []span) {
	for i := range spans {
		s := &spans[i]
		s.weight = 1e-2 * (1/(float64(s.lo)+1) - 1/(float64(s.hi)+2))
		if c := p.codes[s.then]; c.op == ret && bpf.Action(c.k) != bpf.Allow {
			s.weight *= 0.1
		}
	}
}

// isArgument says whether w is a word of an argument or of the instruction pointer.
func isArgument(w verdict.Word) bool { return w > verdict.Nr }
