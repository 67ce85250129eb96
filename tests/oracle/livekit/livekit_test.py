"""LiveKit's own Python client against the stand-in, against a real server where there is one, and against what the bridge dials."""

import asyncio
import json
import time
import unittest
import uuid

from livekit import api

from servers import PATIENCE_S, REAL_SERVER, RealServer, Server, ask, setting, stand_in

AGENT = "nehos-outbound-agent"
KIND_SIP = 3


def fresh(prefix: str) -> str:
    return f"{prefix}-{uuid.uuid4().hex[:10]}"


def number(ending: str = "0000") -> str:
    """A number that nobody has, and no other test."""
    return f"614{uuid.uuid4().int % 10**7:07d}{ending}"


async def eventually(what, look, wanted):
    """Asks until the answer is as wanted."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        answer = await look()
        if wanted(answer):
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not in time: {what}: {answer}")
        await asyncio.sleep(0.05)


class Calls(unittest.IsolatedAsyncioTestCase):
    """A client for each test."""

    server: Server

    async def asyncSetUp(self) -> None:
        self.client = api.LiveKitAPI(self.server.url, self.server.key, self.server.secret, failover=False)
        self.addAsyncCleanup(self.client.aclose)

    async def make_room(self, name: str) -> api.Room:
        request = api.CreateRoomRequest(name=name, empty_timeout=600, departure_timeout=600)
        return await self.client.room.create_room(request)

    async def dispatch(self, room: str, metadata: dict) -> api.AgentDispatch:
        request = api.CreateAgentDispatchRequest(agent_name=AGENT, room=room, metadata=json.dumps(metadata))
        return await self.client.agent_dispatch.create_dispatch(request)

    async def refused(self, call) -> str:
        with self.assertRaises(api.TwirpError) as caught:
            await call
        return caught.exception.code

    def control(self, path: str, body: object = None) -> dict:
        status, answer = ask(f"{self.server.url}{path}", body)
        self.assertEqual(status, 200, answer)
        return answer


class EveryServer:
    """What a LiveKit server does, a real one or the stand-in."""

    async def test_rooms_are_made_listed_and_deleted(self) -> None:
        name = fresh("room")
        made = await self.make_room(name)
        self.assertTrue(made.sid.startswith("RM_"))
        self.assertEqual((made.name, made.empty_timeout, made.departure_timeout), (name, 600, 600))
        self.assertEqual((await self.make_room(name)).sid, made.sid)
        listed = await self.client.room.list_rooms(api.ListRoomsRequest(names=[name]))
        self.assertEqual([room.sid for room in listed.rooms], [made.sid])
        people = await self.client.room.list_participants(api.ListParticipantsRequest(room=name))
        self.assertEqual(list(people.participants), [])
        await self.client.room.delete_room(api.DeleteRoomRequest(room=name))
        listed = await self.client.room.list_rooms(api.ListRoomsRequest(names=[name]))
        self.assertEqual(list(listed.rooms), [])

    async def test_dispatches_are_made_listed_and_deleted(self) -> None:
        name = fresh("room")
        await self.make_room(name)
        made = await self.dispatch(name, {"ticket_id": "INC-1"})
        self.assertTrue(made.id.startswith("AD_"))
        self.assertEqual((made.room, made.agent_name), (name, AGENT))
        listed = await self.client.agent_dispatch.list_dispatch(name)
        self.assertEqual([(one.id, json.loads(one.metadata)) for one in listed], [(made.id, {"ticket_id": "INC-1"})])
        self.assertGreater(listed[0].state.created_at, 10**18)
        self.assertEqual((await self.client.agent_dispatch.get_dispatch(made.id, name)).id, made.id)
        deleted = await self.client.agent_dispatch.delete_dispatch(made.id, name)
        self.assertEqual(deleted.id, made.id)
        self.assertEqual(await self.client.agent_dispatch.list_dispatch(name), [])
        await self.client.room.delete_room(api.DeleteRoomRequest(room=name))

    async def test_what_is_not_there_is_refused(self) -> None:
        name = fresh("nowhere")
        self.assertEqual(await self.refused(self.client.agent_dispatch.list_dispatch(name)), "unavailable")
        self.assertEqual(
            await self.refused(self.client.room.delete_room(api.DeleteRoomRequest(room=name))), "not_found"
        )
        await self.make_room(name)
        self.assertEqual(
            await self.refused(self.client.agent_dispatch.delete_dispatch("AD_none", name)), "not_found"
        )
        nobody = api.RoomParticipantIdentity(room=name, identity="nobody")
        self.assertEqual(await self.refused(self.client.room.get_participant(nobody)), "not_found")
        await self.client.room.delete_room(api.DeleteRoomRequest(room=name))

    async def test_a_dispatch_makes_its_room(self) -> None:
        name = fresh("made")
        await self.dispatch(name, {})
        listed = await self.client.room.list_rooms(api.ListRoomsRequest(names=[name]))
        self.assertEqual([room.name for room in listed.rooms], [name])
        await self.client.room.delete_room(api.DeleteRoomRequest(room=name))

    async def test_a_token_without_the_grant_is_refused(self) -> None:
        grants = api.VideoGrants(room_admin=True, room="another")
        token = api.AccessToken(self.server.key, self.server.secret).with_grants(grants).to_jwt()
        async with api.LiveKitAPI(self.server.url, token=token, failover=False) as limited:
            call = limited.agent_dispatch.list_dispatch(fresh("room"))
            self.assertEqual(await self.refused(call), "unauthenticated")


class TheStandIn(EveryServer, Calls):
    """What takes agents, telephones and a storage as well."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = stand_in()

    async def webhooks(self, room: str) -> list[api.WebhookEvent]:
        """What was sent about a room, as LiveKit's own receiver takes it."""
        receiver = api.WebhookReceiver(api.TokenVerifier(self.server.key, self.server.secret))
        sent = [entry for entry in self.control("/_log")["items"] if entry["direction"] == "sent"]
        events = [receiver.receive(entry["text"], entry["headers"]["authorization"]) for entry in sent]
        return [event for event in events if room in (event.room.name, event.egress_info.room_name)]

    async def test_an_agent_takes_the_job_dials_and_the_receiver_accepts_every_webhook(self) -> None:
        room, callee = fresh("room"), number()
        self.control("/_plan", {"destination": callee, "dialMs": 10, "ringMs": 50, "talkMs": 300})
        await self.make_room(room)
        made = await self.dispatch(room, {"destination": callee})

        async def jobs():
            return list((await self.client.agent_dispatch.list_dispatch(room))[0].state.jobs)

        job = (await eventually("a job", jobs, bool))[0]
        self.assertEqual((job.dispatch_id, job.room.name, job.agent_name), (made.id, room, AGENT))

        async def statuses():
            people = await self.client.room.list_participants(api.ListParticipantsRequest(room=room))
            return [one.attributes["sip.callStatus"] for one in people.participants if one.kind == KIND_SIP]

        await eventually("the answer", statuses, lambda found: found == ["active"])
        await eventually("the end", jobs, lambda found: found[0].state.ended_at > 0)
        await self.client.room.delete_room(api.DeleteRoomRequest(room=room))
        events = await eventually(
            "the webhooks", lambda: self.webhooks(room), lambda found: found and found[-1].event == "room_finished"
        )
        names = [event.event for event in events]
        self.assertEqual(names[0], "room_started")
        self.assertEqual((names.count("participant_joined"), names.count("participant_left")), (2, 2))
        left = next(event for event in events if event.event == "participant_left")
        self.assertEqual(left.participant.disconnect_reason, api.DisconnectReason.CLIENT_INITIATED)
        self.assertEqual(len({event.id for event in events}), len(events))

    async def test_a_receiver_takes_no_webhook_that_was_changed_or_signed_by_another(self) -> None:
        room = fresh("room")
        await self.make_room(room)

        async def sent():
            items = self.control("/_log")["items"]
            return [entry for entry in items if entry["direction"] == "sent" and room in entry["text"]]

        entry = (await eventually("a webhook", sent, bool))[0]
        token = entry["headers"]["authorization"]
        receiver = api.WebhookReceiver(api.TokenVerifier(self.server.key, self.server.secret))
        with self.assertRaisesRegex(Exception, "hash mismatch"):
            receiver.receive(entry["text"] + " ", token)
        stranger = api.WebhookReceiver(api.TokenVerifier(self.server.key, "another secret" * 3))
        with self.assertRaises(Exception):
            stranger.receive(entry["text"], token)
        await self.client.room.delete_room(api.DeleteRoomRequest(room=room))

    async def test_a_call_that_the_client_makes_is_answered_or_fails_with_the_carrier_s_words(self) -> None:
        def request(room: str, ending: str) -> api.CreateSIPParticipantRequest:
            return api.CreateSIPParticipantRequest(
                sip_trunk_id="ST_one",
                sip_call_to=number(ending),
                room_name=room,
                participant_identity="callee",
                wait_until_answered=True,
            )

        room = fresh("room")
        made = await self.client.sip.create_sip_participant(request(room, "0000"))
        self.assertEqual((made.participant_identity, made.room_name), ("callee", room))
        wanted = api.RoomParticipantIdentity(room=room, identity="callee")
        participant = await self.client.room.get_participant(wanted)
        self.assertEqual(participant.attributes["sip.callStatus"], "active")
        await self.client.room.remove_participant(wanted)
        await self.client.room.delete_room(api.DeleteRoomRequest(room=room))
        for ending, words in (("0486", (486, "Busy Here")), ("0403", (403, "Forbidden auth ID"))):
            with self.assertRaises(api.SipCallError) as caught:
                await self.client.sip.create_sip_participant(request(fresh("room"), ending))
            self.assertEqual((caught.exception.sip_status_code, caught.exception.sip_status), words)

    async def test_a_recording_starts_is_listed_stopped_and_has_its_file(self) -> None:
        room = fresh("room")
        await self.make_room(room)
        storage = api.S3Upload(access_key="key", secret="hidden-secret", bucket="recordings", region="eu-central-1")
        request = api.RoomCompositeEgressRequest(
            room_name=room,
            layout="speaker-dark",
            audio_only=True,
            file_outputs=[api.EncodedFileOutput(file_type=api.EncodedFileType.OGG, filepath="a/{room_name}.ogg", s3=storage)],
        )
        made = await self.client.egress.start_room_composite_egress(request)
        self.assertEqual((made.status, made.room_name), (api.EgressStatus.EGRESS_STARTING, room))

        async def recording():
            listed = await self.client.egress.list_egress(api.ListEgressRequest(room_name=room))
            self.assertEqual([one.egress_id for one in listed.items], [made.egress_id])
            return listed.items[0]

        await eventually("it runs", recording, lambda found: found.status == api.EgressStatus.EGRESS_ACTIVE)
        await self.client.egress.stop_egress(api.StopEgressRequest(egress_id=made.egress_id))
        done = await eventually("its end", recording, lambda found: found.status == api.EgressStatus.EGRESS_COMPLETE)
        self.assertEqual(done.file_results[0].location, f"https://recordings.s3.amazonaws.com/a/{room}.ogg")
        self.assertNotIn("hidden-secret", str(done))
        again = self.client.egress.stop_egress(api.StopEgressRequest(egress_id=made.egress_id))
        self.assertEqual(await self.refused(again), "failed_precondition")
        await self.client.room.delete_room(api.DeleteRoomRequest(room=room))


