// Package report has the words: what packages inspect, lint, expect and compile find out about gates, as text for
// people and as JSON, SARIF, JUnit's XML and TAP for machines. It decides nothing, and its only output is the io.Writer
// that it is given, so that it works in a browser as it does in a terminal.
//
// Functions are called by what they report and in which form: [DifferenceText], [DifferenceJSON]. Text is plain and 100
// columns wide unless [Options] say otherwise. The JSON is an object whose key "schema" says what it is and in which
// version, such as "monban/diff/2". Names that somebody else chose are written so that neither a terminal nor a CI
// system obeys them, in every form.
package report
