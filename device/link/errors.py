"""The link's errors: what the peer at the other end did, and apart from it what was asked of us and may not be."""


class LinkError(Exception):
    """Something about carrying a message or a bundle went wrong; the message is one line for a person."""


class BrokerLost(LinkError):  # noqa: N818 - says what happened, and is retried
    """The broker can't be reached, turned us away, or went silent; `run()` tries again."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"broker {address}: {reason}")
        self.address = address
        self.reason = reason


class NotApproved(LinkError):  # noqa: N818 - the one refusal of ours
    """What was to be sent is not what the owner signed; nothing of it left, and trying again does not help."""


class UploadRefused(LinkError):  # noqa: N818 - the inbox's answer
    """The inbox said no, or broke its contract; final. `status` is the HTTP status, None where there was none."""

    def __init__(self, reason: str, *, status: int | None = None) -> None:
        super().__init__(reason)
        self.status = status


class NoticeRefused(LinkError):  # noqa: N818 - the inbox's answer
    """The inbox will never take a notice, since it does not know the bundle, say; final."""


class NoticeWaits(LinkError):  # noqa: N818 - the network's answer
    """A notice did not get through; the same call succeeds later."""


class UploadInterrupted(LinkError):  # noqa: N818 - the network's answer
    """The upload did not get through; what has arrived stays there, and the same call goes on from it later."""

    def __init__(self, reason: str, *, offset: int, total: int) -> None:
        super().__init__(f"{reason}; {offset} of {total} bytes have arrived")
        self.offset = offset
        self.total = total


class LogUnreadable(LinkError):  # noqa: N818 - the network's answer, or its server's
    """A file of the public log can't be had from one of those who serve it; `status` is the HTTP status, if any."""

    def __init__(self, name: str, path: str, reason: str, status: int | None = None) -> None:
        super().__init__(f"{name}: {path} {reason}")
        self.name = name
        self.path = path
        self.status = status
