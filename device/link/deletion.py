"""A notice goes to the inbox: the owner asks for what was shared to be deleted. It is no door: no pixel is in it.

It says what the upload said, request and bundle, under the same one-time key. It is told when the inbox's pinned key
has signed for it, and not before; until then the very same bytes may be sent any number of times.
"""

from contextlib import AsyncExitStack

import httpx

from broker.wire.deletions import Deletion, DeletionReceipt
from broker.wire.encoding import WireError

from .errors import NoticeRefused, NoticeWaits, UploadRefused
from .inbox import Again, Inbox, inbox_address


async def tell_deletion(
    notice: bytes,
    *,
    inbox_url: str,
    inbox_key: bytes,
    client: httpx.AsyncClient | None = None,
    timeout_s: float = 30.0,
) -> bytes:
    """Give the inbox a notice once, and return its receipt for it, verified under `inbox_key` (32 bytes).

    Without `client` it makes one of its own, as for an upload. Raises NoticeRefused (final), NoticeWaits (call again).
    """
    said = Deletion.unverified(notice)
    async with AsyncExitStack() as stack:
        try:
            url = inbox_address(inbox_url)
            if client is None:
                client = await stack.enter_async_context(httpx.AsyncClient(trust_env=False))
            envelope = await Inbox(url, client=client, timeout_s=timeout_s).ask_deletion(notice)
        except UploadRefused as error:
            raise NoticeRefused(str(error)) from error
        except Again as error:
            raise NoticeWaits(str(error)) from error
    try:
        receipt = DeletionReceipt.open(envelope, key=inbox_key)
    except WireError as error:  # a page of something in between, say: it says nothing of the inbox
        raise NoticeWaits(f"the receipt does not hold: {error}") from error
    if (receipt.request, receipt.bundle_sha256) != (said.request, said.bundle_sha256):
        raise NoticeWaits("the receipt is for another bundle or another request")
    return envelope
