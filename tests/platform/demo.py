"""Fills a running stack with something to look at, as users, visitors and n8n would: a session, calls of an agent, chats,
dispatches, tasks. Environment: what `make up` writes to target/devstack/env."""

import json
import os
import random
import time
import urllib.error
import urllib.request
import uuid

from visitor import Visitor

LIMIT_S = 30
DAY_S = 24 * 3600
CALLS = [
    ("Positive", "The caller asked for a parcel and got a date.", "User: I want my parcel.\nAgent: It comes tomorrow.\n"),
    ("Negative", "The caller complained about an invoice.", "User: The invoice is wrong.\nAgent: I will have it looked at.\n"),
    ("Neutral", "The caller asked for the opening hours.", "User: When are you open?\nAgent: From nine to five.\n"),
    ("Positive", "The caller ordered a second box.", "User: One more box, please.\nAgent: With pleasure.\n"),
    ("Unknown", "The caller hung up.", "Agent: Hello?\n"),
]
CHATS = [["Hello!", "What are your opening hours?"], ["Where is my order?"], ["I want to speak to a human"]]
TASKS = ["What are your opening hours?", "Write to the customer of order 4711", "Sum up yesterday's calls"]

env = os.environ


def ask(url: str, who: dict, body: dict) -> dict:
    headers = who | {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(request, timeout=LIMIT_S) as response:
            return json.load(response)
    except urllib.error.HTTPError as error:
        return json.load(error)


user = {"Authorization": f"Bearer {env['USER_TOKEN']}"}
machine = {"x-n8n-webhook-secret": env["WEBHOOK_SECRET"]}


def session() -> str:
    answer = ask(f"{env['SESSION_URL']}/api/ai-session/start", user, {"dailyCallLimit": 50})
    return "began" if answer["success"] else answer["error"]


def calls() -> str:
    agent = f"agent_demo_{uuid.uuid4().hex[:8]}"
    connected = ask(f"{env['RETELL_URL']}/api/retell/connect-agent", user, {"agentId": agent})
    if not connected["success"]:
        return connected["error"]
    for number in range(4 * len(CALLS)):
        sentiment, summary, transcript = random.choice(CALLS)
        took = random.randrange(20, 400)
        start = int((time.time() - took - random.random() * 0.5 * number * DAY_S) * 1000)
        call = {
            "call_id": f"call_{uuid.uuid4().hex}",
            "agent_id": agent,
            "call_type": "phone_call",
            "call_status": "ended",
            "direction": random.choice(["inbound", "outbound"]),
            "from_number": f"+1415555{random.randrange(100, 200):04d}",
            "to_number": "+14155550100",
            "start_timestamp": start,
            "end_timestamp": start + took * 1000,
            "duration_ms": took * 1000,
            "transcript": transcript,
            "call_cost": {"combined_cost": took / 10},
            "call_analysis": {"call_summary": summary, "user_sentiment": sentiment, "call_successful": sentiment != "Negative"},
        }
        ask(f"{env['RETELL_URL']}/api/n8n/retell-webhook", machine, {"event": "call_analyzed", "call": call})
    return f"{4 * len(CALLS)} of {agent}"


def chats() -> str:
    for said in CHATS:
        visitor = Visitor(env["CHAT_WS_URL"].removeprefix("ws://").removesuffix("/ws"), LIMIT_S)
        for text in said:
            visitor.say(text)
        visitor.leave()
    return str(len(CHATS))


def dispatches() -> str:
    said = []
    for _ in range(3):
        wanted = {"destination": f"614{random.randrange(10_000_000):08d}", "account_code": "demo"}
        answer = ask(f"{env['DISPATCH_URL']}/dispatch", machine, wanted)
        said.append(answer.get("status") or answer["error"])
    return ", ".join(said)


def tasks() -> str:
    for text in TASKS:
        ask(f"{env['TASK_CHAT_URL']}/api/tasks/assign-user-task", user, {"agentId": "default", "message": text})
    return str(len(TASKS))


for what in (session, calls, chats, dispatches, tasks):
    print(f"{what.__name__}: {what()}", flush=True)
