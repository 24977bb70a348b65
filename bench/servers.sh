# Ours and the other SMTP servers, started on ports of 127.0.0.1, as root; after
# lib.sh. Ours are on 26012 with the process $OURS, another NAME on $PORT_NAME
# with $PID_NAME. clean empties the queues.
SERVERS=${SERVERS-postfix opensmtpd chasquid}
BIN=${BIN:-$B/../bin}
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
port=26020
for server in $SERVERS; do
  "$B/peer" "$server" || exit 1
  start "PID_$server" $port "$B/peer $server $port $W/$server" || exit 1
  eval "PORT_$server=$port"
  port=$((port + 1))
done
# What is before a load that is over only when ours have settled.
cat >"$W/settled" <<END
"\$@" || exit
until "$BIN/qmail-queue" --status | grep -q '^waiting: 0 '; do
  kill -0 $QUEUED || exit 111
  sleep 0.02
done
END
settle() { sh "$W/settled" true || exit; }
clean() {
  settle
  find "$QMAILHOME/queue/mess" "$QMAILHOME/queue/intd" "$QMAILHOME/queue/todo" -type f -delete
  [ ! -d "$W/postfix/spool/hold" ] || find "$W/postfix/spool/hold" -type f -delete
}
