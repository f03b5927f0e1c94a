package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"flag"
	"fmt"
	"io"
	"net/http"
	"time"
)

// workTime is how much CPU time a request to /work takes.
const workTime = 200 * time.Microsecond

// runBench serves what overhead is measured with:
//
//	GET /hello   says hello
//	GET /work    works for 200 us of CPU time; how much work that is, is measured once, at the start
//	GET /calls   asks -upstream twice at the same time
func runBench(args []string) error {
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	listen := set.String("listen", ":8080", "address to listen on")
	upstream := set.String("upstream", "", "host:port of the service that /calls asks")
	if err := set.Parse(args); err != nil {
		return err
	}
	return serve(serviceFlags{listen: *listen}, benchRoutes(calibrate(workTime), newUpstream(*upstream)))
}

func benchRoutes(rounds int, calls *upstream) http.Handler {
	routes := http.NewServeMux()
	routes.HandleFunc("GET /hello", hello)
	routes.HandleFunc("GET /work", func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, hex.EncodeToString(work(rounds)))
	})
	routes.HandleFunc("GET /calls", func(w http.ResponseWriter, r *http.Request) {
		if err := callTwice(r.Context(), calls); err != nil {
			upstreamError(w, err)
			return
		}
		hello(w, r)
	})
	return routes
}

func hello(w http.ResponseWriter, _ *http.Request) {
	io.WriteString(w, "hello\n")
}

func callTwice(ctx context.Context, calls *upstream) error {
	other := make(chan error, 1)
	go func() { other <- calls.text(ctx, "/hello") }()
	if err := calls.text(ctx, "/hello"); err != nil {
		return err
	}
	return <-other
}

// text asks for path and takes any answer.
func (u *upstream) text(ctx context.Context, path string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.base+path, nil)
	if err != nil {
		return err
	}
	response, err := u.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: status %d", path, response.StatusCode)
	}
	return nil
}

// work hashes a hash so many times.
func work(rounds int) []byte {
	sum := sha256.Sum256(nil)
	for range rounds {
		sum = sha256.Sum256(sum[:])
	}
	return sum[:]
}

// calibrate finds how many rounds take so long where nothing disturbs: the shortest of many attempts.
func calibrate(wanted time.Duration) int {
	const rounds = 1000
	shortest := time.Hour
	for range 200 {
		begin := time.Now()
		work(rounds)
		shortest = min(shortest, time.Since(begin))
	}
	return int(wanted * rounds / shortest)
}
