package oci

import (
	"slices"

	"monban/abi"
)

const maxSource = 16 << 20 // bytes; Docker's default profile has 18 thousand

// did is " (did you mean X?)" for the nearest of the names, or else the given hint.
func did(word string, among []string, otherwise string) string {
	if near := abi.Suggest(word, slices.Values(among)); near != "" {
		return " (did you mean " + near + "?)"
	}
	return otherwise
}
