"""Writes to an agent as a user, and waits for the answer of n8n's workflow: task.py URL; environment: JWT_SECRET."""

import json
import os
import sys
import time
import urllib.parse
import urllib.request
import uuid

from people import token

LIMIT_S = 60
# How long one request may wait.
WAIT_S = 20
QUESTION = "What are your opening hours?"


def ask(path: str, body: dict | None = None) -> dict:
    headers = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json"}
    request = urllib.request.Request(url + path, json.dumps(body).encode() if body else None, headers)
    with urllib.request.urlopen(request, timeout=2 * WAIT_S) as response:
        return json.load(response)


url = sys.argv[1]
bearer = token(os.environ["JWT_SECRET"], f"user-{uuid.uuid4().hex}")
task = ask("/api/tasks/assign-user-task", {"agentId": "default", "message": QUESTION})["taskId"]
until = time.monotonic() + LIMIT_S
answers: list[dict] = []
while not answers and time.monotonic() < until:
    answers = ask(f"/api/communications/get-responses?wait={WAIT_S}&taskId={urllib.parse.quote(task)}")["responses"]
if not answers:
    sys.exit(f"n8n did not answer within {LIMIT_S} s: {ask(f'/api/tasks/{task}')}")
print(f"n8n answered: {answers[0]['response']}")
