// What weft's reader of Go binaries is tried on: every function that it looks for is linked in, and what the runtime counts is
// printed, to be compared with what stands in the process's memory.
package main

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"runtime"
	"runtime/metrics"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

func main() {
	if len(os.Args) > 1 {
		serve(os.Args[1])
	}
	for range make([]int, 3) {
		runtime.GC()
	}
	json.NewEncoder(os.Stdout).Encode(counted())
	io.Copy(io.Discard, os.Stdin)
}

// serve never runs in the tests: the linker does not know.
func serve(address string) {
	server := grpc.NewServer()
	grpc.Dial(address, grpc.WithTransportCredentials(insecure.NewCredentials()))
	go server.Serve(nil)
	(&http2.Transport{}).RoundTrip(nil)
	http.Get("http://" + address)
	http.ListenAndServe(address, h2c.NewHandler(server, &http2.Server{}))
}

func counted() map[string]uint64 {
	names := map[string]string{
		"gc_cycles":  "/gc/cycles/total:gc-cycles",
		"heap_goal":  "/gc/heap/goal:bytes",
		"gomaxprocs": "/sched/gomaxprocs:threads",
	}
	counted := map[string]uint64{}
	for key, name := range names {
		samples := []metrics.Sample{{Name: name}}
		metrics.Read(samples)
		counted[key] = samples[0].Value.Uint64()
	}
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	counted["goroutines"] = uint64(runtime.NumGoroutine())
	counted["gc_pause_total"] = stats.PauseTotalNs
	return counted
}
