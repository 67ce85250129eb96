"""Asks one service of a cluster, until SIGTERM, and prints what became of it in one line:

    REQUESTS FAILED ACCEPTED SLOWEST-SECONDS OUTCOMES

Half of what it asks for is read, half is written (ACCEPTED counts what was written and acknowledged), half of it on a new
connection. Nothing is repeated, with one exception: visitors of the chat connect again and send again what has no ack, as
the widget does.

    load.py SERVICE ADDRESS      environment: JWT_SECRET, WEBHOOK_SECRETS, for the chat WS_ADDRESS
"""

import collections
import http.client
import itertools
import json
import os
import random
import signal
import sys
import threading
import time
import uuid

from people import token
from visitor import Visitor

WORKERS = 10
LIMIT_S = 10
# Requests a second; every write at dispatch-bridge-svc is a call of some seconds.
RATES = {"dispatch-bridge-svc": 10}
RATE = 60
READS = {
    "session-svc": "/api/ai-session/status",
    "chat-ws-svc": "/api/sessions",
    "retell-ingest-svc": "/api/retell/agent-status",
    "dispatch-bridge-svc": "/dispatches",
    "task-chat-svc": "/api/tasks",
}


service, address = sys.argv[1:]
run = uuid.uuid4().hex[:12]
as_user = {"Authorization": f"Bearer {token(os.environ['JWT_SECRET'], f'drill-{run}')}"}
# The first of the secrets, which may have a name in front.
as_machine = {"x-n8n-webhook-secret": os.environ["WEBHOOK_SECRETS"].split(",")[0].split(":")[-1]}


class Client:
    """One connection at a time."""

    def __init__(self) -> None:
        self.connection = None

    def ask(self, method: str, path: str, who: dict, body: dict | None = None) -> tuple[int, dict]:
        if self.connection is None:
            self.connection = http.client.HTTPConnection(address, timeout=LIMIT_S)
        headers = dict(who)
        if body is not None:
            headers |= {"Content-Type": "application/json", "Idempotency-Key": uuid.uuid4().hex}
        try:
            self.connection.request(method, path, json.dumps(body) if body is not None else None, headers)
            response = self.connection.getresponse()
            text = response.read()
        except (OSError, http.client.HTTPException):
            self.connection = None
            raise
        if response.will_close:
            self.connection = None
        return response.status, json.loads(text) if text.startswith(b"{") else {}

    def anew(self) -> None:
        if self.connection is not None:
            self.connection.close()
        self.connection = None


def start_session() -> str:
    status, body = Client().ask("POST", "/api/ai-session/start", as_user, {"dailyCallLimit": 10_000})
    if status != 201:
        sys.exit(f"no session starts: {status} {body}")
    return body["session"]["id"]


session = start_session() if service == "session-svc" else ""
numbers = itertools.count(random.randrange(10_000_000))
tasks = threading.local()


def write(client: Client, visitor: Visitor | None) -> tuple[str, bool]:
    """Writes what the service is for; the outcome, and whether it was acknowledged."""
    number = next(numbers)
    name = f"drill-{run}-{number}"
    if service == "session-svc":
        status, body = client.ask("POST", f"/api/ai-session/{session}/calls", as_machine, {"callId": name})
        return str(status), status == 200 and body["allowed"]
    if service == "chat-ws-svc":
        return visitor.say(name), True
    if service == "retell-ingest-svc":
        event = {"event": "call_started", "call": {"call_id": name, "agent_id": f"agent_{run}", "call_type": "web_call"}}
        status, _ = client.ask("POST", "/api/n8n/retell-webhook", as_machine, event)
        return str(status), status in (200, 202)
    if service == "dispatch-bridge-svc":
        wanted = {"destination": f"614{number % 40_000_000:08d}", "account_code": "drill"}
        status, body = client.ask("POST", "/dispatch", as_machine, wanted)
        return f"{status} {body.get('status', '')}".strip(), status == 200
    message = {"agentId": "default", "message": name}
    if getattr(tasks, "mine", None):
        message["taskId"] = tasks.mine
    status, body = client.ask("POST", "/api/tasks/assign-user-task", as_user, message)
    tasks.mine = body.get("taskId")
    return str(status), status == 201


over = threading.Event()
lock = threading.Lock()
outcomes = collections.Counter()
failed = accepted = 0
slowest = 0.0


def note(outcome: str, is_good: bool, is_kept: bool, took: float) -> None:
    global failed, accepted, slowest
    with lock:
        outcomes[outcome] += 1
        failed += not is_good
        accepted += is_kept
        slowest = max(slowest, took)


def work(worker: int) -> None:
    client = Client()
    visitor = Visitor(os.environ["WS_ADDRESS"], LIMIT_S) if service == "chat-ws-svc" else None
    step = WORKERS / RATES.get(service, RATE)
    due = time.monotonic() + worker * step / WORKERS
    for turn in itertools.count():
        if over.wait(max(0.0, due - time.monotonic())):
            break
        due += step
        if turn // 2 % 2:
            client.anew()
        begun = time.monotonic()
        is_kept = False
        try:
            if turn % 2:
                outcome, is_kept = write(client, visitor)
                is_good = is_kept
            else:
                status, _ = client.ask("GET", READS[service], as_user)
                outcome, is_good = str(status), status == 200
        except (OSError, http.client.HTTPException) as error:
            outcome, is_good = type(error).__name__, False
        note(outcome, is_good, is_kept, time.monotonic() - begun)
    if visitor:
        visitor.leave()
        with lock:
            outcomes["connected again"] += visitor.again


signal.signal(signal.SIGTERM, lambda *_: over.set())
threads = [threading.Thread(target=work, args=(worker,)) for worker in range(WORKERS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
again = outcomes.pop("connected again", 0)
said = [f"{count} x {outcome}" for outcome, count in outcomes.most_common()]
said += [f"sockets reconnected {again} times"] if again else []
print(outcomes.total(), failed, accepted, f"{slowest:.2f}", ", ".join(said))
