// Dnsblproxy is a DNS server that stands between a mail server and the DNS
// blocklists it asks: it caches their answers, exempts the addresses that the
// administrator vouches for, and never passes on a list's failure as a
// listing.
//
// This package holds the commands. build.go turns the configuration's rules
// into those of package overrides, and zones.go its zones into those of package
// resolver; every command says what it needs of them and prints what comes of
// it. Exit status: 0 done, 1 failed, 2 wrong usage or configuration.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
