"""What is said of a bundle in words: of each file, and of what the bundle tells and keeps back. Pure."""

from collections.abc import Sequence

from device.consent.release import Bundle, DeviceFacts
from device.consent.trust import VerifiedRequest

FILES = {
    "request.dsse.json": "the request, as it stands in the public log",
    "request.tlog-proof": "the proof that it stands there",
    "segments.json": "the camera's signatures over what it filmed",
    "release.dsse.json": "this device's statement: its name, its key, the times",
}


def file_words(name: str, *, derived: bool) -> str:
    """Return what a file of a bundle is."""
    if name in FILES:
        return FILES[name]
    return "a clip, re-encoded for this bundle" if derived else "a clip, as it was filmed"


def reveals(bundle: Bundle, facts: DeviceFacts, rings: Sequence[int]) -> list[str]:
    """Return what a bundle tells beside its pictures."""
    derived = any(clip.transformations for clip in bundle.clips)
    found = [
        f"The device's name, “{facts.name}”, and that it is a {facts.kind}.",
        "Its clock: when each clip begins and ends, to the millisecond, and so that it stood within the area.",
        "Its public signing key: two bundles of one device can be recognized as such.",
        "Times and signatures of the seconds that the clips were cut from, but none of the pictures cut away.",
        "How many such pieces the camera had filmed by then, for they are numbered: so about how much it films.",
    ]
    if rings:
        times = "once" if len(rings) == 1 else f"{len(rings)} times"
        found.append(f"That the doorbell rang {times} within the clips, and when.")
    if derived:
        found.append("What was done to the clips that are not as they were filmed; it stands in the release.")
    return found


def withholds(verified: VerifiedRequest, facts: DeviceFacts, *, rings: bool) -> list[str]:
    """Return what a bundle does not tell."""
    found = [
        "Where exactly the device stands: its place is in no file.",
        "Your name, your passphrase, your key and your approval: they stay at home.",
        "Any other clip, event or label.",
        "Sound: none is ever recorded.",
    ]
    if facts.kind == "doorbell" and not rings:
        found.append("When the doorbell rang.")
    found.append(f"Anything to anybody else: it is sealed to {verified.agency.name}, and the operator can't open it.")
    return found
