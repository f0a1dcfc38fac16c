package trace

// List is one blocklist: how long its answers live, in seconds, and how much of
// the spam it has.
type List struct {
	Positive uint32  // TTL of a listing
	Negative uint32  // of an NXDOMAIN: the lesser of the SOA's TTL and MINIMUM
	Spam     float64 // share of the spam addresses that it lists
	Regular  float64 // share of the regular clients
	Text     bool    // TXT is asked for always, listed or not
}

// Lists are the ten that are asked. The shares of spam are those of ten lists
// of different kinds over 86,252 messages at nber.org in February 2005
// (back.nber.org/sys-admin/dnsbl-comparison.html). TTLs that somebody has seen:
// zen.spamhaus.org 60 and 10, bl.spamcop.net 2100, which is rbldnsd's default too,
// rbldnsd's examples 3000 and 300, 1800 and 600, Exim's tests 3600 and 3000. The
// other ones are assumed, and so is the share of regular clients.
func Lists() []List {
	return []List{
		{Positive: 60, Negative: 10, Spam: .49, Regular: .002},                // zen.spamhaus.org; sbl-xbl
		{Positive: 2100, Negative: 2100, Spam: .31, Regular: .005},            // bl.spamcop.net
		{Positive: 300, Negative: 300, Spam: .45, Regular: .01},               // cbl
		{Positive: 3600, Negative: 3000, Spam: .39, Regular: .01},             // sorbs
		{Positive: 3000, Negative: 300, Spam: .32, Regular: .005},             // dsbl
		{Positive: 1800, Negative: 600, Spam: .25, Regular: .005},             // no-more-funn
		{Positive: 900, Negative: 900, Spam: .17, Regular: .01},               // bl.csma.biz
		{Positive: 2100, Negative: 600, Spam: .10, Regular: .002},             // njabl
		{Positive: 600, Negative: 120, Spam: .39, Regular: .01, Text: true},   // rbl-plus
		{Positive: 3600, Negative: 3600, Spam: .08, Regular: .01, Text: true}, // spews
	}
}
