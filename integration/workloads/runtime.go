package main

import (
	"encoding/json"
	"flag"
	"math"
	"os"
	"runtime"
	"runtime/metrics"
	"sync"
	"time"
)

// What a runtime says of itself, as runtime/metrics tells it.
type runtimeReport struct {
	Goroutines uint64         `json:"goroutines"`
	Processors uint64         `json:"processors"`
	GCCycles   uint64         `json:"gc_cycles"`
	HeapGoal   uint64         `json:"heap_goal"`
	HeapMarked uint64         `json:"heap_marked"`
	GCPauses   durationCounts `json:"gc_pauses"`
	Schedule   durationCounts `json:"schedule"`
}

// How many durations were at most 256 ns, 1024 ns, and so on in powers of four, and how many there were.
type durationCounts struct {
	UpTo  []uint64 `json:"up_to"`
	Count uint64   `json:"count"`
}

const (
	goroutinesMetric = "/sched/goroutines:goroutines"
	processorsMetric = "/sched/gomaxprocs:threads"
	gcCyclesMetric   = "/gc/cycles/total:gc-cycles"
	heapGoalMetric   = "/gc/heap/goal:bytes"
	heapMarkedMetric = "/gc/heap/live:bytes"
	gcPausesMetric   = "/gc/pauses:seconds"
	scheduleMetric   = "/sched/latencies:seconds"
)

// runRuntime gives the runtime something to count, then rests and prints what it counts as one JSON document a line.
func runRuntime(args []string) error {
	set := flag.NewFlagSet("runtime", flag.ContinueOnError)
	parked := set.Int("parked", 40, "goroutines that wait until the end")
	ended := set.Int("ended", 400, "goroutines that have ended: the runtime keeps them to use them again")
	collections := set.Int("collections", 7, "garbage collections")
	every := set.Duration("every", 200*time.Millisecond, "between two lines")
	if err := set.Parse(args); err != nil {
		return err
	}
	for range *parked {
		go func() { select {} }()
	}
	var group sync.WaitGroup
	for range *ended {
		group.Go(func() { time.Sleep(time.Millisecond) })
	}
	group.Wait()
	for range *collections {
		runtime.GC()
	}
	for {
		if err := json.NewEncoder(os.Stderr).Encode(reportRuntime()); err != nil {
			return err
		}
		time.Sleep(*every)
	}
}

func reportRuntime() runtimeReport {
	names := []string{goroutinesMetric, processorsMetric, gcCyclesMetric, heapGoalMetric, heapMarkedMetric, gcPausesMetric, scheduleMetric}
	samples := make([]metrics.Sample, len(names))
	for index, name := range names {
		samples[index].Name = name
	}
	metrics.Read(samples)
	number := func(index int) uint64 { return samples[index].Value.Uint64() }
	return runtimeReport{
		Goroutines: number(0), Processors: number(1), GCCycles: number(2), HeapGoal: number(3), HeapMarked: number(4),
		GCPauses: countDurations(samples[5].Value.Float64Histogram()),
		Schedule: countDurations(samples[6].Value.Float64Histogram()),
	}
}

func countDurations(histogram *metrics.Float64Histogram) durationCounts {
	counted := durationCounts{UpTo: make([]uint64, 14)}
	for index, count := range histogram.Counts {
		counted.Count += count
		for power := range counted.UpTo {
			if histogram.Buckets[index+1] <= 256*math.Pow(4, float64(power))/1e9 {
				counted.UpTo[power] += count
			}
		}
	}
	return counted
}
