"""What can go wrong with pictures: a source, a scene file, or a bitstream. Each says what, where and what to do."""


class VideoError(Exception):
    """Something about a source of pictures is wrong."""


class SourceError(VideoError):
    """A source can't be used: a wrong address, an unreadable file, no picture in it."""

    def __init__(self, *, source: str, reason: str) -> None:
        self.source = source
        self.reason = reason
        super().__init__(f"{source}: {reason}")


class SourceVanishedError(VideoError):
    """A live source stopped answering; it may come back, so the caller tries again."""

    def __init__(self, *, source: str, reason: str) -> None:
        self.source = source
        self.reason = reason
        super().__init__(f"{source}: {reason}")


class SceneError(VideoError):
    """A scene file is not what it should be; `key` is the dotted path of what is wrong."""

    def __init__(self, *, file: str, key: str, reason: str) -> None:
        self.file = file
        self.key = key
        self.reason = reason
        super().__init__(f"{file}: {key}: {reason}" if key else f"{file}: {reason}")


class BitstreamError(VideoError):
    """Coded pictures, H.264 unless told otherwise, that don't hold together."""

    def __init__(self, reason: str, *, codec: str = "H.264") -> None:
        self.reason = reason
        super().__init__(f"{codec}: {reason}")


class MuxError(VideoError):
    """These segments can't stand in one MP4 file, or this is no MP4 of ours."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(f"MP4: {reason}")
