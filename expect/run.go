package expect

import "monban/gate"

// A Run is a test file held against the gate that it speaks of.
type Run struct {
	File    string
	Gate    *gate.Gate
	Results []Result
	Live    bool // the kernel was asked, too
}

// Run proves the file's lines of a gate. Errors are those of [File.Prove].
func (f *File) Run(g *gate.Gate) (*Run, error) {
	results, err := f.Prove(g)
	if err != nil {
		return nil, err
	}
	return &Run{File: f.Name, Gate: g, Results: results}, nil
}

// OK says that a result holds, and that the kernel agreed where it was asked.
func (r *Result) OK() bool { return r.Holds && (r.Live == nil || r.Live.Agrees) }

// Failed is how many results do not hold.
func (r *Run) Failed() (n int) {
	for i := range r.Results {
		if !r.Results[i].OK() {
			n++
		}
	}
	return n
}

// Tried is how many results the kernel was asked about.
func (r *Run) Tried() (n int) {
	for i := range r.Results {
		if r.Results[i].Live != nil {
			n++
		}
	}
	return n
}
