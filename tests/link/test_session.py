"""A link to a real broker, ours and Mosquitto: what is said arrives, in order, through cuts and silences."""

from pathlib import Path

from structlog.testing import capture_logs

from broker.mqtt import AccessPolicy, Role
from broker.wire import topics
from device.link.links import request_mailbox, request_subscriptions
from device.link.retained import RetainedTable
from device.link.session import MqttLink
from device.vault.state import State
from tests.link.proxy import proxy_to
from tests.link.session_support import CELL, address, links_to
from tests.link.support import PROMPT, eventually, in_background, open_outbox, reader, say
from tests.mqtt.support import password, running, user

REQUEST = topics.request(CELL, "ab" * 32)


async def test_what_waits_in_the_outbox_is_published_in_order_and_let_go(port: int, state: State) -> None:
    """Messages from before and during the connection arrive in order, and leave the box on their PUBACK."""
    outbox = open_outbox(state)
    say(outbox, state, 30)
    link = links_to(port, outbox).home
    async with reader(port) as collector, in_background(link.run()):
        await eventually(lambda: len(collector.seqs()) == 30)
        say(outbox, state, 30)
        link.wake()
        await eventually(lambda: outbox.stats().messages == 0 and len(collector.seqs()) >= 60)
        assert collector.seqs() == list(range(1, 61))
        assert link.health.connected
        await eventually(lambda: link.health.published == 60)


async def test_retained_topics_are_published_on_connecting_and_as_they_change(port: int, state: State) -> None:
    """What the table holds stands at the broker after connecting, and follows each change."""
    retained = RetainedTable()
    retained.set("latchstring/porch/motion", b"OFF")
    link = links_to(port, open_outbox(state), retained=retained).home
    async with reader(port) as watcher, in_background(link.run()):
        await eventually(lambda: watcher.last("latchstring/porch/motion") == b"OFF")
        assert watcher.last("latchstring/porch/availability") == b"online"
        retained.set("latchstring/porch/motion", b"ON")
        link.wake()
        await eventually(lambda: watcher.last("latchstring/porch/motion") == b"ON")
        async with reader(port, name="late") as late:
            await eventually(lambda: late.last("latchstring/porch/motion") == b"ON")
            assert late.of("latchstring/porch/motion")[0].retained


async def test_retained_topics_are_published_again_when_home_assistant_starts(port: int, state: State) -> None:
    """Its birth message brings all of them again; a retained one does not, since connecting has done so already."""
    retained = RetainedTable()
    retained.set("latchstring/porch/privacy", b"OFF")
    link = links_to(port, open_outbox(state), retained=retained).home
    async with reader(port) as watcher:
        await watcher.publish("homeassistant/status", b"online", retain=True)
        async with in_background(link.run()):
            await eventually(lambda: len(watcher.of("latchstring/porch/privacy")) == 1)
            await watcher.publish("homeassistant/status", b"offline")
            await watcher.publish("homeassistant/status", b"online")
            await eventually(lambda: len(watcher.of("latchstring/porch/privacy")) == 2)
            await eventually(lambda: len(watcher.of("latchstring/porch/availability")) == 2)
    assert len(watcher.of("latchstring/porch/privacy")) == 2


async def test_availability_is_offline_after_an_abrupt_end_and_after_a_polite_one(port: int, state: State) -> None:
    """The last will speaks when the connection breaks; a device that is stopped says it by itself."""
    outbox = open_outbox(state)
    said = "latchstring/porch/availability"
    async with reader(port, said) as watcher, proxy_to(port) as proxy:
        link = links_to(proxy.port, outbox).home
        async with in_background(link.run()):
            await eventually(lambda: watcher.last(said) == b"online")
            proxy.refuse = True
            proxy.cut()
            await eventually(lambda: watcher.last(said) == b"offline")
            proxy.refuse = False
            await eventually(lambda: watcher.last(said) == b"online")
        await eventually(lambda: watcher.last(said) == b"offline")
        assert [message.payload for message in watcher.of(said)] == [b"online", b"offline"] * 2


