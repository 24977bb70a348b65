# Steady mail: traffic.py PORT THREADS sends messages, one a connection, until
# its standard input ends. Each attempt carries its own id in its subject. A
# line tells what became of each: "ok ID QP" where the server said 250, else
# "no ID REASON".
import smtplib
import sys
import threading

port, threads = int(sys.argv[1]), int(sys.argv[2])
stop = threading.Event()
lock = threading.Lock()


def attempt(number):
    client = smtplib.SMTP(timeout=30)
    try:
        client.connect("127.0.0.1", port)
        client.helo("traffic")
        client.mail("<sender@example.org>")
        client.rcpt("<you@example.org>")
        code, reply = client.data(f"Subject: id={number};\r\n\r\n" + "line of text\r\n" * 20)
        if code != 250:
            return f"no {number} {code} {reply.decode()}"
        return f"ok {number} {reply.decode().split()[-1]}"
    except (OSError, smtplib.SMTPException) as error:
        return f"no {number} {error!r}"
    finally:
        client.close()


def send(thread):
    count = 0
    while not stop.is_set():
        line = attempt(f"{thread}-{count}")
        count += 1
        with lock:
            print(line, flush=True)
        if line.startswith("no"):
            stop.wait(0.02)


workers = [threading.Thread(target=send, args=(i,)) for i in range(threads)]
for worker in workers:
    worker.start()
sys.stdin.read()
stop.set()
for worker in workers:
    worker.join()
