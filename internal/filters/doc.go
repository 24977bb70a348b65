// Package filters is the commands that stand between a program and its client
// and watch or change the bytes: recordio and fixcrio, for a program on
// descriptors 0 and 1 or for the connections of a server in the same process,
// and addcr and delcr, for a stream.
//
// It knows nothing of the protocol that is spoken.
package filters
