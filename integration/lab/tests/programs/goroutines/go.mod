module weft/goroutines

go 1.21
