#compdef qmail-queue
_arguments '--status[print how the queue service is]'
