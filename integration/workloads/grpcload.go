package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
)

// What the gRPC load generator is told.
type grpcFlags struct {
	target      string
	kind        string
	calls       int64
	duration    time.Duration
	rate        int
	connections int
	concurrency int
	bytes       int
	messages    int
	reply       int
	status      int
	late        bool
	sleep       time.Duration
	deadline    time.Duration
	cancelAfter time.Duration
	metadata    int
	window      int
	output      string
}

func parseGRPCFlags(args []string) (grpcFlags, error) {
	var f grpcFlags
	set := flag.NewFlagSet("grpcload", flag.ContinueOnError)
	set.StringVar(&f.target, "target", "", "host:port")
	set.StringVar(&f.kind, "kind", "unary", "unary, server, client or bidi")
	set.Int64Var(&f.calls, "calls", 0, "how many calls; 0: as many as fit into -duration")
	set.DurationVar(&f.duration, "duration", 0, "how long; 0: until -calls are made, or SIGTERM")
	set.IntVar(&f.rate, "rate", 0, "calls a second over all workers; 0: each as fast as it is answered")
	set.IntVar(&f.connections, "connections", 1, "connections")
	set.IntVar(&f.concurrency, "concurrency", 1, "calls at a time on each connection")
	set.IntVar(&f.bytes, "bytes", 100, "bytes in each message of the client's")
	set.IntVar(&f.messages, "messages", 1, "messages each way, where the kind has more than one")
	set.IntVar(&f.reply, "reply", 0, "bytes in each message of the server's; 0: as the client's")
	set.IntVar(&f.status, "status", 0, "the code that the server ends with")
	set.BoolVar(&f.late, "late", false, "the server sends headers before it fails")
	set.DurationVar(&f.sleep, "sleep", 0, "how long the server waits")
	set.DurationVar(&f.deadline, "deadline", 0, "grpc-timeout; 0: none")
	set.DurationVar(&f.cancelAfter, "cancel-after", 0, "the client cancels; 0: never")
	set.IntVar(&f.metadata, "metadata", 0, "bytes of metadata each way")
	set.IntVar(&f.window, "window", 0, "the client's flow-control window in bytes, at least 65535; 0: grpc-go's own")
	set.StringVar(&f.output, "json", "-", "where the report goes; -: stdout")
	if err := set.Parse(args); err != nil {
		return f, err
	}
	if _, known := callKinds[f.kind]; !known || f.target == "" || f.connections < 1 || f.concurrency < 1 {
		return f, errors.New("-target and a known -kind are needed, -connections and -concurrency must be above 0")
	}
	return f, nil
}

// A grpcReport is what the generator prints. calls is the sum of by_status.
type grpcReport struct {
	Target    string           `json:"target"`
	Kind      string           `json:"kind"`
	Calls     int64            `json:"calls"`     // that ended, each with a status
	ByStatus  map[string]int64 `json:"by_status"` // the code's number
	Sent      int64            `json:"messages_sent"`
	Received  int64            `json:"messages_received"`
	ElapsedS  float64          `json:"elapsed_s"`
	PerSecond float64          `json:"calls_per_second"`
	LatencyMS *latency         `json:"latency_ms,omitempty"` // of calls that ended with OK; at a rate, from their turn where no worker was free
}

// A grpcLoad is one run: calls are numbered, and each worker takes the next number and waits for its turn.
type grpcLoad struct {
	flags grpcFlags
	next  atomic.Int64
	begin time.Time
	mutex sync.Mutex
	total grpcCounts
}

// grpcCounts are those of a worker, or of all.
type grpcCounts struct {
	byStatus       map[string]int64
	sent, received int64
	latencies      []int64 // ns
}

