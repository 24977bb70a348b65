#!/bin/bash
# Half of the full load for $1 minutes (60), in bench/machine. Each minute
# something is done to the service, and a line tells what its processes hold: KiB
# of memory, descriptors, threads, and where there are many, goroutines. A loop
# stands where qmail-send is otherwise: it takes messages out of the queue.
set -eu
cd /root
minutes=${1:-60}
queue=/var/qmail/queue
echo example.com >>/var/qmail/control/rcpthosts

# The Go runtime tells of its goroutines each 50 seconds; these lines are kept
# apart from the others, of which there are too many to find them.
for service in smtpd qmail-queue; do
  cd /service/$service
  echo schedtrace=50000,scheddetail=1 >env/GODEBUG
  mkdir log/goroutines
  chown qmaill log/goroutines
  sed -i 's,^ *\./main$,& "-*" "+* SCHED *" "+*   G*" ./goroutines,' log/run
  svc -t . log
done
cd /root
sleep 2

take() {
  cd $queue
  until [ -e /root/over ]; do
    find todo -type f -printf '%f\n' >/root/batch
    awk '{ print "mess/" $1 % 23 "/" $1; print "intd/" $1; print "todo/" $1 }' /root/batch | xargs -r rm -f
    wc -l </root/batch >>/root/taken
    sleep 1
  done
}
waiting() { qmail-queue --status | sed -n 's/^waiting: \([0-9]*\) .*/\1/p'; }
settle() { until [ "$(waiting)" = 0 ]; do sleep 0.1; done; }
taken() { awk '{ n += $1 } END { print n + 0 }' /root/taken; }
load() { ./smtpload -mode message -from= -addr 127.0.0.1:25 -size 1024 -c "$@"; }
of() { sed "s/.* $1=\([^ ]*\).*/\1/"; }

take &
began=$(date +%s%N)
full=$(load 40 -n 20000 | of msgs)
settle
rate=$((full * 500000000 / ($(date +%s%N) - began)))
echo "# full load is $((2 * rate)) messages a second until they are in the queue; $minutes minutes with $rate"

goroutines() {
  tail -n 3000 /service/$1/log/goroutines/current 2>/dev/null |
    awk '/ SCHED / { n = 0 } /  G[0-9]*: status=[^6]/ { n++ } END { print n + 0 }'
}
holds() { # UNIT
  local pid; pid=$(systemctl show -P MainPID "$1")
  echo "$(awk '/^VmRSS:/ { print $2 }' /proc/$pid/status)/$(ls /proc/$pid/fd | wc -l)/$(ls /proc/$pid/task | wc -l)"
}
load 40 -rate $rate -n $((rate * 60 * minutes)) -limit $((minutes + 5))m -maxerr 1000000 >load 2>load.errors &
printf 'minute\ttcpserver\tits log\tqmail-queued\tits log\tsvscan\tdone\n'
for minute in $(seq $minutes); do
  did=
  case $((minute % 10)) in
  0 | 5) did='new rules'; cd /service/smtpd; echo ":allow,MINUTE=\"$minute\"" >tcp; tcprules tcp.cdb tcp.tmp <tcp; cd /root ;;
  1 | 6) did='svc -h smtpd'; svc -h /service/smtpd ;;
  2) did='restart of the log'; svc -t /service/smtpd/log ;;
  3) did='restart of svscan'; systemctl restart svscan ;;
  4) did='daemon-reload'; systemctl daemon-reload ;;
  7) did='systemctl reload'; systemctl reload qmail-smtpd ;;
  esac
  case $((minute % 20)) in
  8) did='restart of smtpd'; svc -t /service/smtpd ;;
  9) did='restart of qmail-queue'; svc -t /service/qmail-queue ;;
  esac
  sleep 60
  printf '%s\t%s/%s\t%s\t%s/%s\t%s\t%s\t%s\n' $minute "$(holds qmail-smtpd)" $(goroutines smtpd) "$(holds qmail-smtpd-log)" \
    "$(holds qmail-queue)" $(goroutines qmail-queue) "$(holds qmail-queue-log)" "$(holds svscan)" "$did"
done
wait %2 || true
settle
sleep 2
touch over
wait
echo "# $(of msgs <load) messages accepted, $(of errors <load) attempts failed, p99 $(of msg_p99_ms <load) ms; $(($(taken) - full)) were in the queue"
sort load.errors | head -5
