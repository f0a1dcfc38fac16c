package main

// The windows of a round.
const (
	warmFew  = "warm_8"
	dnsperf8 = "dnsperf_8"
	warmMany = "warm_128"
	warmOne  = "warm_1"
	warmRate = "warm_rate"
	missOne  = "miss_1"
	missMany = "miss_16"
)
