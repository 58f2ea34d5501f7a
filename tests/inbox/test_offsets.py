"""Any sequence of writes leaves an upload at the offset that the writes allow, with exactly the bytes sent."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.inbox.support import TUS, World, chunk, creation, error_code

DATA = random.Random(9).randbytes(64)
WRITES = st.tuples(st.integers(0, 70), st.integers(0, 40), st.booleans())


@pytest.mark.slow
@settings(max_examples=60, deadline=None)
@given(writes=st.lists(WRITES, max_size=12))
async def test_writes(tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int, int, bool]]) -> None:
    """A write counts only at the offset, and only if it fits, restarts or not; the end is always reached."""
    world = World(tmp_path_factory.mktemp("offsets"))
    client = world.client()
    made = await client.post("/inbox", headers=creation(world.promise(DATA), len(DATA)))
    location, offset = made.headers["location"], 0
    for at, size, restarted in [*writes, (-1, 64, True)]:
        if restarted:
            client = world.client()
        begin = offset if at in {-1, 70} else at
        body = (DATA + bytes(64))[begin : begin + (size if at >= 0 else 64 - begin)]
        answer = await client.patch(location, headers=chunk(begin), content=body)
        if begin != offset:
            assert (answer.status_code, error_code(answer)) == (409, "offset-mismatch")
        elif begin + len(body) > len(DATA):
            assert (answer.status_code, error_code(answer)) == (413, "too-many-bytes")
        else:
            offset += len(body)
            assert (answer.status_code, answer.headers["upload-offset"]) == (204, str(offset))
        head = await client.head(location, headers=TUS)
        assert head.headers["upload-offset"] == str(offset)
    (bundle,) = world.open().bundles(world.leaf)
    assert bundle.path.read_bytes() == DATA
    world.close()
