package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"time"
)

// An httpCaller calls one other service over HTTP, as net/http does.
type httpCaller struct {
	truth   *truth
	numbers *numbers
	url     *url.URL
	client  *http.Client
}

// A statusError is an answer that is no success.
type statusError int

func (status statusError) Error() string { return fmt.Sprintf("status %d", int(status)) }

func newHTTPCaller(truth *truth, numbers *numbers, address string) *httpCaller {
	transport := &http.Transport{
		MaxIdleConnsPerHost: 4096, // no connection is closed for want of a place
		DisableCompression:  true,
	}
	return newCaller(truth, numbers, address, transport)
}

// newH2CCaller is the same over one connection of HTTP/2 without TLS.
func newH2CCaller(truth *truth, numbers *numbers, address string) *httpCaller {
	return newCaller(truth, numbers, address, h2cTransport())
}

func newCaller(truth *truth, numbers *numbers, address string, transport http.RoundTripper) *httpCaller {
	client := &http.Client{Transport: transport, Timeout: time.Minute}
	return &httpCaller{truth, numbers, &url.URL{Scheme: "http", Host: address}, client}
}

// call asks for what cause needs.
func (c *httpCaller) call(ctx context.Context, cause string) error {
	return c.get(ctx, c.announce(cause), "")
}

// announce logs a call that is about to be made, and gives its id.
func (c *httpCaller) announce(cause string) string { return announce(c.truth, c.numbers, cause) }

// get makes an announced call. The answer is read to its end, so that the connection is used again.
func (c *httpCaller) get(ctx context.Context, id, query string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, c.url.String()+id+query, nil)
	if err != nil {
		return err
	}
	if header, given := ctx.Value(headerKey{}).(http.Header); given {
		request.Header = header.Clone()
	}
	response, err := c.client.Do(request)
	if err != nil {
		c.truth.gaveUp(id)
		return err
	}
	defer response.Body.Close()
	if _, err := io.Copy(io.Discard, response.Body); err != nil {
		return err
	}
	if response.StatusCode != http.StatusOK {
		return statusError(response.StatusCode)
	}
	return nil
}
