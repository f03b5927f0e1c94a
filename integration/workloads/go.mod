module weft/integration/workloads

go 1.26
