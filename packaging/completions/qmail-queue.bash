# Completion in bash of the option of qmail-queue.
complete -W --status qmail-queue
