package live_test

import (
	"context"
	"fmt"
	"log"
	"os"

	"monban/expect"
	"monban/expect/live"
	"monban/gate"
	"monban/policy/lang"
)

// What was proven is tried: a child of this program makes the calls. The program's first act is to be that child, where
// it is meant to.
func Example() {
	if os.Getenv(live.Env) != "" {
		if err := live.Child(); err != nil {
			log.Fatal(err)
		}
		return
	}
	p, err := lang.Load("web.gate", []byte("include @libc\nerrno(EACCES) mount\n"), lang.Options{})
	if err != nil {
		log.Fatal(err)
	}
	g := gate.OfPolicy("web.gate", p)
	f, err := expect.Parse("web.expect", []byte("deny mount\n"))
	if err != nil {
		log.Fatal(err)
	}
	results, err := f.Prove(g)
	if err != nil {
		log.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		log.Fatal(err)
	}
	filters, err := g.Filters()
	if err != nil {
		log.Fatal(err)
	}
	for i := range results {
		r := &results[i]
		if !live.Safe(r) {
			continue
		}
		if err := live.Try(context.Background(), r, filters, self); err != nil {
			log.Fatal(err)
		}
		fmt.Println(r.Call, r.Live.Text, r.Live.Agrees)
	}
}
