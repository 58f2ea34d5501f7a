"""What the open pages are told, and how many there may be."""

import json

from device.console.hub import MOST_STREAMS, MOST_WAITING, Hub
from tests.console.apart import apart


@apart
async def test_every_page_is_told_the_same_in_order() -> None:
    hub = Hub()
    pages = [hub.lines({"kind": "state", "locked": False}) for _ in range(3)]
    assert [json.loads(await anext(page))["kind"] for page in pages] == ["state"] * 3
    hub.tell("devices")
    hub.tell("tick", lock_in_s=3.5)
    for page in pages:
        assert json.loads(await anext(page)) == {"kind": "devices"}
        assert json.loads(await anext(page)) == {"kind": "tick", "lock_in_s": 3.5}


@apart
async def test_a_page_that_is_gone_is_not_counted() -> None:
    hub = Hub()
    page = hub.lines({"kind": "state"})
    await anext(page)
    assert hub.pages == 1
    await page.aclose()
    assert hub.pages == 0


@apart
async def test_what_was_said_last_is_still_heard_when_all_streams_end() -> None:
    hub = Hub()
    page = hub.lines({"kind": "state"})
    await anext(page)
    hub.tell("state", locked=True)
    hub.end()
    assert [json.loads(line) async for line in page] == [{"kind": "state", "locked": True}]
    assert hub.pages == 0


@apart
async def test_a_page_that_reads_nothing_is_let_go_and_the_others_go_on() -> None:
    hub = Hub()
    stuck, reader = hub.lines({"kind": "state"}), hub.lines({"kind": "state"})
    await anext(stuck)
    await anext(reader)
    for number in range(MOST_WAITING + 5):
        hub.tell("tick", number=number)
        assert json.loads(await anext(reader))["number"] == number
    assert hub.pages == 1
    assert len([line async for line in stuck]) < MOST_WAITING


@apart
async def test_there_are_only_so_many_pages_and_the_newest_is_one_of_them() -> None:
    hub = Hub()
    pages = [hub.lines({"kind": "state"}) for _ in range(MOST_STREAMS + 3)]
    for page in pages:
        await anext(page)
    assert hub.pages == MOST_STREAMS
    hub.tell("devices")
    assert json.loads(await anext(pages[-1])) == {"kind": "devices"}
