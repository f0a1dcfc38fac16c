// Package load asks DNS servers about addresses, as many mail servers at once
// would, and measures how long the answers take.
//
// A closed loop keeps a number of questions outstanding and asks the next one
// when an answer has come: it finds out what an answer costs and how many there
// are at most. An open loop asks at times that were fixed beforehand, whether
// answers come or not, and counts every latency from the time at which the
// question was due. A server that stalls for a tenth of a second is then seen to
// have kept all those waiting who would have asked in that time (a closed loop
// asks nobody else meanwhile, and sees one slow answer: "coordinated omission").
//
// One thread does all the work of a run on raw sockets: whatever is due goes out
// with one system call, and whatever has arrived is read with one. It
// neither allocates nor takes locks while it measures.
//
// What the answers say is not judged here beyond the header: a run counts the
// response codes and leaves it to its caller whether they are those expected.
package load
