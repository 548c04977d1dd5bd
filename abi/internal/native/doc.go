// Package native knows for which processor the program is built. It is a constant, so that package abi can count its
// architectures from the native one: an [monban/abi.Arch] that nobody set is then the native one, without anybody's
// asking.
//
// Place is the architecture's place in abi/facts/architectures.csv, from 0 on. Each GOARCH has a file.
package native
