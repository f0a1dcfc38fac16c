package main

import "dnsblproxy/bench/internal/peers"

// Target is a figure that is to be reached.
type Target struct {
	What    string  `json:"what"`
	Figure  float64 `json:"figure"`
	Most    float64 `json:"most"`
	Reached bool    `json:"reached"`
}

// dnsdist is the peer that misses are compared with: its cost least.
const dnsdist = "dnsdist"

// targets compares what was found with what is to be reached. What was not
// measured is not in it.
func (r *Results) targets() []Target {
	var out []Target
	add := func(what string, figure, most float64) {
		out = append(out, Target{what, figure, most, figure <= most})
	}
	compare := func(name, window, what, to string, most float64) {
		if x := r.ratio(window, what, peers.Proxy, to).Median; x > 0 {
			add(name, x, most)
		}
	}
	compare("CPU per cached answer, 128 outstanding, of a bare loop's", warmMany, "cpu", peers.Bare, 0.95)
	compare("CPU per cached answer, 8 clients, of a bare loop's", warmFew, "cpu", peers.Bare, 1)
	compare("likewise, asked by dnsperf -c 8", dnsperf8, "cpu", peers.Bare, 1)
	for _, what := range []string{"p50", "p99"} {
		if x := r.best(warmOne, what); x > 0 {
			add(what+" of cached answers one at a time, of the best peer's", x, 1)
		}
	}
	compare("CPU per miss, one at a time, of dnsdist's", missOne, "cpu", dnsdist, 1)
	compare("CPU per miss, 16 outstanding, of dnsdist's", missMany, "cpu", dnsdist, 1)
	compare("p50 of misses, of dnsdist's", missOne, "p50", dnsdist, 1)
	compare("p99 of misses, of dnsdist's", missOne, "p99", dnsdist, 1)
	if m, ok := r.Memory[peers.Proxy]; ok {
		add("bytes for each cached answer", m.Each, 207)
		add("share of them that is not there any more", 1-m.Kept, 0.001)
	}
	if b, ok := r.Behaviour[peers.Proxy]; ok {
		add("questions to the list when 200 clients ask for one name", float64(b.TogetherAsked), 1)
		add("clients of these left without an answer", float64(together-b.TogetherAnswered), 0)
		add("ms from the list's answer to the last client's", never(b.TogetherLast), 5)
		add("questions to the list for A, then TXT of 100 names, 28 listed", float64(b.TypesAsked), 128)
		add("ms to the first answer without the list", never(b.DeadFirst), 4000)
		add("ms to the tenth", never(b.DeadTenth), 50)
		add("ms from the list's return to its answers", never(b.Return), 3000)
	}
	if r.Trace != nil {
		r.Trace.targets(add)
	}
	if len(r.Rounds) > 0 {
		add("garbage collector's share of the processor time, in percent", r.Collection, 2)
		add("its longest pause, in ms", r.Pause, 1)
	}
	if c := r.Cores; c != nil {
		add("cost of an answer on two processors, of that on one", 2/c.Scaling, 2/1.8)
	}
	return out
}

// together is how many clients ask for one name at once.
const together = 200

// best is the proxy's figure divided by that of the peer which has the least:
// the largest of the ratios; 0 without a peer.
func (r *Results) best(window, what string) (most float64) {
	for _, s := range r.Servers {
		if s != peers.Bare && s != peers.List && s != peers.Proxy {
			most = max(most, r.ratio(window, what, peers.Proxy, s).Median)
		}
	}
	return most
}

// never makes what did not happen longer than every bound, in milliseconds.
func never(ms float64) float64 {
	if ms < 0 {
		return 1e9
	}
	return ms
}
