package main

import (
	"bufio"
	"errors"
	"flag"
	"io"
	"net"
	"net/http"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// A phaseService spends the time of its requests where it is told to, and logs how much that was:
//
//	/sleep/N   waits between begin and end
//	/burn/N    computes between begin and end
//	/queue/N   is able to run and does not for queue ns: the only processor is another goroutine's (GOMAXPROCS=1)
//	/gc/N      stops the world for gc ns, because a goroutine does not stop (GODEBUG=asyncpreemptoff=1, GOMAXPROCS=2)
//	/body/N    reads the request's body late, at read
//	/calls/N   makes two calls to -upstream that overlap, from down_begin to down_end
//	/large/N   answers with half a MiB
//
// The next port answers one request on each connection, and reads it late, at read.
type phaseService struct {
	moments  *moments
	calls    *upstream
	spent    time.Duration
	hog      chan struct{}
	hogBegan atomic.Int64 // ns since the epoch
	spin     chan struct{}
	spins    atomic.Int64 // how often it was told to spin, and began
	steps    int          // of spinning for as long as is to be spent
}

func runPhases(args []string) error {
	set := flag.NewFlagSet("phases", flag.ContinueOnError)
	listen := set.String("listen", ":8080", "address to listen on")
	late := set.String("listen-late", ":8081", "address on which requests are read late")
	upstream := set.String("upstream", "", "host:port of the service that /calls asks")
	log := set.String("log", "", "where the log of what happened when goes")
	spent := set.Duration("spend", 20*time.Millisecond, "how long what a route does takes")
	if err := set.Parse(args); err != nil {
		return err
	}
	p, err := newPhaseService(*log, *upstream, *spent)
	if err != nil {
		return err
	}
	defer p.moments.flush()
	listener, err := net.Listen("tcp", *late)
	if err != nil {
		return err
	}
	go p.readLate(listener)
	return serve(serviceFlags{listen: *listen}, p.routes())
}

func newPhaseService(log, upstream string, spent time.Duration) (*phaseService, error) {
	moments, err := newMoments(log)
	if err != nil {
		return nil, err
	}
	p := &phaseService{
		moments: moments, calls: newUpstream(upstream), spent: spent, hog: make(chan struct{}), spin: make(chan struct{}),
		steps: stepsOf(spent),
	}
	go p.burnWhenTold()
	go p.spinWhenTold()
	return p, nil
}

func (p *phaseService) routes() http.Handler {
	routes := http.NewServeMux()
	for path, spend := range map[string]func(*http.Request) error{
		"/sleep/": p.sleep, "/burn/": p.burn, "/queue/": p.queue, "/gc/": p.collect, "/body/": p.body, "/calls/": p.call,
	} {
		routes.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			p.moments.at(r.URL.Path, "begin")
			err := spend(r)
			p.moments.at(r.URL.Path, "end")
			if err != nil {
				upstreamError(w, err)
				return
			}
			io.WriteString(w, "done\n")
		})
	}
	large := filler(512 << 10)
	routes.HandleFunc("/large/", func(w http.ResponseWriter, _ *http.Request) { w.Write(large) })
	return routes
}

func (p *phaseService) sleep(*http.Request) error {
	time.Sleep(p.spent)
	return nil
}

func (p *phaseService) burn(*http.Request) error {
	burn(p.spent)
	return nil
}

func burn(spent time.Duration) {
	for begin := time.Now(); time.Since(begin) < spent; {
		work(100)
	}
}

// hogged is shorter than what Go's scheduler lets a goroutine have at once (10 ms).
const hogged = 8 * time.Millisecond

// queue tells another goroutine to burn, and lets it: from when that begins until this one runs again it waits for the
// processor, be it in Gosched or because its word was taken.
func (p *phaseService) queue(r *http.Request) error {
	p.hog <- struct{}{}
	runtime.Gosched()
	p.moments.note(r.URL.Path, "queue", time.Now().UnixNano()-p.hogBegan.Load())
	p.hog <- struct{}{} // it is done, and waits for the next request
	return nil
}

func (p *phaseService) burnWhenTold() {
	for range p.hog {
		p.hogBegan.Store(time.Now().UnixNano())
		burn(hogged)
		<-p.hog
	}
}

// collect stops the world while another goroutine does not look whether it should stop.
func (p *phaseService) collect(r *http.Request) error {
	var before, after debug.GCStats
	debug.ReadGCStats(&before)
	spins := p.spins.Load()
	p.spin <- struct{}{}
	for p.spins.Load() == spins {
		runtime.Gosched()
	}
	runtime.GC()
	debug.ReadGCStats(&after)
	p.moments.note(r.URL.Path, "gc", (after.PauseTotal - before.PauseTotal).Nanoseconds())
	return nil
}

func (p *phaseService) spinWhenTold() {
	for range p.spin {
		p.spins.Add(1)
		spin(p.steps)
	}
}

var spun uint64

// spin calls nothing: without signals Go cannot stop it.
func spin(steps int) {
	sum := uint64(1)
	for i := 0; i < steps; i++ {
		sum = sum*6364136223846793005 + 1442695040888963407
	}
	spun = sum
}

// stepsOf is how many steps take so long where nothing disturbs.
func stepsOf(wanted time.Duration) int {
	const steps = 1_000_000
	shortest := time.Hour
	for range 10 {
		begin := time.Now()
		spin(steps)
		shortest = min(shortest, time.Since(begin))
	}
	return int(wanted * steps / shortest)
}

func (p *phaseService) body(r *http.Request) error {
	time.Sleep(p.spent)
	_, err := io.Copy(io.Discard, r.Body)
	p.moments.at(r.URL.Path, "read")
	return err
}

func (p *phaseService) call(r *http.Request) error {
	path := strings.ReplaceAll(r.URL.Path, "calls", "sleep")
	var both sync.WaitGroup
	var first, second error
	p.moments.at(r.URL.Path, "down_begin")
	both.Go(func() { first = p.calls.text(r.Context(), path+"/first") })
	time.Sleep(p.spent / 4)
	second = p.calls.text(r.Context(), path+"/second")
	both.Wait()
	p.moments.at(r.URL.Path, "down_end")
	time.Sleep(p.spent / 4)
	return errors.Join(first, second)
}

// readLate serves one request on each connection, which has long been there when it is read.
func (p *phaseService) readLate(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			return
		}
		time.Sleep(p.spent)
		if request, err := http.ReadRequest(bufio.NewReader(conn)); err == nil {
			p.moments.at(request.URL.Path, "read")
			io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
		}
		conn.Close()
	}
}
