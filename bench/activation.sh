#!/bin/bash
# How long a client waits for the banner when qmail-smtpd is stopped and systemd
# starts it, in bench/machine: milliseconds.
set -eu
for i in $(seq "${1:-20}"); do
  systemctl stop qmail-smtpd.service
  ./smtpload -mode banner -addr 127.0.0.1:25 -c 1 -n 1 | sed 's/.* p50_ms=\([^ ]*\).*/\1/'
done | sort -n | awk '{ ms[NR] = $1 } END { print "banner of a stopped service, ms: median " ms[int((NR + 1) / 2)] ", longest " ms[NR] }'
