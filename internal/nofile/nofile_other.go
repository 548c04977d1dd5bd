//go:build !linux || (!amd64 && !arm64)

package nofile

// ForChild knows nothing on this system: a child keeps this process's limit.
func ForChild() (soft, hard uint64, change bool) { return 0, 0, false }
