"""What stands in the form: the texts as they were sent, and the values that a request file would hold. Pure."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from broker.wire.records import EXCLUDED_PURPOSES

MAX_BODY_BYTES = 65_536
_MAX_FIELDS = 100
LISTS = ("devices", "excludes")
TEXTS = (
    "agency", "case", "incident", "description", "at", "radius_m", "start", "end", "zone", "purpose", "retention_days",
    "sharing", "contact", "expires_in_days", "folder",
)  # fmt: skip
# What the page adds to a request file: whose request it is, and where the agency's folder is.
_NOT_IN_THE_FILE = frozenset({"agency", "folder"})
_BEGINNING = {"radius_m": "250", "retention_days": "30", "expires_in_days": "14", "folder": "agency"}


class FormError(Exception):
    """What was sent is not this form; the message says why."""


@dataclass(frozen=True, slots=True)
class Form:
    """The form's texts by field; lists are the boxes that were ticked."""

    texts: Mapping[str, str] = field(default_factory=lambda: dict.fromkeys(TEXTS, "") | _BEGINNING)
    ticked: Mapping[str, Sequence[str]] = field(
        default_factory=lambda: {"devices": ("doorbell", "camera"), "excludes": ()}
    )

    def values(self) -> dict[str, Any]:
        """Return the values that a request file would hold; what is no number stays a text, to be refused as one."""
        values: dict[str, Any] = {key: text for key, text in self.texts.items() if text and key not in _NOT_IN_THE_FILE}
        for key in ("radius_m", "retention_days"):
            if key in values:
                values[key] = _number(values[key], int)
        if "expires_in_days" in values:
            values["expires_in_days"] = _number(values["expires_in_days"], float)
        values["sharing"] = [line.strip() for line in self.texts["sharing"].split("\n") if line.strip()]
        values["devices"] = list(self.ticked["devices"])
        values["excludes"] = list(self.ticked["excludes"])
        return values


def parse_form(body: bytes) -> Form:
    """Parse a urlencoded form; raises FormError for anything that this form would not send."""
    try:
        pairs = parse_qsl(
            body.decode("ascii"),
            keep_blank_values=True,
            strict_parsing=True,
            errors="strict",
            max_num_fields=_MAX_FIELDS,
        )
    except ValueError as error:
        raise FormError("that is no form of this page") from error
    texts = dict.fromkeys(TEXTS, "")
    ticked: dict[str, list[str]] = {key: [] for key in LISTS}
    seen = set()
    for key, text in pairs:
        if key in ticked:
            ticked[key].append(_clean(text))
        elif key in texts and key not in seen:
            seen.add(key)
            texts[key] = _clean(text)
        else:
            raise FormError(f"the form has a field {key[:40]!r} that has no place in it")
    return Form(texts, {key: _in_order(key, boxes) for key, boxes in ticked.items()})


def _clean(text: str) -> str:
    """Return a text as a record takes it: a browser's line ends are not the agency's, nor are spaces around it."""
    return unicodedata.normalize("NFC", text.replace("\r\n", "\n")).strip()


def _in_order(key: str, boxes: list[str]) -> list[str]:
    known = EXCLUDED_PURPOSES if key == "excludes" else ("doorbell", "camera")
    return sorted(boxes, key=lambda box: (known.index(box) if box in known else len(known), box))


def _number(text: str, kind: type[int] | type[float]) -> int | float | str:
    try:
        return kind(text) if text.isascii() and "_" not in text else text
    except ValueError:
        return text
