"""A log that takes an entry before its witnesses confirm it: waited for, with an end, and never sent twice anew."""

import httpx
import pytest

from broker.agency import AgencyFolder, AwaitingError, LogClient, RemoteError, UnreachableError, post, update
from broker.agency.listing import earlier_posts, listed, unconfirmed
from broker.agency.post import confirm, requests
from broker.agency.updates import confirm_updates, updates
from broker.wire.merkle import leaf_hash
from broker.wire.proofs import verify_proof
from tests.agency.servers import FakeLog, FakeTime, http
from tests.agency.support import HOUR_US, NOW_US, make_request


def test_waited_for(folder: AgencyFolder) -> None:
    """The proof is asked for as often as the log says to, and the entry is sent once."""
    log, time = FakeLog(unpublished=3, retry_after="7"), FakeTime()
    posted = post(folder, make_request(folder.recipient()), log=log.client(time.patience()))
    assert (len(log.posts), time.slept) == (1, [2.0, 7.0, 7.0, 7.0])
    envelope = (posted.folder / "request.dsse.json").read_bytes()
    assert (
        verify_proof(envelope, (posted.folder / "request.tlog-proof").read_bytes(), folder.policy())[0] == posted.index
    )


@pytest.mark.parametrize("retry_after", ["", "soon", "-1", "Wed, 21 Oct 2026 07:28:00 GMT", "99999999", "0"])
def test_odd_pauses(folder: AgencyFolder, retry_after: str) -> None:
    """Whatever the log says of when to ask again, the pauses stay between a second and a quarter of a minute."""
    log, time = FakeLog(unpublished=2, retry_after=retry_after), FakeTime()
    post(folder, make_request(folder.recipient()), log=log.client(time.patience()))
    assert all(1 <= slept <= 15 for slept in time.slept)


def test_the_wait_has_an_end(folder: AgencyFolder) -> None:
    """After the time that is given it says what to do; the envelope is kept, and the next call sends the very same."""
    log, time = FakeLog(unpublished=10_000), FakeTime()
    request = make_request(folder.recipient())
    with pytest.raises(AwaitingError, match="latchstring agency status") as caught:
        post(folder, request, log=log.client(time.patience(60)))
    assert time.at_s == pytest.approx(60)
    assert [confirmed for _, _, confirmed in requests(folder)] == [False]
    assert confirm(folder, caught.value.leaf, log=log.client()) is None
    later = request.model_copy(update={"posted_at": NOW_US + HOUR_US})
    log.unpublished = 1
    posted = post(folder, later, log=log.client(time.patience(60)))
    assert (posted.leaf, posted.index) == (caught.value.leaf, caught.value.index)
    assert len(set(log.posts)) == 1


def test_confirmed_later(folder: AgencyFolder) -> None:
    """What was taken and not published in time is confirmed by asking for its proof, without sending anything."""
    log, time = FakeLog(unpublished=10_000), FakeTime()
    with pytest.raises(AwaitingError) as caught:
        post(folder, make_request(folder.recipient()), log=log.client(time.patience(5)))
    log.unpublished = 0
    assert [one.state for one in listed(folder, now_us=NOW_US)] == ["unconfirmed"]
    found = confirm(folder, caught.value.leaf, log=log.client())
    assert found is not None
    assert [one.state for one in listed(folder, now_us=NOW_US)] == ["open"]
    assert len(log.posts) == 1


def test_another_request_of_the_case_is_noticed(folder: AgencyFolder) -> None:
    """One that is not confirmed and says something else is named, and counts, before a case is posted again."""
    log, time = FakeLog(unpublished=10_000), FakeTime()
    request = make_request(folder.recipient())
    with pytest.raises(AwaitingError) as caught:
        post(folder, request, log=log.client(time.patience(5)))
    known = listed(folder, now_us=NOW_US)
    later = request.model_copy(update={"posted_at": NOW_US + HOUR_US})
    moved = request.model_copy(update={"end": request.end - 1})
    another = request.model_copy(update={"case": "26-0002"})
    assert unconfirmed(known, later) == unconfirmed(known, another) == []
    assert [one.leaf for one in unconfirmed(known, moved)] == [caught.value.leaf]
    assert (earlier_posts(known, later), earlier_posts(known, another)) == (0, 0)
    assert earlier_posts(known, moved) == 1


def test_a_log_that_forgot(folder: AgencyFolder) -> None:
    """An entry that was taken and lost is sent again as it is."""
    log, time = FakeLog(unpublished=1, forget=True), FakeTime()
    posted = post(folder, make_request(folder.recipient()), log=log.client(time.patience()))
    assert len(log.posts) == 2
    assert len(set(log.posts)) == 1
    assert log.log.entries[posted.index] == log.posts[0]


