// Package learn makes gates of what programs were seen to do and can do: of recordings, of scans, of both in tiers, and
// by adding to an earlier gate what a later run needed.
package learn
