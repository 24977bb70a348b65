// Package literate tests what is written for administrators: that the man
// pages are sound and found, and that each command in a document does what
// it says.
package literate