def test_a_line_that_breaks_while_waiting(folder: AgencyFolder) -> None:
    """A log that can't be reached for a while is waited for as well, and no longer."""
    log, time = FakeLog(unpublished=10_000), FakeTime()

    def breaking(request: httpx.Request) -> httpx.Response:
        if request.method == "GET" and 20 < time.at_s < 70:
            raise httpx.ConnectError("no route")
        if time.at_s >= 70:
            log.unpublished = 0
        return log(request)

    client = LogClient("http://broker/log", policy=folder.policy(), http=http(breaking), patience=time.patience())
    assert post(folder, make_request(folder.recipient()), log=client).index == 2
    assert len(log.posts) == 1


@pytest.mark.parametrize("code", ["posted-late", "signature"])
def test_outdated_envelopes_are_replaced(folder: AgencyFolder, code: str) -> None:
    """A request that was kept too long to be taken, and so is in no log, gives way to a new one in the same call."""
    log = FakeLog(down="before")
    request = make_request(folder.recipient())
    with pytest.raises(UnreachableError):
        post(folder, request, log=log.client())
    ((old, _, _),) = requests(folder)
    log.down = ""

    def late(sent: httpx.Request) -> httpx.Response:
        if leaf_hash(sent.content).hex() == old:
            return httpx.Response(422, json={"error": {"code": code, "message": "too late"}})
        return log(sent)

    client = LogClient("http://broker/log", policy=folder.policy(), http=http(late))
    posted = post(folder, request.model_copy(update={"posted_at": NOW_US + HOUR_US}), log=client)
    assert [(leaf, confirmed) for leaf, _, confirmed in requests(folder)] == [(posted.leaf, True)]
    assert posted.leaf != old


def test_what_was_logged_and_called_refused_is_not_posted_again(folder: AgencyFolder) -> None:
    """Somebody on the way logs the envelope and tells us that it came too late: a new one would be the second post."""
    log = FakeLog(down="after")
    request = make_request(folder.recipient())
    with pytest.raises(UnreachableError):
        post(folder, request, log=log.client())
    ((old, _, _),) = requests(folder)
    log.down = ""

    def late(sent: httpx.Request) -> httpx.Response:
        if sent.method == "POST":
            return httpx.Response(422, json={"error": {"code": "posted-late", "message": "too late"}})
        return log(sent)

    client = LogClient("http://broker/log", policy=folder.policy(), http=http(late))
    posted = post(folder, request.model_copy(update={"posted_at": NOW_US + HOUR_US}), log=client)
    assert posted.leaf == old
    assert [(leaf, confirmed) for leaf, _, confirmed in requests(folder)] == [(old, True)]


@pytest.mark.parametrize(
    "bend",
    [
        lambda body: body | {"leaf": "0" * 64},
        lambda body: body | {"index": -1},
        lambda body: body | {"index": True},
        lambda body: body | {"index": "2"},
        lambda _body: {},
    ],
)
def test_promises_that_are_none(folder: AgencyFolder, bend: object) -> None:
    """An answer that takes another entry, or none, is not waited on."""
    log, time = FakeLog(unpublished=1), FakeTime()
    log.bend = bend  # type: ignore[assignment]
    with pytest.raises(RemoteError):
        post(folder, make_request(folder.recipient()), log=log.client(time.patience()))
    assert time.slept == []
    assert [confirmed for _, _, confirmed in requests(folder)] == [False]


def test_updates_wait_too(folder: AgencyFolder) -> None:
    """An update is kept before it is sent, sent again as it is, and counts once it is proven."""
    log, time = FakeLog(), FakeTime()
    posted = post(folder, make_request(folder.recipient()), log=log.client())
    log.unpublished = 10_000
    for _ in range(2):
        with pytest.raises(AwaitingError):
            update(
                folder, posted.leaf, kind="answered", note="thank you", log=log.client(time.patience(5)), now_us=NOW_US
            )
    assert len(set(log.posts)) == 2
    assert confirm_updates(folder, posted.leaf, log=log.client()) == 1
    assert updates(folder, posted.leaf) == []
    log.unpublished = 0
    assert confirm_updates(folder, posted.leaf, log=log.client()) == 0
    assert [said.kind for said in updates(folder, posted.leaf)] == ["answered"]
    assert not list(posted.folder.glob("pending-*"))


def test_states(folder: AgencyFolder) -> None:
    """Answered leaves a request open, resolved and withdrawn close it, and withdrawn is the last word."""
    log = FakeLog()
    posted = post(folder, make_request(folder.recipient()), log=log.client())
    for kind, state in (("answered", "open"), ("resolved", "resolved"), ("withdrawn", "withdrawn")):
        update(folder, posted.leaf, kind=kind, note="said", log=log.client(), now_us=NOW_US)  # type: ignore[arg-type]
        assert [one.state for one in listed(folder, now_us=NOW_US)] == [state]
    another = post(folder, make_request(folder.recipient(), case="26-0002"), log=log.client())
    states = {one.leaf: one.state for one in listed(folder, now_us=NOW_US + 48 * HOUR_US)}
    assert states[another.leaf] == "expired"
