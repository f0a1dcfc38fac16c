package main

import (
	"fmt"
	"io"
	"text/tabwriter"

	"dnsblproxy/bench/internal/peers"
)

// print writes the tables.
func (r *Results) print(w io.Writer) {
	m := r.Machine
	fmt.Fprintf(w, "\n%s, %d processors, Linux %s, %s, commit %s, %s\n", m.Processor, m.Processors, m.Kernel, m.Go, m.Commit, m.Date.Format("2006-01-02 15:04 MST"))
	if len(r.Rounds) > 0 {
		r.printRounds(w)
	}
	r.printRest(w)
	if r.Trace != nil {
		r.Trace.print(w)
	}
	if len(r.Targets) > 0 {
		t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
		fmt.Fprintf(t, "\ntarget\tfigure\tat most\t\n")
		for _, x := range r.Targets {
			verdict := "reached"
			if !x.Reached {
				verdict = "NOT REACHED"
			}
			fmt.Fprintf(t, "%s\t%.4g\t%.4g\t%s\n", x.What, x.Figure, x.Most, verdict)
		}
		_ = t.Flush()
	}
}

// printRounds shows the figures of the windows; those in parentheses are
// relative to the bare loop in the same round.
func (r *Results) printRounds(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\nserver\tCPU µs, 8 clients\tCPU µs, 128 out\tq/s, one core\tone: p50\tp99 µs\t%.0f/s: p50\tp99\tp99.9 µs\tmiss: CPU\tCPU, 16 out\tp50\tp99 µs\t\n", r.Machine.Rate)
	for _, s := range r.Servers {
		f := func(window string) Figure { return r.Medians[window][s] }
		perCore := 0.0
		if c := f(warmMany).CPU; c > 0 {
			perCore = 1e6 / c
		}
		fmt.Fprintf(t, "%s\t%.1f (%.2f)\t%.1f (%.2f)\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.0f\t%.1f\t%.1f\t%.0f\t%.0f\t\n", s,
			f(warmFew).CPU, r.ratio(warmFew, "cpu", s, peers.Bare).Median,
			f(warmMany).CPU, r.ratio(warmMany, "cpu", s, peers.Bare).Median, perCore,
			f(warmOne).P50, f(warmOne).P99, f(warmRate).P50, f(warmRate).P99, f(warmRate).P999,
			f(missOne).CPU, f(missMany).CPU, f(missOne).P50, f(missOne).P99)
	}
	_ = t.Flush()
	for _, s := range r.Servers {
		for _, window := range []string{warmFew, warmMany, warmOne, warmRate, missOne, missMany} {
			if f := r.Medians[window][s]; f.Lost+f.Failed > 0 {
				fmt.Fprintf(w, "%s, %s: of %d answers %d lost and %d failed\n", s, window, f.Answers, f.Lost, f.Failed)
			}
		}
	}
	if _, ok := r.Medians[dnsperf8]; ok {
		fmt.Fprintf(w, "asked by dnsperf -c 8, CPU of the bare loop's:")
		for _, s := range r.Servers {
			fmt.Fprintf(w, " %s %.2f", s, r.ratio(dnsperf8, "cpu", s, peers.Bare).Median)
		}
		fmt.Fprintln(w)
	}
}

// printRest shows what is not measured in rounds.
func (r *Results) printRest(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	if len(r.Behaviour)+len(r.Memory) > 0 {
		fmt.Fprintf(t, "\nserver\tbytes/answer\tof\t200 clients: asked\tanswered\tlast ms\tA+TXT: asked\tdead: 1st ms\t10th ms\tback ms\t\n")
	}
	for _, s := range append([]string{peers.Proxy}, peerNames()...) {
		b, ok := r.Behaviour[s]
		m, also := r.Memory[s]
		if !ok && !also {
			continue
		}
		fmt.Fprintf(t, "%s\t%.0f\t%d\t%d\t%d\t%s\t%d\t%s\t%s\t%s\t\n", s, m.Each, m.Answers,
			b.TogetherAsked, b.TogetherAnswered, ms(b.TogetherLast), b.TypesAsked, ms(b.DeadFirst), ms(b.DeadTenth), ms(b.Return))
	}
	_ = t.Flush()
	if l := r.Reload; l != nil {
		fmt.Fprintf(w, "\n%.0f/s, %d reloads of %d prefixes: p50 %.0f, p99 %.0f, p99.9 %.0f µs, lost %d; without: p50 %.0f, p99 %.0f, p99.9 %.0f µs\n",
			r.Machine.Rate/2, l.Reloads, l.Prefixes, l.During.P50, l.During.P99, l.During.P999, l.During.Lost, l.Before.P50, l.Before.P99, l.Before.P999)
	}
	if c := r.Cores; c != nil {
		fmt.Fprintf(w, "\nCPU per cached answer: %.2f µs on one processor, %.2f µs on two, which can answer %.2f times as much\n", c.One.CPU, c.Two.CPU, c.Scaling)
	}
	if len(r.Instructions) == 0 {
		return
	}
	t = tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(t, "\nserver\tinstructions of user space: cached\tthe list is asked\t\n")
	for _, s := range append([]string{peers.Proxy}, peerNames()...) {
		if c, ok := r.Instructions[s]; ok {
			fmt.Fprintf(t, "%s\t%.0f\t%.0f\t\n", s, c.Hit, c.Miss)
		}
	}
	_ = t.Flush()
}

func ms(v float64) string {
	if v < 0 {
		return "none"
	}
	return fmt.Sprintf("%.1f", v)
}

func peerNames() []string {
	var out []string
	for _, k := range peers.Kinds() {
		out = append(out, k.Name)
	}
	return out
}
