package main

import (
	"net/http"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"
)

func TestTheSameItemHasTheSameStock(t *testing.T) {
	if countStock("7") != countStock("7") || countStock("7") == countStock("8") {
		t.Fatal("stock is not a function of the item")
	}
	if !reflect.DeepEqual(fillOrder("7", countStock("7")), fillOrder("7", countStock("7"))) {
		t.Fatal("an order is not a function of its id")
	}
}

func TestTheTotalIsTheSumOfTheLines(t *testing.T) {
	got := checkOut(order{ID: "1", Lines: []orderLine{{"a", 2, 100}, {"b", 1, 50}}, Available: true})
	if want := (receipt{"1", 250, 47, true}); got != want {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

func TestShapesOfMessages(t *testing.T) {
	routes := testRoutes()
	cases := []struct {
		method, target, body string
		status               int
		length               string
		answer               string
	}{
		{"POST", "/echo", "hello", 200, "5", "hello"},
		{"GET", "/bytes/30", "", 200, "30", "abcdefghijklmnopqrstuvwxyzabcd"},
		{"HEAD", "/bytes/30", "", 200, "30", ""},
		{"GET", "/status/204", "", 204, "", ""},
		{"GET", "/status/304", "", 304, "", ""},
		{"GET", "/status/1000", "", 400, "", ""},
		{"GET", "/stream?chunks=2&bytes=3", "", 200, "", "abcabc"},
		{"GET", "/slow?ms=1", "", 200, "14", `{"slept_ms":1}`},
		{"GET", "/nothing", "", 404, "", "404 page not found\n"},
	}
	for _, c := range cases {
		t.Run(c.method+c.target, func(t *testing.T) {
			recorder := httptest.NewRecorder()
			routes.ServeHTTP(recorder, httptest.NewRequest(c.method, c.target, strings.NewReader(c.body)))
			got := recorder.Result()
			if got.StatusCode != c.status || got.Header.Get("Content-Length") != c.length || recorder.Body.String() != c.answer {
				t.Fatalf("%d, length %q, %q", got.StatusCode, got.Header.Get("Content-Length"), recorder.Body)
			}
		})
	}
}

func TestAFailedUpstreamIsABadGateway(t *testing.T) {
	upstream := newUpstream("127.0.0.1:1")
	var stock stockLevel
	err := upstream.get(t.Context(), "/stock/1", &stock)
	if err == nil {
		t.Fatal("nobody listens on port 1")
	}
	recorder := httptest.NewRecorder()
	upstreamError(recorder, err)
	if recorder.Code != http.StatusBadGateway {
		t.Fatalf("status %d", recorder.Code)
	}
}
