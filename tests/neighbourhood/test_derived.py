"""A clip that was cut at any picture and has its faces hidden: as it is typed, through every process, to the agency."""

import pytest

from tests.neighbourhood.support import Parties

pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]


def test_a_derived_clip_arrives_and_is_called_so(parties: Parties) -> None:
    """The device signs for it, the inbox takes it, and the agency is told what was done to it."""
    leaf = parties.start_and_ask("porch")
    summary = parties.wait_for_state("porch", leaf, "offered")
    clip = summary["clips"][0]["clip"]
    range_s = ("--clip", clip, "--from", "0.4", "--to", "2.3")
    owner = ("--home", str(parties.home("porch")), "--owner-key", str(parties.folder / "owner.key.json"))
    secret = ("--passphrase-file", str(parties.passphrase), "--yes")
    assert "goes with" in parties.run("review", "approve", leaf, *owner, *secret, "--exact", ok=False)
    released = parties.approve("porch", leaf, *range_s, "--exact", "--hide-faces")
    assert released["state"] == "received"
    (shared,) = released["clips"]
    assert [done.split()[0] for done in shared["transformations"]] == ["re-encoded", "cut", "faces"]
    (bundle,) = parties.fetch(leaf)
    opened = parties.open(bundle["path"])
    assert opened["verified"]
    (report,) = opened["clips"]
    assert (report["seal"], report["transformations"]) == ("derived", shared["transformations"])
    # To the picture, not to the segment.
    assert 1_700_000 <= report["end_us"] - report["start_us"] <= 1_900_000
    assert opened["rings"] == []
