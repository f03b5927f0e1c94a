// Command topology is a mesh of small services in which one request causes others in every way that Go programs know:
// each way is a workload, in a file of its own, and a route of one of the services. The services log by themselves which
// request caused which; a tracer that watches them is held against that log.
//
// It builds with every Go since 1.21, so it does without what came later.
package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
)

func main() {
	if len(os.Args) < 2 {
		usage()
	}
	commands := map[string]func([]string) error{"serve": runService, "drive": runDriver, "list": runList}
	run, known := commands[os.Args[1]]
	if !known {
		usage()
	}
	err := run(os.Args[2:])
	switch {
	case err == nil:
	case errors.Is(err, flag.ErrHelp):
		os.Exit(2)
	default:
		fmt.Fprintf(os.Stderr, "topology %s: %v\n", os.Args[1], err)
		os.Exit(1)
	}
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: topology COMMAND [flags]   (topology COMMAND -h lists the flags)")
	fmt.Fprintln(os.Stderr, "  serve  one of the services")
	fmt.Fprintln(os.Stderr, "  drive  sends the requests of one workload")
	fmt.Fprintln(os.Stderr, "  list   the services and workloads, as JSON")
	os.Exit(2)
}

// runList tells whoever builds the mesh what there is.
func runList([]string) error {
	type row struct {
		Name       string `json:"name"`
		Service    string `json:"service"`
		Inbound    string `json:"inbound"`
		Untellable bool   `json:"untellable"`
	}
	rows := []row{}
	for _, w := range workloads() {
		rows = append(rows, row{w.name, w.service, w.inbound, w.untellable})
	}
	list := map[string]any{"services": serviceNames(), "workloads": rows, "numbers": maxNumber}
	return json.NewEncoder(os.Stdout).Encode(list)
}
