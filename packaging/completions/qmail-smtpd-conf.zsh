#compdef qmail-smtpd-conf
_arguments '--import[take over an older service]' '--apply[write, not only tell]' \
  '--rules=[text of the rules]:file:_files' '*:service directory:_files -/'
