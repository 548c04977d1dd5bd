//go:build linux && (amd64 || arm64)

package nofile

// limit is struct rlimit64.
type limit struct{ soft, hard uint64 }

// read fills in l as getrlimit(2) does for RLIMIT_NOFILE. It can't fail; behind a filter that denies it, l stays as it
// is.
//
//go:noescape
func read(l *limit)

var atStart = func() (l limit) {
	read(&l)
	return l
}()

// ForChild is the soft limit that a child is to have, where that is not this process's own: nobody but package syscall
// has changed it.
func ForChild() (soft, hard uint64, change bool) {
	var now limit
	read(&now)
	raised := atStart.hard > 0 && now == limit{atStart.hard - 1, atStart.hard}
	return atStart.soft, atStart.hard, raised && now.soft != atStart.soft
}
