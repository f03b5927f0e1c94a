package main

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
)

// A transfer is what one large message's client counted.
type transfer struct {
	Status   int   `json:"status"`
	Sent     int64 `json:"sent"`
	Received int64 `json:"received"`
}

// bothProtocols are HTTP/1.1, and HTTP/2 without TLS.
func bothProtocols() *http.Protocols {
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return protocols
}

// runBodies serves bodies of any size over both protocols: the test routes.
func runBodies(args []string) error {
	set := flag.NewFlagSet("bodies", flag.ContinueOnError)
	listen := set.String("listen", ":8080", "address to listen on")
	if err := set.Parse(args); err != nil {
		return err
	}
	server := &http.Server{Addr: *listen, Handler: testRoutes(), Protocols: bothProtocols()}
	return server.ListenAndServe()
}

// runTransfer sends requests one after the other over one connection and prints what it counted of each, a line of JSON.
func runTransfer(args []string) error {
	set := flag.NewFlagSet("transfer", flag.ContinueOnError)
	url := set.String("url", "", "http://host:port/path")
	upload := set.Int64("upload", 0, "bytes of the request's body; 0: a GET without one")
	unknown := set.Bool("unknown-length", false, "do not announce the body's length")
	times := set.Int("times", 1, "how often")
	http2 := set.Bool("http2", false, "HTTP/2 with prior knowledge")
	if err := set.Parse(args); err != nil {
		return err
	}
	protocols := new(http.Protocols)
	protocols.SetHTTP1(!*http2)
	protocols.SetUnencryptedHTTP2(*http2)
	client := &http.Client{Transport: &http.Transport{Protocols: protocols, DisableCompression: true}}
	for range *times {
		done, err := transferOnce(client, *url, *upload, *unknown)
		if err != nil {
			return err
		}
		if err := json.NewEncoder(os.Stdout).Encode(done); err != nil {
			return err
		}
	}
	client.CloseIdleConnections()
	return nil
}

func transferOnce(client *http.Client, url string, upload int64, unknown bool) (transfer, error) {
	counted := &zeros{left: upload}
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if upload > 0 {
		request, err = http.NewRequest(http.MethodPost, url, counted)
	}
	if err != nil {
		return transfer{}, err
	}
	request.ContentLength = upload
	if unknown {
		request.ContentLength = -1
	}
	response, err := client.Do(request)
	if err != nil {
		return transfer{}, err
	}
	received, err := io.Copy(io.Discard, response.Body)
	err = errors.Join(err, response.Body.Close())
	if length := response.Header.Get("Content-Length"); length != "" && length != strconv.FormatInt(received, 10) {
		err = errors.Join(err, fmt.Errorf("%s bytes were announced, %d came", length, received))
	}
	return transfer{response.StatusCode, upload - counted.left, received}, err
}

// zeros is so many bytes, of which nothing is kept.
type zeros struct {
	left int64
}

func (z *zeros) Read(p []byte) (int, error) {
	if z.left == 0 {
		return 0, io.EOF
	}
	n := int(min(int64(len(p)), z.left))
	z.left -= int64(n)
	return n, nil
}
