# clients.py PORT FILE: connects again and again to a service that answers an
# id, and adds what became of each to a file: "N ok", "N refused" or "N lost",
# with the reason.
import os, signal, socket, sys, time

ended = []
signal.signal(signal.SIGTERM, lambda *_: ended.append(True))
port, path = int(sys.argv[1]), sys.argv[2]
n = sum(1 for _ in open(path)) if os.path.exists(path) else 0
log = open(path, "a", buffering=1)
while not ended:
    n += 1
    try:
        s = socket.create_connection(("127.0.0.1", port), timeout=30)
    except OSError as e:
        print(n, "refused", e, file=log)
        time.sleep(0.05)
        continue
    try:
        s.sendall(b"%d\n" % n)
        answer = s.makefile().read()
        print(n, "ok" if answer == f"served {n}\n" else f"lost {answer!r}", file=log)
    except OSError as e:
        print(n, "lost", e, file=log)
    s.close()
    time.sleep(0.02)
