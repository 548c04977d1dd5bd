package compile

// Total is what several filters on one task cost together: a call that the cache doesn't answer runs all of them. Each must have
// been measured with the meaning of all.
func Total(each []Stats) Stats {
	t := each[0]
	for _, s := range each[1:] {
		t.Length += s.Length
		t.Longest += s.Longest
		t.Mean += s.Mean
		t.MeanCached += s.MeanCached
		t.MeanUncached += s.MeanUncached
		t.PlainUncached += s.PlainUncached
		t.Cacheable = min(t.Cacheable, s.Cacheable)
	}
	return t
}
