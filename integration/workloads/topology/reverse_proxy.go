package main

import (
	"net/http"
	"net/http/httputil"
)

// reverseProxy: net/http/httputil's, with one request behind it for each before it.
func reverseProxy(s *service) http.Handler {
	transport := s.http.client.Transport
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := s.http.announce(r.URL.Path)
		proxy := httputil.ReverseProxy{
			Transport: transport,
			Rewrite: func(behind *httputil.ProxyRequest) {
				behind.SetURL(s.http.url)
				behind.Out.URL.Path = id
			},
		}
		proxy.ServeHTTP(w, r)
	})
}
