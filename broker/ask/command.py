"""What the page hands to an agency: a request file, and the command lines that post it. Pure.

A command line is for a POSIX shell; whatever an agency typed stands in it as one word. Values are joined to their flags
by `=`, so that none that begins with a dash is taken for a flag.
"""

import json
import re
import shlex
from collections.abc import Mapping
from typing import Any

from broker.agency import RequestDraft
from broker.wire.geo import E7, Point

_PROGRAM = ("latchstring", "agency", "post")
_FLAGS = {"devices": "device", "excludes": "exclude"}
_NO_SLUG = re.compile(r"[^a-z0-9]+")
_LONGEST_SLUG = 40


def file_name(draft: RequestDraft) -> str:
    """Return a name for the request file, of letters, digits and dashes alone."""
    slug = _NO_SLUG.sub("-", draft.case.lower())[:_LONGEST_SLUG].strip("-")
    return f"request-{slug}.toml" if slug else "request.toml"


def request_file(draft: RequestDraft, times: Mapping[str, str]) -> str:
    """Return the request as TOML; `times` has start, end and zone as they were typed."""
    lines = ["# To post it: latchstring agency post THIS-FILE --dir YOUR-AGENCY'S-FOLDER"]
    lines += [f"{key} = {_toml(value)}" for key, value in _values(draft, times)]
    return "\n".join(lines) + "\n"


def file_command(draft: RequestDraft, folder: str) -> str:
    """Return the command line that posts the saved file."""
    return shlex.join([*_PROGRAM, file_name(draft), f"--dir={folder}"])


def flags_command(draft: RequestDraft, times: Mapping[str, str], folder: str) -> str:
    """Return the command line that posts the same without a file."""
    words = [shlex.join(_PROGRAM), shlex.quote(f"--dir={folder}")]
    for key, value in _values(draft, times):
        flag = "--" + _FLAGS.get(key, key).replace("_", "-")
        if isinstance(value, list):
            words += [shlex.quote(f"{flag}={one}") for one in value] or (["--no-sharing"] if key == "sharing" else [])
        else:
            words.append(shlex.quote(f"{flag}={value}"))
    return " \\\n  ".join(words)


def _values(draft: RequestDraft, times: Mapping[str, str]) -> list[tuple[str, Any]]:
    """Return the request's values under the names of a request file, in its order."""
    centre = Point.from_degrees(draft.lat, draft.lon)
    days = draft.expires_in_days
    values: list[tuple[str, Any]] = [
        ("case", draft.case),
        ("incident", draft.incident),
        ("description", draft.description),
        ("at", f"{_degrees(centre.lat_e7, 'NS')} {_degrees(centre.lon_e7, 'EW')}"),
        ("radius_m", draft.radius),
        ("start", times["start"].replace("T", " ")),
        ("end", times["end"].replace("T", " ")),
        ("zone", times["zone"]),
        ("devices", list(draft.devices)),
        ("purpose", draft.purpose),
        ("retention_days", draft.retention_days),
        ("sharing", list(draft.sharing)),
        ("excludes", list(draft.excludes)),
        ("expires_in_days", int(days) if days.is_integer() else days),
    ]
    if draft.contact:
        values.insert(-1, ("contact", draft.contact))
    return [(key, value) for key, value in values if value != "" or key != "zone"]


def _degrees(e7: int, hemispheres: str) -> str:
    whole, rest = divmod(abs(e7), E7)
    fraction = f"{rest:07d}".rstrip("0")
    return f"{whole}{f'.{fraction}' if fraction else ''}{hemispheres[e7 < 0]}"


def _toml(value: Any) -> str:
    if isinstance(value, list):
        return f"[{', '.join(_toml(one) for one in value)}]"
    if not isinstance(value, str):
        return repr(value)
    # A JSON string of printable text is a TOML basic string; a text of lines is kept as lines.
    if "\n" not in value:
        return json.dumps(value, ensure_ascii=False)
    lines = [json.dumps(line, ensure_ascii=False)[1:-1] for line in value.split("\n")]
    return '"""\n' + "\n".join(lines) + '\n"""'
