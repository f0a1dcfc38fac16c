// Package trace makes up what the mail servers of a site ask ten lists about in
// the course of hours, and says how few questions to the lists would do.
//
// A trace comes out of a seed and Params alone. Who connects is one of three:
// regular clients, few of which send most of the mail; addresses of spam that
// are seen once, and perhaps for a retry or two; and bursts from one /24. About
// each connection all lists are asked at once for A; a TXT question follows where
// an address is listed, for the text of the rejection, and at two of the lists
// always, as some filters ask. The hours of the day differ.
//
// Nothing of it was recorded. The parameters are from published counts, named
// where they stand; what could not be found is called assumed there. No
// conclusion should hang on one of them.
//
// Ideal caches see the same questions: Infinite fetches each record once for
// each of its lives, LRU and Belady's MIN have room for a number of answers. They
// know what a name server's owner would call perfect: an NXDOMAIN counts for
// every type of its name (RFC 8020), no answer is fetched before it is asked for,
// and none is kept that is past its TTL.
package trace
