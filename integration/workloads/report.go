package main

import (
	"math"
	"slices"
	"time"
)

// A report is what the load generator prints.
type report struct {
	URL         string           `json:"url"`
	Method      string           `json:"method"`
	Rate        int              `json:"rate"`
	Connections int              `json:"connections"`
	Planned     int64            `json:"planned,omitempty"` // rate * duration
	Sent        int64            `json:"sent"`              // requests whose last byte the kernel took
	OK          int64            `json:"ok"`                // answered 2xx, to the last byte
	OtherStatus int64            `json:"other_status"`      // answered otherwise
	Failed      int64            `json:"failed"`            // sent, but not answered completely
	NotSent     int64            `json:"not_sent"`          // no connection, or the write failed
	Sustained   bool             `json:"sustained"`         // at a rate: every planned request was sent, none over a second late
	LateMaxMS   float64          `json:"late_max_ms"`       // the largest delay between a request's turn and its write
	ElapsedS    float64          `json:"elapsed_s"`
	PerSecond   float64          `json:"ok_per_second"`
	BodyBytes   int64            `json:"body_bytes"`
	Reconnects  int64            `json:"reconnects"`
	NotStored   int64            `json:"latencies_not_stored"`
	LatencyMS   *latency         `json:"latency_ms,omitempty"` // absent without a 2xx answer
	Errors      map[string]int64 `json:"errors"`
}

// A latency summarises, in milliseconds, what was measured from a request's write to its answer's last byte; at a rate, from
// its turn where that came while the connection waited for the answer before.
// Quantiles are values that were measured (nearest rank), not estimates.
type latency struct {
	Min  float64 `json:"min"`
	Mean float64 `json:"mean"`
	P50  float64 `json:"p50"`
	P90  float64 `json:"p90"`
	P99  float64 `json:"p99"`
	P999 float64 `json:"p999"`
	Max  float64 `json:"max"`
}

func (l *load) report(elapsed time.Duration) report {
	total := counts{}
	latencies := []int64{}
	errors := map[string]int64{}
	for _, worker := range l.workers {
		total.add(worker.counts)
		latencies = append(latencies, worker.latencies...)
		for kind, count := range worker.errors {
			errors[kind] += count
		}
	}
	return report{
		URL: l.flags.url, Method: l.flags.method, Rate: l.flags.rate, Connections: l.flags.connections,
		Planned: l.planned, Sent: total.sent, OK: total.ok, OtherStatus: total.otherStatus,
		Failed: total.failed, NotSent: total.notSent, NotStored: total.notStored,
		Sustained: l.flags.rate > 0 && total.sent == l.planned && total.lateMax < time.Second,
		LateMaxMS: milliseconds(total.lateMax.Nanoseconds()), ElapsedS: elapsed.Seconds(),
		PerSecond: float64(total.ok) / elapsed.Seconds(), BodyBytes: total.bodyBytes,
		Reconnects: total.reconnects, LatencyMS: summarise(latencies), Errors: errors,
	}
}

func (c *counts) add(other counts) {
	c.sent += other.sent
	c.ok += other.ok
	c.otherStatus += other.otherStatus
	c.failed += other.failed
	c.notSent += other.notSent
	c.notStored += other.notStored
	c.bodyBytes += other.bodyBytes
	c.reconnects += other.reconnects
	c.lateMax = max(c.lateMax, other.lateMax)
}

func summarise(latencies []int64) *latency {
	if len(latencies) == 0 {
		return nil
	}
	slices.Sort(latencies)
	sum := int64(0)
	for _, value := range latencies {
		sum += value
	}
	return &latency{
		Min: milliseconds(latencies[0]), Mean: milliseconds(sum / int64(len(latencies))),
		P50: quantile(latencies, 0.5), P90: quantile(latencies, 0.9), P99: quantile(latencies, 0.99),
		P999: quantile(latencies, 0.999), Max: milliseconds(latencies[len(latencies)-1]),
	}
}

// quantile is the nearest-rank quantile of sorted values, in milliseconds.
func quantile(sorted []int64, q float64) float64 {
	rank := int(math.Ceil(q * float64(len(sorted))))
	return milliseconds(sorted[max(rank, 1)-1])
}

func milliseconds(ns int64) float64 {
	return float64(ns) / 1e6
}