class TheBridge(Calls):
    """What the bridge dials, the client sees as the bridge told it."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.server = stand_in()

    async def test_the_client_shows_the_same_dispatch(self) -> None:
        callee = number()
        self.control("/_plan", {"destination": callee, "ending": "never"})
        headers = {"x-n8n-webhook-secret": setting("WEBHOOK_SECRET")}
        body = {"destination": callee, "account_code": fresh("oracle"), "metadata": {"ticket_id": "INC-7"}}
        url = f"{setting('DISPATCH_URL').rstrip('/')}/dispatch"
        status, told = await asyncio.to_thread(ask, url, body, headers)
        self.assertEqual((status, told.get("status") in ("dispatched", "ringing")), (200, True), told)
        shown = await self.client.agent_dispatch.list_dispatch(told["room"])
        self.assertEqual([(one.id, one.room) for one in shown], [(told["dispatch_id"], told["room"])])
        self.assertEqual([job.id for job in shown[0].state.jobs], [told["job_id"]])
        self.assertEqual(shown[0].agent_name, told["agent_name"])
        metadata = json.loads(shown[0].metadata)
        self.assertEqual({name: metadata[name] for name in told["metadata"]}, told["metadata"])
        self.assertEqual((metadata["destination"], metadata["ticket_id"]), (callee, "INC-7"))
        rooms = await self.client.room.list_rooms(api.ListRoomsRequest(names=[told["room"]]))
        self.assertEqual((rooms.rooms[0].empty_timeout, rooms.rooms[0].departure_timeout), (600, 600))
        await self.client.room.delete_room(api.DeleteRoomRequest(room=told["room"]))


@unittest.skipUnless(REAL_SERVER, "there is no livekit-server on the PATH")
class ARealServer(EveryServer, Calls):
    """LiveKit itself. Telephones, agents and storage are not at hand here."""

    @classmethod
    def setUpClass(cls) -> None:
        running = RealServer()
        cls.server = running.__enter__()
        cls.addClassCleanup(running.__exit__)


if __name__ == "__main__":
    unittest.main()
