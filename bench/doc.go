// Bench compares the proxy with other DNS servers on this machine, side by side.
//
//	go run ./bench          about eleven minutes
//	go run ./bench -short   about a minute and a half
//
// rbldnsd is the list. Every peer that is installed, the list itself, a bare Go
// loop that answers without reading, and the proxy are up at once. Each is bound
// to one processor, the questions and the list that is asked behind them to
// another, and they are measured in turn in short windows. The machine may be
// busy with other things and may drift; the servers of one round share that, so
// what counts are the ratios within a round, and their median over all rounds.
// Both processors are kept from sleeping, so that a virtual machine's way of
// waking one up is not taken for a server's cost.
//
// Measured are: processor time per answer out of the cache with 8 and with 128
// questions outstanding; latency one question at a time, and at a fixed rate
// counted from when each question was due; the same for questions that the list
// has to be asked about; memory for each cached answer; and what becomes of many
// who ask the same at once, of a list that falls silent, and of a reload; and
// the instructions of both kinds of answers in user space, where valgrind is
// installed. One window is asked by dnsperf, as a check of our own load generator.
//
// How many questions go to the lists is counted over hours of what mail servers
// ask (internal/trace): with the program's own resolver under a clock that runs
// ahead (internal/replay), beside caches that know the future; and over sockets,
// beside unbound with the same settings, with every TTL divided by 20.
//
// A table goes to standard output; a dated file in results holds the figures, the
// commit and the machine, as the type Results describes them, and latest.json and
// latest.svg hold those of the latest run that left nothing out.
package main
