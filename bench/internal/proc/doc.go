// Package proc measures processes from outside, as the kernel counts: the time
// that all their threads spent on a processor, in user space and in the kernel,
// and the memory that they hold. It also starts processes on one processor.
//
// What the kernel does for a packet on the loopback interface up to the
// receiver's queue is done in the sender's name: a question is paid by who asks,
// an answer by who answers. So the time of a server is what its answers cost.
package proc
