package rblsmtpd

import (
	"context"
	"net"
	"strings"
	"time"
)

// lookupTimeout bounds all the lookups for a client together.
const lookupTimeout = 60 * time.Second

// maxText is how much of a list's answer a client gets to see.
const maxText = 200

// judge tells whether the client is to be turned away, and with which reply.
// The variable RBLSMTPD decides; where it is not set, the first list that
// has an answer does.
func (o *options) judge(ctx context.Context, resolver *net.Resolver, variable func(name string) (string, bool)) (reply string, rejected bool) {
	if text, set := variable("RBLSMTPD"); set {
		if text == "" {
			return "", false
		}
		text, bounce := strings.CutPrefix(text, "-")
		return rejection(text, bounce), true
	}
	ip, _ := variable("TCPREMOTEIP")
	ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
	defer cancel()
	return weigh(o.lists, ask(ctx, resolver, o.lists, ip))
}

// weigh takes the answers in the order of their lists.
func weigh(lists []list, answers []<-chan answer) (reply string, rejected bool) {
	mayBounce := true
	for i, list := range lists {
		a := <-answers[i]
		switch {
		case a.failed && list.failClosed && !list.anti:
			return rejection("temporary RBL lookup error", false), true
		case a.failed && !list.failClosed && list.anti:
			return "", false
		case a.failed:
			mayBounce = false
		case a.listed && list.anti:
			return "", false
		case a.listed:
			return rejection(a.text, list.bounce && mayBounce), true
		}
	}
	return "", false
}

// rejection is the reply to a client that is turned away.
func rejection(text string, bounce bool) string {
	reply := []byte("451 ")
	if bounce {
		reply = []byte("553 ")
	}
	if len(text) > maxText {
		text = text[:maxText]
	}
	for _, c := range []byte(text) {
		if c < 32 || c > 126 {
			c = '?'
		}
		reply = append(reply, c)
	}
	return string(reply)
}
