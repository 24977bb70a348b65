#!/bin/sh
# Messages a second with the durable 250, ours against Debian's Postfix, as
# root. Ours are tcpserver with qmail-smtpd in the process and qmail-queued;
# CPU is that of all processes of a side. The last rows are ours alone: until
# all messages are in qmail's format, and what a session costs.
#   ROWS: "size,clients,messages ..."
. "$(dirname "$0")/lib.sh"; ver
BIN=${BIN:-$B/../bin}
ROWS=${ROWS:-1024,1,1500 1024,40,6000 1048576,20,300}
export QMAILHOME="$W/qmail"
mkdir -p "$QMAILHOME/control" "$QMAILHOME/service"
echo mail.example.org >"$QMAILHOME/control/me"
"$BIN/qmail-queue-conf" root root "$QMAILHOME/service/queue" >/dev/null
ulimit -n 16384
# One process tree, so that the CPU of both is counted.
cat >"$W/ours" <<END
"$BIN/qmail-queued" &
exec "$BIN/tcpserver" -HRl0 -b 1000 -c 2000 127.0.0.1 26012 "$BIN/qmail-smtpd"
END
PATH=$BIN:$PATH start OURS 26012 "sh $W/ours" || exit 1
QUEUED=$(pgrep -P "$OURS" -x qmail-queued)
STARTED="$STARTED $QUEUED"
start POSTFIX 26020 "$B/postfix 26020 $W/postfix" || exit 1
settle() {
  until "$BIN/qmail-queue" --status | grep -q '^waiting: 0 '; do
    kill -0 "$QUEUED" || exit 111
    sleep 0.02
  done
}
clean() {
  settle
  find "$QMAILHOME/queue/mess" "$QMAILHOME/queue/intd" "$QMAILHOME/queue/todo" "$W/postfix/spool/hold" -type f -delete
}
load() { # PORT PID SIZE CLIENTS MESSAGES
  echo "$B/bin/smtpload -mode message -addr 127.0.0.1:$1 -pid $2 -size $3 -c $4 -n $5"
}
for row in $ROWS; do
  IFS=, read -r size clients n <<END
$row
END
  "$B/bin/ab" -warm -pairs "$PAIRS" -label "message $size c=$clients" -an postfix -bn ours \
    -keys per_s,mb_per_s,msg_p50_ms,msg_p99_ms,server_cpu_us_per_unit \
    -a "$(load 26020 "$POSTFIX" "$size" "$clients" "$n")" -b "$(load 26012 "$OURS" "$size" "$clients" "$n")"
  clean
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
