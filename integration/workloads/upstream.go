package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// maxUpstreamBody bounds what a service reads of another one's answer.
const maxUpstreamBody = 1 << 20

// An upstream is the service that this one asks, over kept-alive connections.
type upstream struct {
	base   string
	client *http.Client
}

func newUpstream(hostPort string) *upstream {
	transport := &http.Transport{
		DialContext:         (&net.Dialer{Timeout: 5 * time.Second}).DialContext,
		MaxIdleConnsPerHost: 256, // above every concurrency of the lab: a connection is never closed for want of a place
		IdleConnTimeout:     90 * time.Second,
		DisableCompression:  true,
	}
	return &upstream{base: "http://" + hostPort, client: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
}

// get asks for path and decodes the answer. The body is read to its end, so that the connection is used again.
func (u *upstream) get(ctx context.Context, path string, answer any) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, u.base+path, nil)
	if err != nil {
		return err
	}
	response, err := u.client.Do(request)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	body, err := io.ReadAll(io.LimitReader(response.Body, maxUpstreamBody))
	if err != nil {
		return fmt.Errorf("GET %s: %w", path, err)
	}
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: status %d", path, response.StatusCode)
	}
	return json.Unmarshal(body, answer)
}
