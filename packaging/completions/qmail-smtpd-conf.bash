# Completion in bash of the options of qmail-smtpd-conf.
complete -W '--apply --import --rules=' qmail-smtpd-conf