async def test_requests_go_to_the_mailbox_and_nothing_is_acknowledged(port: int) -> None:
    """What the neighbourhood link sends is the same bytes whether requests come in or not: connect, subscribe, part."""
    assert await _transcript(port, announcements=0) == await _transcript(port, announcements=50)


async def _transcript(port: int, *, announcements: int) -> bytes:
    requests = request_mailbox()
    async with proxy_to(port) as proxy, reader(port) as operator:
        link = MqttLink(
            address(proxy.port),
            subscriptions=request_subscriptions(cell=CELL, requests=requests),
            publishing=None,
            timing=PROMPT,
        )
        async with in_background(link.run()):
            await eventually(lambda: link.health.connected)
            for number in range(announcements):
                await operator.publish(topics.request(CELL, f"{number:064x}"), b"a request")
            await operator.publish(topics.CHECKPOINT, b"checkpoint")
            await eventually(lambda: requests.waiting == announcements + 1)
        await eventually(lambda: proxy.upstream[-2:] == b"\xe0\x00")  # DISCONNECT
        assert not [message for message in operator.seen if message.topic.startswith("latchstring/porch")]
        return bytes(proxy.upstream)


async def test_the_newest_announcement_of_a_request_is_what_waits(port: int, state: State) -> None:
    """An update replaces the request that it updates; a cleared topic comes through as an empty payload."""
    requests = request_mailbox()
    link = links_to(port, open_outbox(state), requests=requests, neighbourhood=port).home
    async with reader(port, "none") as operator:
        await operator.publish(REQUEST, b"first", retain=True)
        async with in_background(link.run()):
            await eventually(lambda: requests.waiting == 1)
            await operator.publish(REQUEST, b"second", retain=True)
            await operator.publish(REQUEST, b"", retain=True)
            await operator.publish(topics.CHECKPOINT, b"note")
            await eventually(lambda: requests.waiting == 2)
            assert requests.take_all() == [(REQUEST, b""), (topics.CHECKPOINT, b"note")]


async def test_what_is_too_large_or_does_not_parse_is_dropped_and_counted(simple_port: int, state: State) -> None:
    """Oversized payloads are dropped before parsing, malformed ones after; neither stops the link, both are counted."""
    asked: list[bool] = []
    requests = request_mailbox()
    outbox = open_outbox(state, receipts=True)
    links = links_to(simple_port, outbox, requests=requests, neighbourhood=simple_port, set_privacy=asked.append)
    link = links.home
    async with reader(simple_port, "none") as somebody, in_background(link.run()):
        await eventually(lambda: link.health.connected)
        with capture_logs() as lines:
            await somebody.publish(REQUEST, b"x" * (topics.MAX_ANNOUNCEMENT_BYTES + 1))
            for payload in (b"", b"on", b"1", b"\xff\xfe"):
                await somebody.publish("latchstring/porch/privacy/set", payload)
            for payload in (b"{}", b'{"epoch":"a","seq":-1}', b"[" * 200, b'{"epoch":"a","seq":1,"seq":2}'):
                await somebody.publish("latchstring/porch/receipt", payload)
            await somebody.publish("latchstring/porch/privacy/set", b"ON")
            await eventually(lambda: asked == [True])
    assert (link.health.oversized, link.health.malformed) == (1, 8)
    assert requests.waiting == 0
    dropped = [line for line in lines if line["event"] == "message_dropped"]
    assert [line["count"] for line in dropped if line["kind"] == "malformed"] == [1, 2, 4, 8]  # not a line a message


