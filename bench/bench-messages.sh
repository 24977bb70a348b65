#!/bin/sh
# Messages a second, ours against Debian's other servers, as root. Ours are
# tcpserver with qmail-smtpd in the process and qmail-queued; CPU is that of all
# processes of a side. Postfix has a mail synced when it says 250, as we have;
# the others are not seen to sync. The last rows are ours alone: until all
# messages are in qmail's format, and what a session costs.
#   ROWS: "size,clients,messages ..."  SERVERS="postfix opensmtpd chasquid"
. "$(dirname "$0")/lib.sh"; ver
ROWS=${ROWS:-1024,1,1500 1024,40,6000 1048576,20,300}
. "$B/servers.sh"
load() { # PORT PID SIZE CLIENTS MESSAGES
  echo "$B/bin/smtpload -mode message -from= -addr 127.0.0.1:$1 -pid $2 -size $3 -c $4 -n $5"
}
for row in $ROWS; do
  IFS=, read -r size clients n <<END
$row
END
  for server in $SERVERS; do
    eval "peer_port=\$PORT_$server peer_pid=\$PID_$server"
    "$B/bin/ab" -warm -pairs "$PAIRS" -label "message $size c=$clients" -an "$server" -bn ours \
      -keys per_s,mb_per_s,msg_p50_ms,msg_p99_ms,server_cpu_us_per_unit \
      -a "$(load "$peer_port" "$peer_pid" "$size" "$clients" "$n")" -b "$(load 26012 "$OURS" "$size" "$clients" "$n")"
    clean
  done
done
now() { date +%s%N; }
began=$(now)
$(load 26012 "$OURS" 1024 40 "${SUSTAINED:-20000}") | sed 's/^/sustained: /'
settle
echo "sustained: ${SUSTAINED:-20000} messages are in the queue after $((($(now) - began) / 1000000)) ms"
"$BIN/qmail-queue" --status | sed 's/^/status: /'
clean
for clients in 1 40; do
  "$B/bin/smtpload" -mode session -addr 127.0.0.1:26012 -pid "$OURS" -c $clients -n 5000 | sed "s/^/session c=$clients: /"
done
