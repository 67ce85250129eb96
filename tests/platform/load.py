"""Asks one address a hundred times a second, half of the times on a new connection, until SIGTERM; then prints what became of it.

It asks as an operator, with a token that JWT_SECRET of the environment signs.
"""

import base64
import collections
import hashlib
import hmac
import http.client
import json
import os
import signal
import sys
import threading
import time
import urllib.parse

RATE = 100
WORKERS = 10
LIMIT_S = 10



def token() -> str:
    def part(data: bytes) -> str:
        return base64.urlsafe_b64encode(data).rstrip(b"=").decode()

    claims = {"sub": "drill", "role": "operator", "exp": int(time.time()) + 3600}
    signed = part(b'{"alg":"HS256"}') + "." + part(json.dumps(claims).encode())
    mac = hmac.new(os.environ["JWT_SECRET"].encode(), signed.encode(), hashlib.sha256)
    return signed + "." + part(mac.digest())


headers = {"Authorization": f"Bearer {token()}"}
url = urllib.parse.urlsplit(sys.argv[1])
over = threading.Event()
outcomes = collections.Counter()
slowest = [0.0] * WORKERS
lock = threading.Lock()


def ask(worker: int) -> None:
    connection = None
    step = WORKERS / RATE
    due = time.monotonic() + worker * step / WORKERS
    number = 0
    while not over.wait(max(0.0, due - time.monotonic())):
        due += step
        number += 1
        begun = time.monotonic()
        try:
            if connection is None or number % 2 == 0:
                connection = http.client.HTTPConnection(url.hostname, url.port, timeout=LIMIT_S)
            connection.request("GET", url.path, headers=headers)
            response = connection.getresponse()
            response.read()
            outcome = str(response.status)
            if response.will_close:
                connection = None
        except (OSError, http.client.HTTPException) as error:
            connection = None
            outcome = type(error).__name__
        slowest[worker] = max(slowest[worker], time.monotonic() - begun)
        with lock:
            outcomes[outcome] += 1


signal.signal(signal.SIGTERM, lambda *_: over.set())
threads = [threading.Thread(target=ask, args=(worker,)) for worker in range(WORKERS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(", ".join(f"{count} x {outcome}" for outcome, count in outcomes.most_common()), f"slowest {max(slowest):.2f} s")
