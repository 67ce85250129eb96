"""The peer of `dispatch-bridge-svc`: the same dial in FastAPI with LiveKit's client for Python and a row in PostgreSQL.

One process, as such a bridge is usually run. No idempotency, no window, no following: a row before the dial, the room, the
dispatch, the job, and the row again.
"""

import asyncio
import json
import os
import socket
import sys
import uuid
from contextlib import asynccontextmanager

import asyncpg
import uvicorn
from fastapi import FastAPI
from livekit import api
from pydantic import BaseModel

WORKER_WAIT_S = 5
SCHEMA = """
CREATE TABLE IF NOT EXISTS peer_dispatches (
    id uuid PRIMARY KEY, room text NOT NULL, destination text NOT NULL, account_code text NOT NULL, metadata jsonb NOT NULL,
    status text NOT NULL, dispatch_id text, job_id text, created_at timestamptz NOT NULL DEFAULT now())
"""


class Dispatch(BaseModel):
    destination: str
    account_code: str
    metadata: dict = {}


@asynccontextmanager
async def lifespan(app: FastAPI):
    # As many connections as the service has for its work.
    async with asyncpg.create_pool(os.environ["DATABASE_URL"], min_size=4, max_size=4) as pool:
        await pool.execute(SCHEMA)
        async with api.LiveKitAPI(failover=False) as livekit:
            app.state.pool, app.state.livekit = pool, livekit
            yield


app = FastAPI(lifespan=lifespan)


async def job_of(livekit: api.LiveKitAPI, room: str) -> str | None:
    """The job of a room's dispatch, as soon as a worker has taken it."""
    deadline = asyncio.get_running_loop().time() + WORKER_WAIT_S
    pause = 0.0
    while asyncio.get_running_loop().time() < deadline:
        await asyncio.sleep(pause)
        for dispatch in await livekit.agent_dispatch.list_dispatch(room):
            if dispatch.state.jobs:
                return dispatch.state.jobs[0].id
        pause = 0.02
    return None


@app.post("/dispatch")
async def dispatch(body: Dispatch):
    pool, livekit = app.state.pool, app.state.livekit
    key, room = uuid.uuid4(), f"outbound-{uuid.uuid4().hex[:10]}"
    metadata = json.dumps({**body.metadata, "destination": body.destination, "account_code": body.account_code})
    await pool.execute(
        "INSERT INTO peer_dispatches (id, room, destination, account_code, metadata, status) VALUES ($1, $2, $3, $4, $5, 'reserved')",
        key, room, body.destination, body.account_code, metadata,
    )
    await livekit.room.create_room(api.CreateRoomRequest(name=room, empty_timeout=600, departure_timeout=600))
    made = await livekit.agent_dispatch.create_dispatch(
        api.CreateAgentDispatchRequest(agent_name="nehos-outbound-agent", room=room, metadata=metadata)
    )
    job = await job_of(livekit, room)
    status = "dispatched" if job else "no_worker"
    await pool.execute(
        "UPDATE peer_dispatches SET status = $2, dispatch_id = $3, job_id = $4 WHERE id = $1", key, status, made.id, job
    )
    return {"dispatch_id": made.id, "job_id": job, "room": room, "status": status, "metadata": json.loads(metadata)}


if __name__ == "__main__":
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen(1024)
    print(f"listening {listener.getsockname()[1]}", flush=True)
    config = uvicorn.Config(app, log_level="warning", access_log=False)
    sys.exit(uvicorn.Server(config).run(sockets=[listener]))
