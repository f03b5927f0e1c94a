package main

// C variables of a thread on both sides of Go's own.

/*
__thread int counter = 7;
__thread char room[100];

static int bump(int n) {
	room[n % 100] = 1;
	return ++counter;
}
*/
import "C"

// Bumped keeps them in the program.
var Bumped = C.bump(3)
