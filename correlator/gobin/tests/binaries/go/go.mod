// Where the module is; what it needs is in the file of each version of Go.
module probe

go 1.21
