"""What the client talks to: the stand-in of a running stack, and a real `livekit-server` where there is one."""

import json
import os
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

ENV_FILE = Path(__file__).parents[3] / "target/devstack/env"
REAL_SERVER = shutil.which("livekit-server")
START_TIME_S = 30
PATIENCE_S = 60


@dataclass(frozen=True)
class Server:
    url: str
    key: str
    secret: str


def setting(name: str) -> str:
    """A value of the running stack: from the environment, or else from what `make up` wrote."""
    if name in os.environ:
        return os.environ[name]
    written = ENV_FILE.read_text() if ENV_FILE.exists() else ""
    found = re.search(rf"^{name}='(.*)'$", written, re.MULTILINE)
    if not found:
        raise RuntimeError(f"{name} is not set: start the stack with `make up DETACH=1`")
    return found[1].replace("'\\''", "'")


def stand_in() -> Server:
    return Server(setting("STANDIN_LIVEKIT_URL"), setting("LIVEKIT_API_KEY"), setting("LIVEKIT_API_SECRET"))


class RealServer:
    """A `livekit-server` of its own on a free port."""

    def __enter__(self) -> Server:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        config = json.dumps({"port": port, "bind_addresses": ["127.0.0.1"], "keys": {"devkey": "s" * 40}})
        self.process = subprocess.Popen(
            [REAL_SERVER, "--config-body", config], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + START_TIME_S
        while True:
            try:
                urllib.request.urlopen(url, timeout=1).close()
                return Server(url, "devkey", "s" * 40)
            except OSError:
                if time.monotonic() > deadline or self.process.poll() is not None:
                    self.__exit__()
                    raise
                time.sleep(0.1)

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        self.process.wait(timeout=START_TIME_S)


def ask(url: str, body: object = None, headers: dict[str, str] | None = None) -> tuple[int, dict]:
    """One HTTP request with JSON both ways: a POST where there is a body."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"Content-Type": "application/json", **(headers or {})})
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE_S) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)
