#compdef svc svstat svok svls svwait svscan supervise svscan-generator svcompat-migrate tcprules tcprulescheck tcpserver
# Completion in zsh of options and of service directories: those in /service
# where nothing has been typed, and any directory.

_svcompat_dirs() {
  local -a services
  services=(/service/*(N-/))
  (( ! $#services )) || [[ -n $PREFIX ]] || compadd -f -- $services
  _files -/
}

case $service in
svc)
  _arguments -s \
    '-u[up]' '-d[down]' '-o[once]' '-p[pause: SIGSTOP]' '-c[continue: SIGCONT]' \
    '-h[SIGHUP]' '-a[SIGALRM]' '-i[SIGINT]' '-t[SIGTERM]' '-k[SIGKILL]' \
    '-x[supervise exits when the service is down]' \
    '*:service directory:_svcompat_dirs'
  ;;
svstat)
  _arguments \
    '-o[print fields]:fields:_values -s , field name state pid want normally paused since seconds restarts error' \
    '--json[print JSON]' '--all-up[exit 1 unless all are up]' \
    '*:service directory:_svcompat_dirs'
  ;;
svls)
  _arguments '(*)-d[scan directory]:directory:_files -/' '*:service directory:_svcompat_dirs'
  ;;
svwait)
  _arguments '(-d -r)-u[wait until up]:seconds:' '(-u -r)-d[wait until down]:seconds:' \
    '(-u -d)-r[wait until restarted]:seconds:' '*:service directory:_svcompat_dirs'
  ;;
svscan)
  _arguments '--systemd[systemd runs the services]' ':scan directory:_files -/'
  ;;
svscan-generator)
  _arguments '--print[print the units]' ':scan directory:_files -/'
  ;;
svcompat-migrate)
  _arguments '--apply[move the services]' '--undo=[script that undoes it]:file:_files' \
    '--wait=[for each service]:seconds:' ':scan directory:_files -/'
  ;;
tcprules)
  _arguments '--explain[tell of lines that are no rules]' ':database:_files' ':new database:_files'
  ;;
tcprulescheck)
  _arguments '--explain[tell which line decides]' ':database:_files' ':rules:_files'
  ;;
tcpserver)
  _arguments '--exec[execute the program for each connection]' \
    '--maxconnip=[connections of an address]:number:' '--maxload=[load]:number:' \
    '--maxrateip=[connections of an address in a minute]:number:' \
    '-x[rules]:database:_files' ':host:_hosts' ':port:' ':program:_command_names -e' '*::arguments:_normal'
  ;;
*)
  _svcompat_dirs
  ;;
esac