async def test_a_retained_privacy_command_is_no_command(simple_port: int, state: State) -> None:
    """A command kept by the broker was meant for another time: it may not switch the camera at each reconnect."""
    asked: list[bool] = []
    link = links_to(simple_port, open_outbox(state), set_privacy=asked.append).home
    async with reader(simple_port, "none") as owner:
        await owner.publish("latchstring/porch/privacy/set", b"OFF", retain=True)
        async with in_background(link.run()):
            await eventually(lambda: link.health.connected)
            await owner.publish("latchstring/porch/privacy/set", b"ON")
            await eventually(lambda: len(asked) > 0)
    assert asked == [True]


async def test_receipts_let_go_and_what_is_not_receipted_is_sent_again(port: int, state: State) -> None:
    """A reader that is told to send receipts gets what lies after its last one again, until it confirms it."""
    outbox = open_outbox(state, receipts=True)
    link = links_to(port, outbox).home
    async with reader(port, "latchstring/porch/event") as collector, in_background(link.run()):
        say(outbox, state, 5)
        link.wake()
        await eventually(lambda: len(collector.seqs()) >= 5)
        assert outbox.stats().messages == 5
        await collector.publish("latchstring/porch/receipt", b'{"epoch": "epoch-1", "seq": 3}')
        await eventually(lambda: outbox.stats().oldest_seq == 4)
        await eventually(lambda: collector.seqs().count(5) >= 2)
        assert link.health.resend_rounds > 0
        await collector.publish("latchstring/porch/receipt", b'{"epoch":"epoch-1","seq":5}')
        await eventually(lambda: outbox.stats().messages == 0)
    assert collector.seqs()[:5] == [1, 2, 3, 4, 5]


async def test_everything_arrives_through_cuts_at_any_byte(port: int, state: State) -> None:
    """A connection that breaks after n bytes, for many n, costs repeats and never a message or the order."""
    outbox = open_outbox(state)
    async with reader(port, "latchstring/porch/event") as collector, proxy_to(port) as proxy:
        link = links_to(proxy.port, outbox).home
        async with in_background(link.run()):
            for cut_after in range(30, 1_000, 97):
                say(outbox, state, 20)  # some 1,600 bytes
                proxy.cut_after = cut_after
                link.wake()
                await eventually(lambda: outbox.stats().messages == 0)
        await eventually(lambda: 200 in collector.seqs())
    first_seen = list(dict.fromkeys(collector.seqs()))
    assert first_seen == list(range(1, 201))
    assert link.health.connections > 5


async def test_two_brokers_get_two_links_and_one_broker_one(simple_port: int, state: State) -> None:
    """Equal addresses share a connection; without a neighbourhood there is the home link alone."""
    outbox = open_outbox(state)
    shared = links_to(simple_port, outbox, neighbourhood=simple_port)
    assert shared.home is shared.neighbourhood
    assert shared.all == (shared.home,)
    apart = links_to(simple_port, outbox, neighbourhood=simple_port + 1)
    assert apart.neighbourhood is not None
    assert apart.all == (apart.home, apart.neighbourhood)
    assert links_to(simple_port, outbox).all[1:] == ()


async def test_a_device_with_its_own_name_and_password_does_all_of_this_under_the_policy(
    kind: str, tmp_path: Path, state: State
) -> None:
    """Under the policy that both brokers get, the device may do what the link does.

    No subscription is refused, all arrives.
    """
    policy = AccessPolicy(users=(user("porch", Role.DEVICE), user("anna", Role.OWNER)))
    outbox = open_outbox(state, receipts=True)
    say(outbox, state, 3)
    async with running(kind, folder=tmp_path / "policy", policy=policy) as port:
        links = links_to(port, outbox, neighbourhood=port, username="porch", password=password("porch").decode())
        owner = {"username": "anna", "password": password("anna").decode()}
        async with reader(port, "latchstring/#", name="anna", **owner) as anna, in_background(links.home.run()):
            await eventually(lambda: anna.seqs()[:3] == [1, 2, 3])
            await anna.publish("latchstring/porch/receipt", b'{"epoch":"epoch-1","seq":3}')
            await eventually(lambda: outbox.stats().messages == 0)
            assert links.home.health.refused == ()
