"""A page taken apart, strictly enough to notice what does not belong in it."""

from html.parser import HTMLParser


class Tags(HTMLParser):
    """The tags, attributes and text of a page; raises on tags that don't close."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in {"meta", "link", "br", "img", "input"}:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data

    @property
    def links(self) -> list[str]:
        """Every address on the page, in order."""
        return [
            value
            for tag, attrs in self.tags
            for name, value in attrs.items()
            if name in {"href", "src", "action"} and value is not None
        ]
