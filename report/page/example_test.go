package page_test

import (
	"fmt"
	"strings"

	"monban/abi"
	"monban/gate"
	"monban/inspect"
	"monban/policy/lang"
	"monban/report/page"
)

// The page is one file without scripts or pictures from elsewhere: it can be mailed, and opened without a network.
func ExampleWrite() {
	p, err := lang.Load("web.gate", []byte("arch x86_64\ndefault errno(EPERM)\nallow read write exit_group\n"), lang.Options{Native: abi.X86_64})
	if err != nil {
		fmt.Println(err)
		return
	}
	e, err := inspect.Explain(gate.OfPolicy("web.gate", p))
	if err != nil {
		fmt.Println(err)
		return
	}
	var html strings.Builder
	if err := page.Write(&html, e); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(strings.HasPrefix(html.String(), "<!doctype html>"), strings.Contains(html.String(), "web.gate"), strings.Contains(html.String(), " src="))
	// Output: true true false
}
