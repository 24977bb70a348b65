// Package ucspi is the environment contract between a TCP server and the
// program that serves one connection: the variables PROTO, TCPREMOTEIP and so
// on, laid over the environment of the server itself.
package ucspi

import "strings"

// Env is the environment of one connection. The zero value is empty. It is
// not safe for concurrent use while variables are being set.
type Env struct {
	base []string // entries "NAME=VALUE" of the server; shared, never changed
	over []variable
}

type variable struct {
	name, value string
	set         bool
}

// NewEnv returns an environment that begins as base, whose entries have the
// form "NAME=VALUE". It keeps base and does not change it.
func NewEnv(base []string) *Env {
	return &Env{base: base}
}

// Set gives a variable a value.
func (e *Env) Set(name, value string) {
	e.put(variable{name, value, true})
}

// Unset removes a variable.
func (e *Env) Unset(name string) {
	e.put(variable{name: name})
}

func (e *Env) put(v variable) {
	for i := range e.over {
		if e.over[i].name == v.name {
			e.over[i] = v
			return
		}
	}
	e.over = append(e.over, v)
}

// Lookup returns the value of a variable and whether it is set; one that is
// set to the empty string is set.
func (e *Env) Lookup(name string) (value string, ok bool) {
	for i := range e.over {
		if e.over[i].name == name {
			return e.over[i].value, e.over[i].set
		}
	}
	for _, entry := range e.base {
		if len(entry) > len(name) && entry[len(name)] == '=' && entry[:len(name)] == name {
			return entry[len(name)+1:], true
		}
	}
	return "", false
}

// Environ returns all variables in the form "NAME=VALUE", for a program that
// is executed.
func (e *Env) Environ() []string {
	out := make([]string, 0, len(e.base)+len(e.over))
next:
	for _, entry := range e.base {
		name, _, _ := strings.Cut(entry, "=")
		for i := range e.over {
			if e.over[i].name == name {
				continue next
			}
		}
		out = append(out, entry)
	}
	for _, v := range e.over {
		if v.set {
			out = append(out, v.name+"="+v.value)
		}
	}
	return out
}
