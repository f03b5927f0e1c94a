package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"strings"
	"time"
)

// What the hostile peer is told.
type hostileFlags struct {
	target      string
	kinds       []string
	repeat      int
	wait        time.Duration
	output      string
	connections int
	sources     []string
	hold        time.Duration
}

// An attack is one way to misbehave on a fresh connection: it writes, and says how many bytes it got rid of.
type attack struct {
	name, does string
	write      func(conn net.Conn) (int64, error)
}

func attacks() []attack {
	return []attack{
		{"garbage", "64 KiB that are no HTTP, then a line end", writeGarbage},
		{"half", "half a request, then nothing", writeHalf},
		{"long-header", "a header line of 1 MiB", writeLongHeader},
		{"long-body", "a body of twice the announced length", writeLongBody},
		{"one-byte", "a valid request in writes of one byte", writeOneByte},
		{"bare-reset", "half a request, then a reset", writeReset},
	}
}

// An outcome is what an attack met.
type outcome struct {
	Kind      string         `json:"kind"`
	Opened    int64          `json:"opened"`
	Bytes     int64          `json:"bytes_written"`
	Answers   map[string]int `json:"answers"` // first line of what the server said, or how it ended without a word
	Failed    int64          `json:"failed"`
	FirstFail string         `json:"first_failure,omitempty"`
}

func parseHostileFlags(args []string) (hostileFlags, error) {
	var flags hostileFlags
	var kinds, sources string
	set := flag.NewFlagSet("hostile", flag.ContinueOnError)
	set.StringVar(&flags.target, "target", "", "host:port")
	set.StringVar(&kinds, "kind", "all", "comma-separated: all (but silent), silent, "+strings.Join(attackNames(), ", "))
	set.IntVar(&flags.repeat, "repeat", 1, "how often each")
	set.DurationVar(&flags.wait, "wait", time.Second, "how long to wait for the server's answer")
	set.StringVar(&flags.output, "json", "-", "where the report goes; -: stdout")
	set.IntVar(&flags.connections, "connections", 10_000, "silent: how many connections")
	set.StringVar(&sources, "source", "", "silent: comma-separated addresses to connect from, about 64,000 connections each; default: the system's choice")
	set.DurationVar(&flags.hold, "hold", 0, "silent: how long to keep them after the report; 0: until SIGTERM")
	if err := set.Parse(args); err != nil {
		return flags, err
	}
	flags.kinds, flags.sources = splitList(kinds), splitList(sources)
	if slices.Equal(flags.kinds, []string{"all"}) {
		flags.kinds = attackNames()
	}
	return flags, flags.check()
}

func (f hostileFlags) check() error {
	if _, _, err := net.SplitHostPort(f.target); err != nil {
		return fmt.Errorf("-target %q is not host:port", f.target)
	}
	known := append(attackNames(), "silent")
	for _, kind := range f.kinds {
		if !slices.Contains(known, kind) {
			return fmt.Errorf("-kind %q is none of %s", kind, strings.Join(known, ", "))
		}
	}
	if slices.Contains(f.kinds, "silent") && len(f.kinds) > 1 {
		return errors.New("-kind silent holds its connections: start it alone")
	}
	return nil
}

func runHostile(args []string) error {
	if len(args) > 0 && args[0] == silentChild {
		return runSilentChild(args[1:])
	}
	flags, err := parseHostileFlags(args)
	if err != nil {
		return err
	}
	if slices.Contains(flags.kinds, "silent") {
		return runSilent(flags)
	}
	outcomes := []outcome{}
	for _, attack := range attacks() {
		if slices.Contains(flags.kinds, attack.name) {
			outcomes = append(outcomes, attack.run(flags))
		}
	}
	return writeReport(flags.output, map[string][]outcome{"attacks": outcomes})
}

func (a attack) run(flags hostileFlags) outcome {
	met := outcome{Kind: a.name, Answers: map[string]int{}}
	for range flags.repeat {
		if err := met.once(a, flags); err != nil {
			met.Failed++
			if met.FirstFail == "" {
				met.FirstFail = err.Error()
			}
		}
	}
	return met
}

func (o *outcome) once(a attack, flags hostileFlags) error {
	conn, err := net.DialTimeout("tcp", flags.target, 5*time.Second)
	if err != nil {
		return err
	}
	defer conn.Close()
	o.Opened++
	written, err := a.write(conn)
	o.Bytes += written
	// A server that hung up in the middle has answered before it did: not a failure of the attack.
	if err != nil && written == 0 {
		return err
	}
	o.Answers[firstLine(conn, flags.wait)]++
	return nil
}

// firstLine tells what the server did within wait.
func firstLine(conn net.Conn, wait time.Duration) string {
	if err := conn.SetReadDeadline(time.Now().Add(wait)); err != nil {
		return "reset"
	}
	buffer := make([]byte, 256)
	n, err := conn.Read(buffer)
	line, _, _ := strings.Cut(string(buffer[:n]), "\r\n")
	switch {
	case n > 0:
		return line
	case errors.Is(err, os.ErrDeadlineExceeded):
		return "silence"
	case errors.Is(err, io.EOF):
		return "closed"
	default:
		return "reset"
	}
}

func attackNames() []string {
	names := []string{}
	for _, attack := range attacks() {
		names = append(names, attack.name)
	}
	return names
}

func splitList(list string) []string {
	return strings.FieldsFunc(list, func(r rune) bool { return r == ',' })
}
