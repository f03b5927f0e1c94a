//go:build !go1.24

package main

import (
	"context"
	"crypto/tls"
	"net"
	"net/http"

	"golang.org/x/net/http2"
	"golang.org/x/net/http2/h2c"
)

// maxStreams is above every concurrency: all requests fit on one connection.
const maxStreams = 4096

// h2cTransport is golang.org/x/net's HTTP/2: net/http has none without TLS before Go 1.24.
func h2cTransport() http.RoundTripper {
	dial := func(ctx context.Context, network, address string, _ *tls.Config) (net.Conn, error) {
		var dialer net.Dialer
		return dialer.DialContext(ctx, network, address)
	}
	return &http2.Transport{AllowHTTP: true, DialTLSContext: dial, DisableCompression: true}
}

// speakH2C makes a server speak it.
func speakH2C(server *http.Server) {
	server.Handler = h2c.NewHandler(server.Handler, &http2.Server{MaxConcurrentStreams: maxStreams})
}
