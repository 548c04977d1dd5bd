// Package rows says a verdict in the words that most formats have: for each call a few rows, each an action and at most
// one test an argument, unsigned comparisons of whole registers. It is for writers of formats.
//
//	entries, err := rows.Entries(v, []abi.Arch{abi.X86_64, abi.X86}, bpf.Errno|1)
//	for _, e := range entries {
//		fmt.Println(e.Name, e.Archs, e.Rows) // socket [x86_64 x86] [allow(arg0 != 40)]
//	}
//
// Rows of one action are alternatives; rows of different actions never overlap, so that the order in which a format
// tries them does not matter. Together they say exactly what the verdict says.
package rows
