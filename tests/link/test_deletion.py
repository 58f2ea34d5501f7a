"""A notice on its way: told when the inbox has signed for it, given up only on the inbox's own word."""

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from broker.wire.deletions import Deletion, DeletionReceipt
from broker.wire.envelopes import public_bytes
from broker.wire.inbox import UNKNOWN_BUNDLE
from broker.wire.records import Receipt
from device.link.deletion import tell_deletion
from device.link.errors import NoticeRefused, NoticeWaits

URL = "https://inbox.example/inbox"
KEY = Ed25519PrivateKey.from_private_bytes(b"one time".ljust(32, b"-"))
INBOX = Ed25519PrivateKey.from_private_bytes(b"inbox".ljust(32, b"-"))
REQUEST, DIGEST = "ab" * 32, "cd" * 32
NOTICE = Deletion(request=REQUEST, bundle_sha256=DIGEST, key=public_bytes(KEY), at=7).sign(KEY)
RECEIPT = DeletionReceipt(request=REQUEST, bundle_sha256=DIGEST, taken_at=9)


class Peer:
    """What answers at the inbox's address; it keeps what was said to it."""

    def __init__(self, *answers: Response) -> None:
        self.answers = list(answers)
        self.said: list[tuple[str, str, dict[str, str], bytes]] = []
        self.down = False

    async def answer(self, request: Request) -> Response:
        if self.down:
            raise httpx.ConnectError("no route")
        self.said.append((request.method, str(request.url), dict(request.headers), await request.body()))
        return self.answers.pop(0)

    async def tell(self, *, url: str = URL, inbox_key: bytes = public_bytes(INBOX)) -> bytes:
        app = Starlette(routes=[Route("/{rest:path}", self.answer, methods=["GET", "POST"])])
        async with httpx.AsyncClient(transport=httpx.ASGITransport(app), follow_redirects=True) as client:
            return await tell_deletion(NOTICE, inbox_url=url, inbox_key=inbox_key, client=client)


def error(status: int, code: str) -> Response:
    return JSONResponse({"error": {"code": code, "message": "it says so"}}, status_code=status)


@pytest.mark.parametrize("url", [URL, f"{URL}/"])
async def test_a_notice_is_told_when_the_inbox_has_signed_for_it(url: str) -> None:
    """Its exact bytes go, with nothing beside that tells of the device; the receipt is verified."""
    peer = Peer(Response(RECEIPT.sign(INBOX)))
    assert await peer.tell(url=url) == RECEIPT.sign(INBOX)
    ((method, asked, headers, body),) = peer.said
    assert (method, asked, body) == ("POST", f"{URL}/deletions", NOTICE)
    assert headers.keys() <= {
        "host", "tus-resumable", "user-agent", "accept-encoding", "content-type", "content-length",
    }  # fmt: skip
    assert headers["user-agent"] == "latchstring"


async def test_the_inbox_alone_says_no_for_good() -> None:
    """In its own form: that it knows no such bundle, or that the notice is not sound."""
    for answer in (error(404, UNKNOWN_BUNDLE), error(400, "bad-envelope")):
        with pytest.raises(NoticeRefused, match="it says so"):
            await Peer(answer).tell()


@pytest.mark.parametrize(
    "answer",
    [
        error(409, "incomplete"),
        error(503, "busy"),
        error(404, "not-found"),
        Response("<html>sign in to this network", status_code=200),
        Response("<html>not here", status_code=404),
        Response("forbidden", status_code=403),
        Response(b"", status_code=500),
        RedirectResponse("https://elsewhere.example/"),
        Response(RECEIPT.sign(KEY)),
        Response(RECEIPT.model_copy(update={"bundle_sha256": "ef" * 32}).sign(INBOX)),
        Response(RECEIPT.model_copy(update={"request": "ef" * 32}).sign(INBOX)),
        Response(Receipt(request=REQUEST, bundle_bytes=1, bundle_sha256=DIGEST, received_at=9).sign(INBOX)),
        Response(NOTICE),
    ],
    ids=range(13),
)
async def test_whatever_else_is_answered_it_waits(answer: Response) -> None:
    """By a portal, a proxy, a stranger, or an inbox that is busy: nobody was told, and the same bytes go again."""
    peer = Peer(answer, Response(RECEIPT.sign(INBOX)))
    with pytest.raises(NoticeWaits):
        await peer.tell()
    assert len(peer.said) == 1, "no redirect is followed"
    await peer.tell()
    assert peer.said[0][3] == peer.said[1][3] == NOTICE


async def test_an_inbox_that_is_away_waits() -> None:
    """A dead line says nothing."""
    peer = Peer()
    peer.down = True
    with pytest.raises(NoticeWaits, match="no route"):
        await peer.tell()


async def test_an_answer_without_end_is_not_read() -> None:
    """More than a receipt can have is no inbox's word, for good or bad."""
    with pytest.raises(NoticeWaits, match="more than"):
        await Peer(Response(b"x" * 200_000)).tell()


async def test_an_address_that_is_none_is_refused() -> None:
    """With a password or a query in it, say; nothing is sent."""
    peer = Peer()
    with pytest.raises(NoticeRefused, match="no inbox address"):
        await peer.tell(url="https://user:secret@inbox.example/inbox")
    assert peer.said == []
