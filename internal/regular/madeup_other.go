//go:build !linux

package regular

import "os"

const noWait = 0

func madeUp(string) bool { return false }

func isMadeUp(*os.File) bool { return false }