func runGRPCLoad(args []string) error {
	flags, err := parseGRPCFlags(args)
	if err != nil {
		return err
	}
	stop, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer cancel()
	if flags.duration > 0 {
		stop, cancel = context.WithTimeout(stop, flags.duration)
		defer cancel()
	}
	load := &grpcLoad{flags: flags, total: grpcCounts{byStatus: map[string]int64{}}}
	report, err := load.run(stop)
	if err != nil {
		return err
	}
	return writeReport(flags.output, report)
}

func (l *grpcLoad) run(stop context.Context) (grpcReport, error) {
	connections := []*grpc.ClientConn{}
	for range l.flags.connections {
		connection, err := l.dial()
		if err != nil {
			return grpcReport{}, err
		}
		defer connection.Close()
		connections = append(connections, connection)
	}
	l.begin = time.Now()
	var running sync.WaitGroup
	for _, connection := range connections {
		for range l.flags.concurrency {
			running.Go(func() { l.work(stop, connection) })
		}
	}
	running.Wait()
	return l.report(time.Since(l.begin)), nil
}

func (l *grpcLoad) dial() (*grpc.ClientConn, error) {
	options := []grpc.DialOption{
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(2 * maxGRPCBytes)),
		grpc.WithMaxHeaderListSize(1 << 20),
		grpc.WithDisableRetry(), // a call that is made again is two on the wire
	}
	if l.flags.window > 0 {
		options = append(options, grpc.WithInitialWindowSize(int32(l.flags.window)), grpc.WithInitialConnWindowSize(int32(l.flags.window)))
	}
	connection, err := grpc.NewClient("passthrough:///"+l.flags.target, options...)
	if err != nil {
		return nil, fmt.Errorf("no client for %s: %w", l.flags.target, err)
	}
	return connection, nil
}

func (l *grpcLoad) work(stop context.Context, connection *grpc.ClientConn) {
	counts := grpcCounts{byStatus: map[string]int64{}}
	for {
		number := l.next.Add(1) - 1
		if (l.flags.calls > 0 && number >= l.flags.calls) || stop.Err() != nil {
			break
		}
		asked := time.Now()
		due, more := l.turn(stop, number)
		if !more {
			break
		}
		if due.After(asked) {
			due = time.Now() // the worker was free: the call waits for nobody but the server from here on
		}
		l.call(connection, due, &counts)
	}
	l.mutex.Lock()
	defer l.mutex.Unlock()
	l.total.add(counts)
}

// turn waits until a call is due, and tells when that is; false when there is no turn any more.
func (l *grpcLoad) turn(stop context.Context, number int64) (time.Time, bool) {
	if l.flags.rate == 0 {
		return time.Now(), true
	}
	due := l.begin.Add(time.Duration(number * int64(time.Second) / int64(l.flags.rate)))
	return due, sleepUntil(stop, due)
}

// metadata tells the server what to do.
func (f grpcFlags) outgoing() metadata.MD {
	wishes := metadata.Pairs(
		"x-status", strconv.Itoa(f.status), "x-late", strconv.FormatBool(f.late), "x-messages", strconv.Itoa(f.messages),
		"x-bytes", strconv.Itoa(f.reply), "x-sleep", f.sleep.String(), "x-metadata", strconv.Itoa(f.metadata),
	)
	if f.metadata > 0 {
		wishes.Set("x-filler", string(filler(f.metadata)))
	}
	return wishes
}

func (c *grpcCounts) add(other grpcCounts) {
	for code, count := range other.byStatus {
		c.byStatus[code] += count
	}
	c.sent += other.sent
	c.received += other.received
	c.latencies = append(c.latencies, other.latencies...)
}

func (l *grpcLoad) report(elapsed time.Duration) grpcReport {
	report := grpcReport{
		Target: l.flags.target, Kind: l.flags.kind, ByStatus: l.total.byStatus, Sent: l.total.sent,
		Received: l.total.received, ElapsedS: elapsed.Seconds(), LatencyMS: summarise(l.total.latencies),
	}
	for _, count := range l.total.byStatus {
		report.Calls += count
	}
	report.PerSecond = float64(report.Calls) / elapsed.Seconds()
	return report
}
