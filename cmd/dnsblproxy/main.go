// Dnsblproxy is a DNS server that stands between a mail server and the DNS
// blocklists it asks: it caches their answers, exempts the addresses that the
// administrator vouches for, and never passes on a list's failure as a
// listing.
//
// This package holds the commands, and wires the packages for them. build.go
// turns the configuration's rules into those of package overrides, and zones.go
// its zones into those of package resolver; proxy.go makes one running proxy of
// both, which serve binds to its addresses, and which lookup makes for itself
// where no server runs. What the proxy does is decided in those packages.
//
// Exit status: 0 done, 1 failed, 2 wrong usage or configuration.
package main

import "os"

func main() {
	os.Exit(run(os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}
