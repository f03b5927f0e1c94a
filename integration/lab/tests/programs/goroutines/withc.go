//go:build withc

package main

// static __thread int many[100];
// static int touch(int i) { many[i] += 1; return many[i]; }
import "C"

func init() { C.touch(3) }
