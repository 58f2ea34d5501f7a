"""A log that is cosigned, as processes: while its witness is dead nothing new gets out, and no kill loses it."""

import signal
from concurrent.futures import ThreadPoolExecutor

import httpx
import pytest

from broker.wire.proofs import parse_policy, verify_proof
from broker.wire.tiles import decode_entries
from broker.wire.topics import parse_announcement
from tests.neighbourhood.support import Parties, wait_for
from tests.support_mqtt import Listener

pytestmark = [pytest.mark.slow, pytest.mark.timeout(120)]


def published_size(parties: Parties) -> int:
    """The size of the served checkpoint, which must meet the policy that devices pin; -1 if none is served."""
    try:
        answer = httpx.get(f"{parties.facts.log_url}/checkpoint")
    except httpx.TransportError:
        return -1
    policy = parse_policy(parties.facts.policy)
    return policy.check(answer.content).size if answer.status_code == 200 else -1


def test_what_no_witness_saw_waits_for_it(parties: Parties) -> None:
    """Posted while the witness is dead, through a kill of the operator's process: announced once the witness saw it."""
    parties.start_hood(cosigned=True, environment={"LATCHSTRING_BROKER_LOG__ANSWER_AFTER_S": "0.3"})
    parties.start_agency()
    facts = parties.facts
    policy = parse_policy(facts.policy)
    assert published_size(parties) == 1
    parties.stop("witness", signal.SIGKILL)
    with ThreadPoolExecutor(1) as pool:
        posting = pool.submit(parties.post)
        bundle = f"{facts.log_url}/tile/entries/000.p/2"
        wait_for(lambda: httpx.get(bundle).status_code == 200, "the request is in the log")
        _, envelope = decode_entries(httpx.get(bundle).content, width=2)
        answer = httpx.post(f"{facts.log_url}/entries", content=envelope)  # answered after the agency was
        assert (answer.status_code, "proof" in answer.json()) == (202, False)
        assert published_size(parties) == 1
        parties.stop("hood", signal.SIGKILL)
        parties.start_hood(mqtt_port=facts.mqtt_port, http_port=int(facts.url.rpartition(":")[2]))
        assert published_size(parties) == 1
        with Listener(facts.mqtt_port, "latchstring/requests/#") as heard:
            assert heard.messages == []
            parties.start_cosigner("witness")
            wait_for(lambda: bool(heard.messages), "the request is announced")
            assert published_size(parties) == 2
            leaf = posting.result(60)
            parties.run(
                "broker",
                "revoke",
                "springfield-pd",
                "--dir",
                str(parties.folder / "hood"),
                "--reason",
                "A key was lost",
            )
            wait_for(lambda: heard.messages[-1][1] == b"", "the revocation clears what the agency asked")
    said = parse_announcement(heard.messages[0][1])
    assert said.leaf == leaf
    assert verify_proof(said.envelope, said.proof, policy)[0] == 1
    (mirror_url,) = facts.mirror_urls
    pinned = str(parties.folder / "hood" / "neighbourhood.json")
    report = parties.json("log", "verify", mirror_url, "--neighbourhood", pinned)
    assert (report["ok"], report["size"]) == (True, 3)
