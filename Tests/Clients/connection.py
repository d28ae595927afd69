"""A client of HTTP/1.1 over asyncio that sends what it is told, right or wrong, and takes no answer that is cut short."""

import asyncio
import contextlib
import json


class CutShort(Exception):
    """The connection ended before the answer did."""


class Answer:
    """The head of an answer, and its body as it arrives."""

    def __init__(self, reader, status, headers):
        self.reader, self.status, self.headers = reader, status, headers

    async def parts(self):
        """The bytes of the body."""
        if "chunked" in self.headers.get("transfer-encoding", ""):
            while size := int(await line(self.reader), 16):
                yield await exactly(self.reader, size)
                await line(self.reader)
            await line(self.reader)
        elif length := int(self.headers.get("content-length", 0)):
            yield await exactly(self.reader, length)

    async def body(self):
        return b"".join([part async for part in self.parts()])


async def line(reader):
    text = await reader.readline()
    if not text.endswith(b"\n"):
        raise CutShort
    return text.strip().decode("latin-1")


async def exactly(reader, size):
    try:
        return await reader.readexactly(size)
    except asyncio.IncompleteReadError:
        raise CutShort from None


@contextlib.asynccontextmanager
async def exchange(port, request, ends=False):
    """Sends the bytes of a request on a connection of its own, and reads the head of the answer.

    With `ends` the server is told that nothing more comes.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=1 << 20)
    try:
        writer.write(request)
        # A server may answer and close before it has read everything.
        with contextlib.suppress(ConnectionError):
            await writer.drain()
            if ends:
                writer.write_eof()
        first = await line(reader)
        headers = {}
        while field := await line(reader):
            name, _, value = field.partition(":")
            headers[name.lower()] = value.strip()
        yield Answer(reader, int(first.split()[1]), headers)
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def post(path, body, *headers):
    """The bytes of a request with a JSON body, or with bytes."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    lines = [f"POST {path} HTTP/1.1", "Host: 127.0.0.1", "Content-Type: application/json",
             f"Content-Length: {len(data)}", *headers]  # fmt: skip
    return "\r\n".join([*lines, "", ""]).encode() + data


async def ask(port, path, body):
    """The status and the JSON of an answer."""
    async with exchange(port, post(path, body)) as answer:
        return answer.status, json.loads(await answer.body())


async def events(answer):
    """The objects of a stream of server-sent events; an error if it does not end with [DONE]."""
    rest, done = b"", False
    async for part in answer.parts():
        *whole, rest = (rest + part).split(b"\n\n")
        for event in whole:
            if event == b"data: [DONE]":
                done = True
            elif event.startswith(b"data: "):
                yield json.loads(event[6:])
    if not done:
        raise CutShort
