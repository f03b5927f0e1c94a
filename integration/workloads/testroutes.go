package main

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
)

// Bounds of what a test may ask for.
const (
	maxEchoBody = 64 << 20
	maxChunks   = 100_000
	maxSleep    = time.Minute

	maxChunksByHand = 1 << 20
)

// testRoutes are the shapes of HTTP/1.1 messages that tests need from every service:
//
//	POST /echo                 the request's body, with its Content-Length where the request had one
//	POST /discard              reads the request's body and says how long it was
//	GET  /stream?chunks=N&bytes=M&pause=D   N chunks of M bytes each (chunked transfer coding)
//	GET  /chunks?chunks=N&bytes=M&extension=E   the same in large writes, with an extension on each and a trailer
//	GET  /bytes/{n}            n bytes with a Content-Length (HEAD: the same header, no body)
//	GET  /status/{code}        an empty answer with that status; 204 and 304 have no body at all
//	GET  /slow?ms=N            answers after N milliseconds
//	GET  /close                answers and closes the connection
func testRoutes() *http.ServeMux {
	routes := http.NewServeMux()
	routes.HandleFunc("POST /echo", echo)
	routes.HandleFunc("POST /discard", discard)
	routes.HandleFunc("GET /stream", stream)
	routes.HandleFunc("GET /chunks", chunksByHand)
	routes.HandleFunc("GET /bytes/{n}", sendBytes)
	routes.HandleFunc("GET /status/{code}", sendStatus)
	routes.HandleFunc("GET /slow", slow)
	routes.HandleFunc("GET /close", closeAfter)
	return routes
}

func echo(w http.ResponseWriter, r *http.Request) {
	if r.ContentLength >= 0 {
		w.Header().Set("Content-Length", strconv.FormatInt(r.ContentLength, 10))
	}
	// Without it, net/http may close a connection whose body is answered while it still arrives.
	_ = http.NewResponseController(w).EnableFullDuplex()
	_, _ = io.Copy(w, io.LimitReader(r.Body, maxEchoBody))
}

func discard(w http.ResponseWriter, r *http.Request) {
	bytes, _ := io.Copy(io.Discard, r.Body)
	writeJSON(w, http.StatusOK, map[string]int64{"bytes": bytes})
}

func stream(w http.ResponseWriter, r *http.Request) {
	chunks := min(queryInt(r, "chunks", 8), maxChunks)
	chunk := filler(min(queryInt(r, "bytes", 1024), 1<<20))
	pause, _ := time.ParseDuration(r.URL.Query().Get("pause"))
	controller := http.NewResponseController(w)
	for range chunks {
		if _, err := w.Write(chunk); err != nil {
			return
		}
		if err := controller.Flush(); err != nil {
			return
		}
		time.Sleep(min(pause, maxSleep))
	}
}

// chunksByHand writes what net/http does not: extensions of chunks, and many chunks at once.
func chunksByHand(w http.ResponseWriter, r *http.Request) {
	chunks := min(queryInt(r, "chunks", 8), maxChunksByHand)
	data := filler(min(queryInt(r, "bytes", 1024), 1<<20))
	chunk := fmt.Sprintf("%x%s\r\n%s\r\n", len(data), r.URL.Query().Get("extension"), data)
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, "not over HTTP/1.1", http.StatusHTTPVersionNotSupported)
		return
	}
	defer conn.Close()
	out := bufio.NewWriterSize(conn, 256<<10)
	fmt.Fprint(out, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: X-Chunks\r\nConnection: close\r\n\r\n")
	for range chunks {
		if _, err := out.WriteString(chunk); err != nil {
			return
		}
	}
	fmt.Fprintf(out, "0\r\nX-Chunks: %d\r\n\r\n", chunks)
	_ = out.Flush() // the client went away: it has counted that
}

func sendBytes(w http.ResponseWriter, r *http.Request) {
	left, err := strconv.ParseInt(r.PathValue("n"), 10, 64)
	if err != nil || left < 0 {
		http.Error(w, "not a number of bytes", http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Length", strconv.FormatInt(left, 10))
	block := filler(64 << 10)
	for left > 0 && r.Method != http.MethodHead {
		n, err := w.Write(block[:min(left, int64(len(block)))])
		if err != nil {
			return
		}
		left -= int64(n)
	}
}

func sendStatus(w http.ResponseWriter, r *http.Request) {
	code, err := strconv.Atoi(r.PathValue("code"))
	if err != nil || code < 200 || code > 599 {
		code = http.StatusBadRequest
	}
	w.WriteHeader(code)
}

func slow(w http.ResponseWriter, r *http.Request) {
	pause := min(time.Duration(queryInt(r, "ms", 100))*time.Millisecond, maxSleep)
	select {
	case <-time.After(pause):
		writeJSON(w, http.StatusOK, map[string]int64{"slept_ms": pause.Milliseconds()})
	case <-r.Context().Done():
	}
}

func closeAfter(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Connection", "close")
	fmt.Fprintln(w, "bye")
}

func queryInt(r *http.Request, name string, otherwise int) int {
	value, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil || value < 0 {
		return otherwise
	}
	return value
}

func filler(n int) []byte {
	block := make([]byte, n)
	for i := range block {
		block[i] = 'a' + byte(i%26)
	}
	return block
}
