package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"sync"
	"sync/atomic"
)

// A drive is a closed loop: workers, each with one request at a time (pipelined: a few), until all are made.
type drive struct {
	workload    workload
	target      string
	first       int64
	requests    int64
	concurrency int
	truth       *truth
	next        atomic.Int64
	failed      atomic.Int64
	failure     sync.Once
}

// A driveReport is what the driver prints at the end.
type driveReport struct {
	Sent   int64 `json:"sent"`
	Failed int64 `json:"failed"`
}

func runDriver(args []string) error {
	d := &drive{}
	set := flag.NewFlagSet("drive", flag.ContinueOnError)
	name := set.String("workload", "", "which of the workloads")
	logFile := set.String("log", "", "where the log of what caused what goes")
	set.StringVar(&d.target, "target", "", "HOST:PORT of the workload's service")
	set.Int64Var(&d.first, "first", 0, "number of the first request; no number is used twice in a service's life")
	set.Int64Var(&d.requests, "requests", 100, "how many requests")
	set.IntVar(&d.concurrency, "concurrency", 1, "how many at a time")
	if err := set.Parse(args); err != nil {
		return err
	}
	var err error
	if d.workload, err = findWorkload(*name); err != nil {
		return err
	}
	if d.truth, err = newTruth(*logFile); err != nil {
		return err
	}
	if err := d.run(context.Background()); err != nil {
		return err
	}
	d.truth.flush()
	return json.NewEncoder(os.Stdout).Encode(driveReport{Sent: d.requests, Failed: d.failed.Load()})
}

func findWorkload(name string) (workload, error) {
	for _, w := range workloads() {
		if w.name == name {
			return w, nil
		}
	}
	return workload{}, errors.New("no workload is called " + name)
}

// run makes the first request alone, so that those behind it find a connection where they are to share one.
func (d *drive) run(ctx context.Context) error {
	send, err := d.sender()
	if err != nil {
		return err
	}
	batch := 1
	if d.workload.inbound == inboundPipelined {
		batch = pipelineDepth
	}
	d.step(ctx, send, batch)
	var workers sync.WaitGroup
	for i := 0; i < d.concurrency; i += batch {
		workers.Add(1)
		go func() {
			defer workers.Done()
			for d.step(ctx, send, batch) {
			}
		}()
	}
	workers.Wait()
	return nil
}

// step makes the next requests, or none when all are made.
func (d *drive) step(ctx context.Context, send sender, batch int) bool {
	ids := []string{}
	for i := 0; i < batch; i++ {
		if number := d.next.Add(1) - 1; number < d.requests {
			ids = append(ids, fmt.Sprintf("/%s/%d", d.workload.name, d.first+number))
		}
	}
	for _, id := range ids {
		d.truth.caused("-", id)
	}
	if err := send(ctx, ids); err != nil {
		d.failed.Add(int64(len(ids)))
		d.failure.Do(func() { fmt.Fprintln(os.Stderr, ids, err) })
	}
	return len(ids) == batch
}
