// Command mesh is everything that runs inside the lab's pods: three small services that call each other over
// HTTP/1.1, a load generator that keeps its own exact count, and peers that behave badly on purpose.
package main

import (
	"flag"
	"fmt"
	"os"
)

// A command parses its own arguments and runs until it is done.
type command struct {
	name, does string
	run        func(args []string) error
}

func commands() []command {
	return []command{
		{"gateway", "GET /checkout/{id}: asks orders (-upstream)", runGateway},
		{"orders", "GET /orders/{id}: asks inventory (-upstream)", runOrders},
		{"inventory", "GET /stock/{id}: answers by itself", runInventory},
		{"bench", "GET /hello, /work and /calls: what overhead is measured with", runBench},
		{"phases", "spends its requests' time where it is told to, and logs how much that was", runPhases},
		{"phaseload", "asks for them, and logs when it wrote and read", runPhaseLoad},
		{"loadgen", "sends requests at a rate or as fast as possible, and counts", runLoadgen},
		{"h2get", "sends requests over HTTP/2 without TLS, and counts by status", runH2Get},
		{"tlsserver", "the test routes over TLS", runTLSServer},
		{"grpcserver", "a gRPC service with calls of every kind", runGRPCServer},
		{"grpcload", "makes gRPC calls of one kind, and counts by status", runGRPCLoad},
		{"hostile", "misbehaves towards a server in chosen ways", runHostile},
		{"odd", "does what TCP allows and few clients do", runOdd},
		{"storm", "costs whoever reads it as much as possible", runStorm},
		{"bodies", "GET /bytes/{n} and POST /discard over HTTP/1.1 and HTTP/2", runBodies},
		{"transfer", "sends or asks for one large body after the other, and counts", runTransfer},
		{"runtime", "prints what Go's runtime counts", runRuntime},
		{"sink", "accepts connections and never reads from them", runSink},
	}
}

func main() {
	if len(os.Args) < 2 {
		usage()
		os.Exit(2)
	}
	for _, command := range commands() {
		if command.name == os.Args[1] {
			exit(command.run(os.Args[2:]))
		}
	}
	usage()
	os.Exit(2)
}

func usage() {
	fmt.Fprintln(os.Stderr, "usage: mesh COMMAND [flags]   (mesh COMMAND -h lists the flags)")
	for _, command := range commands() {
		fmt.Fprintf(os.Stderr, "  %-10s %s\n", command.name, command.does)
	}
}

func exit(err error) {
	switch {
	case err == nil:
		os.Exit(0)
	case err == flag.ErrHelp:
		os.Exit(2)
	}
	fmt.Fprintf(os.Stderr, "mesh %s: %v\n", os.Args[1], err)
	os.Exit(1)
}
