package main

import (
	"context"
	"hash/fnv"
	"strconv"

	"golang.org/x/sync/singleflight"
)

// flightKeys is how many different things requests ask for at most: those that ask for the same at the same time share
// one call, which is that of the first.
const flightKeys = 8

// flight: golang.org/x/sync/singleflight's Do. The first request's goroutine makes the call, the others wait.
func flight(s *service) handler {
	var group singleflight.Group
	return func(ctx context.Context, cause string) error {
		_, err, _ := group.Do(flightKey(cause), func() (any, error) {
			return nil, s.http.call(context.WithoutCancel(ctx), cause)
		})
		return err
	}
}

func flightKey(cause string) string {
	hash := fnv.New32a()
	hash.Write([]byte(cause))
	return strconv.Itoa(int(hash.Sum32() % flightKeys))
}
