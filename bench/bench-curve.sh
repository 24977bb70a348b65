#!/bin/sh
# Messages a second and p99 against the number of clients and the size of a
# message, as root: ours and Debian's other servers. The points go to
# bench/curve.tsv and the plot to docs/curve.svg.
#   CLIENTS="1 4 …"  SIZES="1024 …"  SERVERS="postfix …"
. "$(dirname "$0")/lib.sh"; ver
. "$B/servers.sh"
CLIENTS=${CLIENTS:-1 4 16 40 100 300 1000}
SIZES=${SIZES:-1024 16384 65536 262144 1048576}
point() { # NAME PORT SIZE CLIENTS MESSAGES
  "$B/bin/smtpload" -mode message -from= -addr "127.0.0.1:$2" -size "$3" -c "$4" -n "$5" | tr ' ' '\n' |
    awk -F= -v OFS='\t' -v name="$1" -v size="$3" -v clients="$4" '
      { of[$1] = $2 } END { print name, size, clients, of["per_s"], of["msg_p99_ms"], of["errors"] }'
}
each() { # SIZE CLIENTS MESSAGES
  point ours 26012 "$@"
  for server in $SERVERS; do
    eval "peer_port=\$PORT_$server"
    point "$server" "$peer_port" "$@"
  done
  clean
}
{
  for clients in $CLIENTS; do each 1024 "$clients" $((1000 + clients * 4)); done
  for size in $SIZES; do
    [ "$size" = 1024 ] || each "$size" 20 $((400 - size / 3500))
  done
  each 1024 20 1500
} | tee "$B/curve.tsv"
"$B/bin/plot" <"$B/curve.tsv" >"$B/../docs/curve.svg"
