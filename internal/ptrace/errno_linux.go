//go:build linux && (amd64 || arm64)

package ptrace

import "syscall"

// maxErrno is MAX_ERRNO: results above -maxErrno are errors.
const maxErrno = 4095

// errnoOf splits a result register into result and error.
func errnoOf(result uint64) (uint64, error) {
	if n := int64(result); n < 0 && n >= -maxErrno {
		return 0, syscall.Errno(-n)
	}
	return result, nil
}
