#!/bin/sh
# What a connection costs ours, with qmail-smtpd in tcpserver's process: a
# session without mail, one that a rule refuses (beside the original), the
# banner when all clients come at once to a server that just started, and the
# memory of a session that waits.
#   REPEAT: measures of each (default 5)  IDLE: sessions that wait (default 10000)
. "$(dirname "$0")/lib.sh"; ver
BIN=${BIN:-$B/../bin}
export QMAILHOME="$W/qmail"
mkdir -p "$QMAILHOME/control"
echo mail.example.org >"$QMAILHOME/control/me"
ulimit -n "$(ulimit -Hn)"
load() { # MODE PID PORT CLIENTS CONNECTIONS, and more
  mode=$1 pid=$2 port=$3 clients=$4 n=$5
  shift 5
  "$B/bin/smtpload" -mode "$mode" -pid "$pid" -addr "127.0.0.1:$port" -c "$clients" -n "$n" "$@"
}
fields() { tr ' ' '\n' | grep -E "^($1)=" | paste -sd ' '; }
ours() { # VAR: a new server on 26030
  PATH=$BIN:$PATH start "$1" 26030 "'$BIN/tcpserver' -HRl0 -b 4096 -c 20000 127.0.0.1 26030 '$BIN/qmail-smtpd'"
}

ours SERVER || exit 1
for clients in 1 40; do
  for i in $(seq "${REPEAT:-5}"); do
    load session "$SERVER" 26030 $clients 5000 | fields 'per_s|server_cpu_us_per_unit|p99_ms' | sed "s/^/session c=$clients: /"
  done
done
stop "$SERVER"

echo ':deny' | "$BIN/tcprules" "$W/deny.cdb" "$W/deny.tmp"
start DENY 26031 "'$P/tcpserver' -HRl0 -b 1000 -c 1000 -x '$W/deny.cdb' 127.0.0.1 26031 /bin/true" || exit 1
start OURDENY 26032 "'$BIN/tcpserver' -HRl0 -b 1000 -c 1000 -x '$W/deny.cdb' 127.0.0.1 26032 '$BIN/qmail-smtpd'" || exit 1
"$B/bin/ab" -warm -pairs "${REPEAT:-5}" -label "refused by a rule c=40" -an tcpserver -bn ours -keys per_s,server_cpu_us_per_unit \
  -a "$B/bin/smtpload -mode connect -addr 127.0.0.1:26031 -pid $DENY -c 40 -n 5000" \
  -b "$B/bin/smtpload -mode connect -addr 127.0.0.1:26032 -pid $OURDENY -c 40 -n 5000"
stop "$DENY"; stop "$OURDENY"

for clients in 200 1000; do
  for i in $(seq "${REPEAT:-5}"); do
    ours COLD || exit 1
    load banner "$COLD" 26030 $clients $clients | fields 'units|errors|p50_ms|p99_ms|max_ms' | sed "s/^/banner, $clients at once, cold: /"
    stop "$COLD"
  done
done

ours WAITS || exit 1
load idle "$WAITS" 26030 1 "${IDLE:-10000}" | fields 'conns|errors|user_kernel_per_conn_kib|pss_per_conn_kib|memavail_drop_per_conn_kib' | sed 's/^/idle: /'
stop "$WAITS"
