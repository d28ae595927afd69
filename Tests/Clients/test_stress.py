"""The loads of scripts/stress-server with small counts."""

import asyncio

import pytest
import stress


@pytest.mark.parametrize(
    "load, options",
    [
        (stress.streams, {"count": 100, "kinds": 10, "tokens": 100}),
        (stress.malformed, {"count": 600}),
        (stress.mixed, {"minutes": 0.1}),
        (stress.killed, {}),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_load(start, load, options):
    with start(*stress.OPTIONS.get(load.__name__, [])) as server:
        asyncio.run(load(server, **options))
