# Steady mail: traffic.py PORT THREADS sends messages, one a connection, until
# its standard input ends. Each attempt has its own id, which is its HELO name,
# its sender and in its subject. The first line is the pid; each other one tells
# what became of an attempt, by the client's port: "ok ID PORT QP" where the
# server said 250, "no ID PORT REASON" where it greeted, and else "no ID 0 REASON".
import os
import smtplib
import sys
import threading

port, threads = int(sys.argv[1]), int(sys.argv[2])
stop = threading.Event()
lock = threading.Lock()


def attempt(number):
    client = smtplib.SMTP(timeout=30)
    mine = 0
    try:
        client.connect("127.0.0.1", port)
        mine = client.sock.getsockname()[1]
        client.helo(number)
        client.mail(f"<{number}@example.org>")
        client.rcpt("<you@example.org>")
        code, reply = client.data(f"Subject: id={number};\r\n\r\n" + "line of text\r\n" * 20)
        if code != 250:
            return f"no {number} {mine} {code} {reply.decode()}"
        return f"ok {number} {mine} {reply.decode().split()[-1]}"
    except (OSError, smtplib.SMTPException) as error:
        return f"no {number} {mine} {error!r}"
    finally:
        client.close()


def send(thread):
    count = 0
    while not stop.is_set():
        line = attempt(f"{thread}-{count}")
        count += 1
        with lock:
            print(line, flush=True)
        stop.wait(0.01)  # and not the whole processor


print(os.getpid(), flush=True)
workers = [threading.Thread(target=send, args=(i,)) for i in range(threads)]
for worker in workers:
    worker.start()
sys.stdin.read()
stop.set()
for worker in workers:
    worker.join()
