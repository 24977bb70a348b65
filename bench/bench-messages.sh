#!/bin/sh
# Messages a second, ours against Debian's other servers, as root. Ours are
# tcpserver with qmail-smtpd in the process and qmail-queued; CPU is that of all
# processes of a side. Postfix has a mail synced when it says 250, as we have;
# the others are not seen to sync. What ours leaves for later, laying messages
# out in qmail's format, is done before the other's turn; the last rows, ours
# alone, have its time and CPU. Nothing is deleted meanwhile: for a minute, ext4
# goes to great lengths not to use the inode of a file that was deleted.
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
      -a "$(load "$peer_port" "$peer_pid" "$size" "$clients" "$n")" -b "sh $W/settled $(load 26012 "$OURS" "$size" "$clients" "$n")"
  done
done
now() { date +%s%N; }
used() { cat /proc/"$OURS"/stat /proc/"$QUEUED"/stat | awk -v hz="$(getconf CLK_TCK)" '{ticks += $14 + $15} END {print int(ticks * 1000000 / hz)}'; }
n=${SUSTAINED:-20000}
began=$(now) before=$(used)
$(load 26012 "$OURS" 1024 40 "$n") | sed 's/^/sustained: /'
settle
echo "sustained: $n messages are in the queue after $((($(now) - began) / 1000000)) ms and $((($(used) - before) / n)) us of CPU each"
"$BIN/qmail-queue" --status | sed 's/^/status: /'
