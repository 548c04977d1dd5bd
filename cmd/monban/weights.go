package main

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"monban/abi"
	"monban/compile"
	"monban/format"
	"monban/internal/nearest"
)

// goals are the words of --goal.
var goals = map[string]compile.Goal{"size": compile.Size, "latency": compile.Latency}

// compileFlags say what a program is made for.
type compileFlags struct {
	goal, weights string
}

func (f *compileFlags) register(cmd *cobra.Command) {
	cmd.Flags().StringVar(&f.goal, "goal", "size", "what to make small first: size or latency, the paths of calls that the kernel's cache can't answer")
	cmd.Flags().StringVar(&f.weights, "weights", "", "file that says how often calls are made, one call and its count a line, or the table of strace -c")
	words := func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return []string{"size", "latency"}, cobra.ShellCompDirectiveNoFileComp
	}
	if err := cmd.RegisterFlagCompletionFunc("goal", words); err != nil {
		panic(err) // the flag was registered above
	}
}

func (f *compileFlags) options() (compile.Options, error) {
	goal, ok := goals[f.goal]
	if !ok {
		return compile.Options{}, fmt.Errorf("--goal %s: there are size and latency", f.goal)
	}
	o := compile.Options{Goal: goal}
	if f.weights == "" {
		return o, nil
	}
	src, err := format.ReadFile(f.weights, format.Options{Stdin: os.Stdin})
	if err != nil {
		return o, fmt.Errorf("--weights: %w", err)
	}
	o.Weights, err = parseWeights(f.weights, src)
	return o, err
}

// maxCount is how often a call can have been made: sums of such counts are exact enough.
const maxCount = 1e15

// parseWeights reads how often calls were made: "openat 120" a line, # for comments, or the table that strace -c
// prints.
func parseWeights(file string, src []byte) (compile.Weights, error) {
	weights := compile.Weights{}
	lines := bufio.NewScanner(bytes.NewReader(src))
	table := false
	for n := 1; lines.Scan(); n++ {
		line, _, _ := strings.Cut(lines.Text(), "#")
		words := strings.Fields(line)
		switch {
		case len(words) == 0 || strings.HasPrefix(words[0], "--"):
			continue
		case words[0] == "%": // % time, seconds, usecs/call, calls, errors, syscall
			table = true
			continue
		case words[len(words)-1] == "total" && table:
			continue
		case table && len(words) >= 5:
			words = []string{words[len(words)-1], words[3]}
		case strings.HasPrefix(words[0], "strace:"), table:
			continue // what strace says about processes
		case len(words) != 2:
			return nil, fmt.Errorf("%s:%d: a line is a call and how often it was made, such as: openat 120", file, n)
		}
		count, err := strconv.ParseFloat(words[1], 64)
		if err != nil || !(count >= 0 && count <= maxCount) {
			return nil, fmt.Errorf("%s:%d: %q is not a count: a number from 0 to %.0g", file, n, words[1], maxCount)
		}
		if table && strings.HasPrefix(words[0], "syscall_0x") {
			continue // strace's word for a number that it has no name for
		}
		if !slices.Contains(abi.Calls(), words[0]) {
			return nil, fmt.Errorf("%s:%d: unknown call %s%s", file, n, words[0], nearest.Hint(words[0], abi.Calls()))
		}
		weights[words[0]] += count
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	if len(weights) == 0 {
		return nil, fmt.Errorf("%s says of no call how often it was made: write lines such as: openat 120", file)
	}
	return weights, nil
}
