# Completion in bash of long options and of service directories: those in
# /service where nothing has been typed, and any directory.

_svcompat() {
  local command=${1##*/} word=$2 before=$3 options=
  case $command in
  svc) options='-u -d -o -p -c -h -a -i -t -k -x' ;;
  svstat) options='-o --json --all-up' ;;
  svls) options='-d' ;;
  svwait) options='-u -d -r' ;;
  svscan) options='--systemd' ;;
  svscan-generator) options='--print' ;;
  svcompat-migrate) options='--apply --undo= --wait=' ;;
  tcprules | tcprulescheck) options='--explain' ;;
  tcpserver) options='--exec --maxconnip= --maxload= --maxrateip=' ;;
  esac

  # bash takes --undo=file for three words
  if [[ $before == = || $word == = ]]; then
    [[ $word != = ]] || word=
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    return
  fi
  if [[ $command == svstat && $before == -o ]]; then
    mapfile -t COMPREPLY < <(compgen -W 'name state pid want normally paused since seconds restarts error' -- "$word")
    return
  fi
  if [[ $word == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$word")
    [[ ${#COMPREPLY[@]} != 1 || ${COMPREPLY[0]} != *= ]] || compopt -o nospace 2>/dev/null
    return
  fi
  compopt -o filenames 2>/dev/null
  case $command in
  tcprules | tcprulescheck | tcpserver)
    mapfile -t COMPREPLY < <(compgen -f -- "$word")
    ;;
  *)
    mapfile -t COMPREPLY < <(compgen -d -- "$word")
    [[ $word ]] || COMPREPLY+=(/service/*/)
    ;;
  esac
}

complete -F _svcompat svc svstat svok svls svwait svscan supervise \
  svscan-generator svcompat-migrate tcprules tcprulescheck tcpserver
