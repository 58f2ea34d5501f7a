"""A device in a neighbourhood whose log is witnessed and mirrored: it reads by itself, and says who vouches for it."""

import pytest

from device.settings import load_settings
from tests.neighbourhood.support import Parties, wait_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def test_a_device_reads_a_witnessed_log_by_itself(parties: Parties) -> None:
    """Set up without --unwitnessed; what was read is offered; with the operator gone the mirror is read still."""
    parties.start_hood(cosigned=True)
    parties.start_owner()
    parties.make_device("porch")
    section = load_settings(parties.home("porch")).neighbourhood
    assert section is not None
    assert not section.unwitnessed
    assert len(section.mirrors) == 1
    parties.start_device("porch", LATCHSTRING_NEIGHBOURHOOD__LOG_EVERY_S="1")
    parties.start_agency()
    parties.wait_for_clip("porch")
    leaf = parties.post()
    summary = parties.wait_for_state("porch", leaf, "offered")
    assert summary["log"]["hold"] is None
    assert {name.partition(".")[0] for name in summary["log"]["cosigned_by"]} == {"witness", "mirror"}
    assert summary["record"]["asked"] == 1
    shown = " ".join(parties.run("review", "show", leaf, "--home", str(parties.home("porch"))).split())
    assert "this device has itself read it there" in shown
    assert "asked 1 time, took 0 back" in shown

    told = parties.json("device", "log", "--home", str(parties.home("porch")))
    assert (told["witnessed"], told["needs_mirror"], told["read"], told["void"]) == (True, True, 2, 0)
    assert told["evidence"] == []
    status = parties.run("device", "status", "--home", str(parties.home("porch")))
    assert "by witness.example.org, mirror.example.org" in status

    parties.stop("hood")

    def read_from_the_mirror_alone() -> bool:
        sources = parties.status("porch")["log"]["sources"]
        return [source["size"] for source in sources] == [None, 2]

    wait_for(read_from_the_mirror_alone, "porch: the mirror alone is read")
    assert parties.status("porch")["log"]["hold"] is None


def test_what_is_told_where_nobody_vouches(parties: Parties) -> None:
    """Without cosigners the owner has to put up with it, and is told so ever after."""
    parties.start_hood()
    parties.start_owner()
    parties.make_device("porch")
    parties.start_device("porch")
    told = parties.run("device", "status", "--home", str(parties.home("porch")))
    assert "unwitnessed: only its operator says what the log is" in " ".join(told.split())
