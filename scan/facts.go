package scan

import (
	"debug/elf"
	"path/filepath"
	"slices"
	"strings"
)

// A fact is what no code shows: functions that a library, by itself, only calls or points to after it was asked for something, by way
// of memory that is not followed. What has a name in the library's symbol table is called by others, too, and is never held back.
type fact struct {
	library string   // its soname
	callees []string // what is called: names, or beginnings of names with a star
	needs   []string // the functions that ask for it, one of which must be reached
}

var facts = []fact{
	{
		// A mutex changes its owner's priority if it was made so (PTHREAD_PRIO_PROTECT); posix_spawn sets the child's if it is told to.
		library: "libc.so.6",
		callees: []string{"sched_getparam", "sched_setparam", "sched_getscheduler", "__sched_getscheduler", "sched_setscheduler",
			"sched_get_priority_max", "__sched_get_priority_max", "sched_get_priority_min"},
		needs: []string{"pthread_mutexattr_setprotocol", "pthread_mutexattr_setprioceiling", "pthread_mutexattr_getprioceiling",
			"pthread_mutex_setprioceiling", "posix_spawnattr_setflags"},
	},
	{
		// The name service's DNS module, part of libc since 2.34, knows hosts and networks, no users, groups or services.
		library: "libc.so.6",
		callees: []string{"_nss_dns_*"},
		needs: []string{"getaddrinfo", "gethostbyaddr", "gethostbyaddr_r", "gethostbyname", "gethostbyname_r", "gethostbyname2",
			"gethostbyname2_r", "gethostent", "gethostent_r", "getnetbyaddr", "getnetbyaddr_r", "getnetbyname", "getnetbyname_r", "getnetent",
			"getnetent_r", "__nss_hosts_lookup", "__nss_hosts_lookup2"},
	},
}

// loadersOwn are calls that glibc's loader makes only where it is started as a command itself, and where LD_PROFILE asks it to profile.
var loadersOwn = []string{"execve", "setitimer"}

// loaderCalls are functions that glibc's loader looks up by name in libc.so.6 and calls.
var loaderCalls = []string{"__libc_early_init", "calloc", "free", "malloc", "realloc"}

// loaderRoots are where they begin.
func (m *image) loaderRoots() (out []uint64) {
	if !m.isLibrary("libc.so.6") {
		return nil
	}
	for _, name := range loaderCalls {
		for _, e := range m.exports[name] {
			out = append(out, e.addr)
		}
	}
	return out
}

// holds are the facts as they stand in the images of one program.
type holds struct {
	what map[place]int  // callees, by fact
	open map[place]bool // what others may call
	asks map[place]int  // what is needed for it
	held [][]func()     // edges that wait; nil once the fact's need is met
	met  []bool
	due  []func() // edges that need not wait any longer
}

func newHolds(all []*image) *holds {
	h := &holds{what: map[place]int{}, open: map[place]bool{}, asks: map[place]int{}, held: make([][]func(), len(facts)), met: make([]bool, len(facts))}
	for _, m := range all {
		for k, f := range facts {
			if !m.isLibrary(f.library) {
				continue
			}
			for name, exports := range m.exports {
				isCallee := slices.ContainsFunc(f.callees, func(c string) bool {
					begin, open := strings.CutSuffix(c, "*")
					return c == name || open && strings.HasPrefix(name, begin)
				})
				for _, e := range exports {
					h.open[place{m, e.addr}] = true
					if isCallee {
						h.what[place{m, e.addr}] = k
					}
					if slices.Contains(f.needs, name) {
						h.asks[place{m, e.addr}] = k
					}
				}
			}
		}
	}
	return h
}

func (m *image) isLibrary(soname string) bool {
	names, _ := m.file.DynString(elf.DT_SONAME)
	return slices.Contains(names, soname)
}

// hold keeps an edge back if a fact says that it leads nowhere so far.
func (h *holds) hold(from *part, to place, edge func()) bool {
	k, ok := h.what[to]
	if !ok || h.met[k] || from == nil || from.image != to.image || h.open[place{from.image, from.start}] {
		return false
	}
	h.held[k] = append(h.held[k], edge)
	return true
}

// free notes a function that may meet a need.
func (h *holds) free(p *part) {
	if k, ok := h.asks[place{p.image, p.start}]; ok && !h.met[k] {
		h.met[k] = true
		h.due = append(h.due, h.held[k]...)
		h.held[k] = nil
	}
}

// release takes the edges that need not wait any longer.
func (h *holds) release() {
	for len(h.due) > 0 {
		edge := h.due[0]
		h.due = h.due[1:]
		edge()
	}
}

// isLoader says that a file is glibc's dynamic loader.
func (m *image) isLoader() bool { return strings.HasPrefix(filepath.Base(m.name), "ld-linux-") }

// loaderOnly says that a call in the loader is one of its own.
func (l *loader) loaderOnly(nr uint32) bool {
	name, _ := l.interp.arch().Name(nr)
	return slices.Contains(loadersOwn, name)
}
