// A program with next to nothing in it, to be damaged.
package main

import "os"

func main() {
	os.Stdout.WriteString("hello\n")
}
