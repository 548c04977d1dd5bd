// Command server is a web server that goes behind the gate in the file that it is given, and asks itself for a page.
package main

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"runtime"
	"time"

	"monban"
)

func main() {
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(gate string) error {
	p, err := monban.Load(gate, monban.Options{})
	if err != nil {
		return err
	}
	if err := monban.Enforce(p); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	go http.Serve(l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		runtime.GC()
		time.Sleep(time.Millisecond)
		fmt.Fprintln(w, "hello")
	}))
	client := http.Client{Timeout: 10 * time.Second}
	for range 20 {
		answer, err := client.Get("http://" + l.Addr().String())
		if err != nil {
			return err
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		if err != nil || string(body) != "hello\n" {
			return fmt.Errorf("%q, %v", body, err)
		}
	}
	fmt.Println("done")
	return nil
}
