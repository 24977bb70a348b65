# complete.zsh DIR COMMAND WORD: prints what zsh completes the word to, by way
# of a zsh on a terminal of its own
zmodload zsh/zpty || exit 1
found=$(mktemp) setup=$(mktemp)
cat >$setup <<'EOT'
fpath=($dir $fpath)
autoload -Uz compinit
compinit -u -D
compadd() {
  local -a hits words
  local -A own
  words=($@)
  # where a function only wants to know what matches
  if [[ ${(M)words[1,(i)(-|--)]:#-[OAD]} ]]; then
    builtin compadd "$@"
    return
  fi
  builtin compadd -O hits "$@"
  zparseopts -E -D -A own p: P: S:
  print -rl -- ${^hits/#/$IPREFIX${own[-P]}${own[-p]}}${own[-S]% } >>$found
  builtin compadd "$@"
}
ask() { zle complete-word; exit }
zle -N ask
bindkey '^I' ask
EOT
export found dir=$1
zpty shell zsh -f
zpty -w shell ". $setup"
zpty -w -n shell "$2 $3"$'\t'
while zpty -r shell line; do seen+=$line; done
sort -u $found
rm $found $setup
