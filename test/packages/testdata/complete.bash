# complete.bash DIR COMMAND WORD: prints what bash completes the word to
. "$1/$2"
spec=$(complete -p "$2")
case $spec in
*' -F '*)
  COMP_WORDS=("$2" "$3") COMP_CWORD=1
  COMPREPLY=()
  _svcompat "$2" "$3" "$2"
  printf '%s\n' "${COMPREPLY[@]}"
  ;;
*)
  spec=${spec#complete }
  eval "compgen ${spec% *} -- '$3'"
  ;;
esac
