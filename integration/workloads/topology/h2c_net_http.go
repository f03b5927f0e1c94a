//go:build go1.24

package main

import "net/http"

// maxStreams is above every concurrency: all requests fit on one connection.
const maxStreams = 4096

// h2cTransport is net/http's own HTTP/2, by prior knowledge (RFC 9113, 3.3).
func h2cTransport() http.RoundTripper {
	return &http.Transport{Protocols: unencryptedHTTP2(), DisableCompression: true}
}

// speakH2C makes a server speak it.
func speakH2C(server *http.Server) {
	server.Protocols = unencryptedHTTP2()
	server.HTTP2 = &http.HTTP2Config{MaxConcurrentStreams: maxStreams}
}

func unencryptedHTTP2() *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return protocols
}
