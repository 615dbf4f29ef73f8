"""Talks to the app of websocket_clients_spec.lua with Python's websockets.

talk.py PORT prints a line for each thing that has gone as it must.
"""
import asyncio
import sys

import websockets
from websockets.extensions.permessage_deflate import ClientPerMessageDeflateFactory

BASE = "ws://127.0.0.1:" + sys.argv[1]
OFFERS = {
    "plain": {"compression": None},
    "deflate": {},
    "no contexts": {"extensions": [ClientPerMessageDeflateFactory(
        server_no_context_takeover=True, client_no_context_takeover=True)]},
    "small windows": {"extensions": [ClientPerMessageDeflateFactory(
        server_max_window_bits=9, client_max_window_bits=10)]},
}
MESSAGES = ["", "x", "κόσμε", "x" * 125, "y" * 126, "line after line; " * 5000,
            b"", b"\x00\xff" * 70000, "z" * 1000000]


def say(*words):
    print(*words, flush=True)


async def echo(name, path):
    async with websockets.connect(BASE + path, max_size=None, **OFFERS[name]) as ws:
        for message in MESSAGES:
            await ws.send(message)
            assert await ws.recv() == message
        await ws.send(["in ", "frag", "ments"])
        assert await ws.recv() == "in fragments"
        for message in MESSAGES:
            await ws.send(message)
        for message in MESSAGES:
            assert await ws.recv() == message
        await (await ws.ping(b"there?"))
    assert ws.close_code == 1000, ws.close_code
    say("echo", path, name)


async def closes():
    for path, code, reason in (("/bye", 4001, "that is all"), ("/error", 1011, "")):
        async with websockets.connect(BASE + path) as ws:
            await ws.send("x")
            try:
                await ws.recv()
            except websockets.ConnectionClosed as e:
                assert (e.rcvd.code, e.rcvd.reason) == (code, reason), e
    say("closes")


async def refusals():
    for path, options, status in (
            ("/nowhere", {}, 404), ("/origin", {"origin": "https://evil.example"}, 403)):
        try:
            await websockets.connect(BASE + path, **options)
            raise AssertionError(path)
        except websockets.InvalidStatusCode as e:
            assert e.status_code == status, e
    say("refusals")


async def protocols():
    async with websockets.connect(BASE + "/protocols", subprotocols=["x", "b", "a"]) as ws:
        assert ws.subprotocol == "b"
    say("protocols")


async def pings():
    async with websockets.connect(BASE + "/pings", ping_interval=None) as ws:
        await asyncio.sleep(3)
        await ws.send("still there")
        assert await ws.recv() == "still there"
    say("pings")


async def topics():
    names = list(OFFERS) * 4
    all = [await websockets.connect(BASE + "/topic", **OFFERS[name]) for name in names]
    for ws in all:
        assert await ws.recv() == "subscribed"
    for i, ws in enumerate(all):
        text = ("message %d " % i) * 30
        await ws.send(text)
        for other in all:
            assert await asyncio.wait_for(other.recv(), 10) == text
    for ws in all:
        await ws.close(4000 + 7, "enough")
        assert ws.close_code == 4007
    say("topics")


async def main():
    for name in OFFERS:
        await echo(name, "/echo")
        await echo(name, "/takeover")
    await closes()
    await refusals()
    await protocols()
    await pings()
    await topics()


asyncio.run(main())
