// Package dataset serves rbldnsd's data files: the lists that blocklist
// operators hand out by rsync, and those that administrators keep themselves.
//
//	specs := []dataset.Spec{{Kind: dataset.IP4Trie, Files: []string{"zen.ip4"}}}
//	zone, problems, err := dataset.Load(ctx, specs, time.Now())
//	var ans dataset.Answer
//	zone.Lookup(rbl.ParseLabels(labels, rbl.HoldsAll), labels, dataset.TypeA, &ans) // labels: "4.3.2.1" in wire form
//
// It decides what the files say about a name: its A codes, its text with the
// substitutions made, the zone's SOA and NS, and whether the name exists. The
// formats and their odder corners are those of rbldnsd(8): the most specific
// entry wins, exclusions hide, several datasets of one zone add up, records of
// one type share the least TTL. Deviations, all on the side of the operator:
// a bad line is skipped and reported where rbldnsd gives the file up, lines may
// end in CR LF and the first one begin with a byte order mark, a name beyond
// ASCII is a bad line, and a file that is mostly bad, or a web page, is refused.
//
// A Zone is immutable and answers without I/O; a Store re-reads the files when
// they change and swaps the Zone whole. Names are the labels left of the zone,
// in lower case; what address they are package rbl says, so that unlike in
// rbldnsd an octet has no leading zeros.
//
// The package does not know zones' names, messages, EDNS or truncation, keeps
// no cache, and reads no combined and acl datasets. Empty non-terminals do not
// exist here, as in rbldnsd; a server that wants NODATA for them sees to it.
package dataset

// Kind is a dataset type of rbldnsd.
type Kind string

// The dataset types that Load reads.
const (
	IP4Set  Kind = "ip4set"
	IP4Trie Kind = "ip4trie"
	IP4TSet Kind = "ip4tset"
	IP6Trie Kind = "ip6trie"
	IP6TSet Kind = "ip6tset"
	DNSet   Kind = "dnset"
	Generic Kind = "generic"
)

// Spec names one dataset: its type and the files that form it. Files of one
// Spec are read as if they were one, save that a default value ends with its
// file.
type Spec struct {
	Kind  Kind
	Files []string
}

// Problem is one line that was skipped, and why.
type Problem struct {
	File string
	Line int    // from 1
	Text string // what is wrong, lower case
}
