"""A visitor of the chat: one WebSocket that is opened again when it ends, and messages that are sent until they are acked."""

import base64
import json
import os
import random
import socket
import struct
import time
import uuid

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10
# Between two tries.
PAUSE_S = 0.2


class Ended(Exception):
    pass


class Visitor:
    def __init__(self, address: str, limit_s: float) -> None:
        host, port = address.rsplit(":", 1)
        self.address = host, int(port)
        self.limit_s = limit_s
        self.resume = None
        self.stream = None
        self.again = -1

    def say(self, text: str) -> str:
        """Writes a message; `acked` once it is stored."""
        message = json.dumps({"type": "message", "text": text, "clientId": uuid.uuid4().hex})
        wanted = json.loads(message)["clientId"]
        until = time.monotonic() + self.limit_s
        while True:
            try:
                if self.stream is None:
                    self._connect()
                self._send(TEXT, message.encode())
                while (frame := self._frame()).get("clientId") != wanted:
                    pass
                if frame["type"] != "ack":
                    raise Ended(frame.get("code", frame["type"]))
                return "acked"
            except (OSError, Ended):
                self.leave()
                if time.monotonic() > until:
                    raise TimeoutError from None
                time.sleep(random.uniform(0, PAUSE_S))

    def leave(self) -> None:
        if self.stream is not None:
            self.stream.close()
            self.socket.close()
        self.stream = None

    def _connect(self) -> None:
        self.socket = socket.create_connection(self.address, self.limit_s)
        self.stream = self.socket.makefile("rb")
        protocols = "switchhook.v1" + (f", resume.{self.resume}" if self.resume else "")
        lines = [
            "GET /ws HTTP/1.1",
            "Host: drill",
            "Connection: Upgrade",
            "Upgrade: websocket",
            "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            f"Sec-WebSocket-Protocol: {protocols}",
        ]
        self.socket.sendall(("\r\n".join(lines) + "\r\n\r\n").encode())
        head = [self.stream.readline()]
        while head[-1] not in (b"\r\n", b""):
            head.append(self.stream.readline())
        if b" 101 " not in head[0]:
            raise Ended(head[0].decode())
        self.resume = self._frame()["resumeToken"]
        self.again += 1

    def _send(self, kind: int, payload: bytes) -> None:
        mask = os.urandom(4)
        size = bytes([0x80 | len(payload)]) if len(payload) < 126 else struct.pack("!BH", 0x80 | 126, len(payload))
        masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))
        self.socket.sendall(bytes([0x80 | kind]) + size + mask + masked)

    def _read(self, count: int) -> bytes:
        data = self.stream.read(count)
        if len(data) < count:
            raise Ended("closed")
        return data

    def _frame(self) -> dict:
        """The next text; nothing that the service sends is fragmented."""
        while True:
            first, second = self._read(2)
            size = second & 0x7F
            if size == 126:
                (size,) = struct.unpack("!H", self._read(2))
            elif size == 127:
                (size,) = struct.unpack("!Q", self._read(8))
            payload = self._read(size)
            kind = first & 0x0F
            if kind == TEXT:
                return json.loads(payload)
            if kind == CLOSE:
                raise Ended(str(struct.unpack("!H", payload[:2])[0]) if payload else "")
            if kind == PING:
                self._send(PONG, payload)
