"""A neighbourhood whose log is kept in object storage, as processes: the same log, readable without the operator."""

import httpx
import pytest

from broker.wire.proofs import parse_policy
from tests.log.s3server import WRITER, running
from tests.neighbourhood.support import Parties

pytestmark = [pytest.mark.slow, pytest.mark.s3, pytest.mark.timeout(120)]


def test_the_bucket_is_the_log(parties: Parties) -> None:
    """What was admitted is served from the bucket and by it, before and after a restart; the folder has no log."""
    store = parties.folder / "store"
    store.mkdir()
    with running(store) as server:
        url = server.new_url()
        section = {"STORE": url, "STORE_ENDPOINT": server.endpoint}
        environment = WRITER | {f"LATCHSTRING_BROKER_LOG__{key}": value for key, value in section.items()}
        parties.start_hood(environment=environment)
        parties.start_agency()
        for _ in range(2):
            note = httpx.get(f"{parties.facts.log_url}/checkpoint").content
            assert parse_policy(parties.facts.policy).check(note).size == 1
            assert httpx.get(f"{server.public_url(url)}/checkpoint").content == note
            parties.stop("hood")
            parties.start_hood(environment=environment)
        pinned = str(parties.folder / "hood" / "neighbourhood.json")
        report = parties.json("log", "verify", server.public_url(url), "--neighbourhood", pinned)
        assert (report["ok"], report["size"]) == (True, 1)
        parties.stop("hood")
    assert not (parties.folder / "hood" / "log").exists()
