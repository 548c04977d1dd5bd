package graph

import (
	"slices"
	"strings"

	"monban/scan/internal/code"
)

// A fact is what no code shows: functions that a library, by itself, only calls or points to after it was asked for
// something, by way of memory that is not followed. What has a name in the library's symbol table is called by others,
// too, and is never held back.
type fact struct {
	library string   // its soname
	callees []string // what is called: names, or beginnings of names with a star
	needs   []string // the functions that ask for it, one of which must be reached
}

var known = []fact{
	{
		// A mutex changes its owner's priority if it was made so (PTHREAD_PRIO_PROTECT); posix_spawn sets the child's
		// if it is told to.
		library: "libc.so.6",
		callees: []string{"sched_getparam", "sched_setparam", "sched_getscheduler", "__sched_getscheduler", "sched_setscheduler",
			"sched_get_priority_max", "__sched_get_priority_max", "sched_get_priority_min"},
		needs: []string{"pthread_mutexattr_setprotocol", "pthread_mutexattr_setprioceiling", "pthread_mutexattr_getprioceiling",
			"pthread_mutex_setprioceiling", "posix_spawnattr_setflags"},
	},
	{
		// The name service's DNS module, part of libc since 2.34, knows hosts and networks, no users, groups or
		// services.
		library: "libc.so.6",
		callees: []string{"_nss_dns_*"},
		needs: []string{"getaddrinfo", "gethostbyaddr", "gethostbyaddr_r", "gethostbyname", "gethostbyname_r", "gethostbyname2",
			"gethostbyname2_r", "gethostent", "gethostent_r", "getnetbyaddr", "getnetbyaddr_r", "getnetbyname", "getnetbyname_r", "getnetent",
			"getnetent_r", "__nss_hosts_lookup", "__nss_hosts_lookup2"},
	},
}

// loadersOwn are calls that glibc's loader makes only where it is started as a command itself, and where LD_PROFILE
// asks it to profile.
var loadersOwn = []string{"execve", "setitimer"}

// loaderCalls are functions that glibc's loader looks up by name in libc.so.6 and calls.
var loaderCalls = []string{"__libc_early_init", "calloc", "free", "malloc", "realloc"}

// loaderRoots are where they begin.
func loaderRoots(m *code.Code) (out []uint64) {
	if !m.IsLibrary("libc.so.6") {
		return nil
	}
	for _, name := range loaderCalls {
		for _, e := range m.Exports[name] {
			out = append(out, e.Addr)
		}
	}
	return out
}

// LoadersOwn says that a call in glibc's loader is one that it does not make for a program.
func (g *Graph) LoadersOwn(p *code.Part, nr uint32) bool {
	if p.Code != g.interp {
		return false
	}
	name, _ := p.Code.Machine.Arch.Name(nr)
	return slices.Contains(loadersOwn, name)
}

// facts are those that are known, as they stand in the images of one program.
type facts struct {
	what map[code.Place]int  // callees, by fact
	open map[code.Place]bool // what others may call
	asks map[code.Place]int  // what is needed for it
	held [][]func()          // edges that wait; nil once the fact's need is met
	met  []bool
	due  []func() // edges that need not wait any longer
}

func newFacts(all []*code.Code) *facts {
	h := &facts{what: map[code.Place]int{}, open: map[code.Place]bool{}, asks: map[code.Place]int{}, held: make([][]func(), len(known)),
		met: make([]bool, len(known))}
	for _, m := range all {
		for k, f := range known {
			if m.IsLibrary(f.library) {
				h.note(m, k, f)
			}
		}
	}
	return h
}

// note finds the functions of a fact in a library.
func (h *facts) note(m *code.Code, k int, f fact) {
	for name, exports := range m.Exports {
		isCallee := slices.ContainsFunc(f.callees, func(c string) bool {
			begin, open := strings.CutSuffix(c, "*")
			return c == name || open && strings.HasPrefix(name, begin)
		})
		for _, e := range exports {
			at := code.Place{Code: m, Addr: e.Addr}
			h.open[at] = true
			if isCallee {
				h.what[at] = k
			}
			if slices.Contains(f.needs, name) {
				h.asks[at] = k
			}
		}
	}
}

// hold keeps an edge back if a fact says that it leads nowhere so far.
func (h *facts) hold(from *code.Part, to code.Place, edge func()) bool {
	k, ok := h.what[to]
	if !ok || h.met[k] || from == nil || from.Code != to.Code || h.open[from.Place()] {
		return false
	}
	h.held[k] = append(h.held[k], edge)
	return true
}

// free notes a function that may meet a need.
func (h *facts) free(p *code.Part) {
	if k, ok := h.asks[p.Place()]; ok && !h.met[k] {
		h.met[k] = true
		h.due = append(h.due, h.held[k]...)
		h.held[k] = nil
	}
}

// release takes the edges that need not wait any longer.
func (h *facts) release() {
	for len(h.due) > 0 {
		edge := h.due[0]
		h.due = h.due[1:]
		edge()
	}
}
