"""A neighbourhood before it serves: keys and facts, who is invited to cosign, and what devices will pin."""

import json
from pathlib import Path

import pytest

from broker.commands.neighbourhood import broker_app
from broker.facts import FACTS_NAME, read_facts
from broker.founding import dismiss, found, invite, load_keys, load_panel
from broker.log.witness.identity import Identity, IdentityError, create_identity
from broker.settings import LogSection, SettingsError, load_settings
from broker.terminal import run_app
from broker.wire.cosigning import mirror_prefix
from broker.wire.encoding import WireError, to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.proofs import MIRRORS, parse_policy

PORTS = {"http": {"port": 8080}, "mqtt": {"port": 1883}}


@pytest.fixture
def hood(tmp_path: Path) -> Path:
    folder = tmp_path / "hood"
    found(folder, load_settings(folder, PORTS))
    return folder


def identity(tmp_path: Path, name: str, *, kind: str = "witness", url: str = "http://127.0.0.1:9001") -> Identity:
    return create_identity(tmp_path / name, kind="mirror" if kind == "mirror" else "witness", name=name, url=url)


def test_a_neighbourhood_is_founded_before_it_serves(hood: Path) -> None:
    """Keys and facts are there, nobody has to cosign yet; to found it again changes nothing."""
    before = (hood / FACTS_NAME).read_bytes()
    facts = found(hood, load_settings(hood, PORTS))
    assert (hood / FACTS_NAME).read_bytes() == before
    assert (facts.url, facts.mqtt_port, facts.mirrors) == ("http://127.0.0.1:8080", 1883, ())
    assert facts.operator_key == to_base64(public_bytes(load_keys(hood).operator))
    assert parse_policy(facts.policy).quorum is None


@pytest.mark.parametrize(
    ("flags", "why"), [({"http": {"port": 0}}, "--http-port"), ({"mqtt": {"port": 0}}, "--mqtt-port")]
)
def test_addresses_are_settled_when_it_is_founded(tmp_path: Path, flags: dict[str, dict[str, int]], why: str) -> None:
    """A port that is chosen when it runs can't be told to a mirror before."""
    with pytest.raises(SettingsError, match=why):
        found(tmp_path, load_settings(tmp_path, PORTS | flags))
    assert not list(tmp_path.iterdir())


def test_who_is_invited_is_in_the_policy_that_devices_pin(hood: Path, tmp_path: Path) -> None:
    """All that are invited are needed, and the mirror's address is told."""
    invited = [identity(tmp_path, "w.example.org"), identity(tmp_path, "m.example.org", kind="mirror")]
    facts = invite(hood, invited, LogSection())
    assert facts == read_facts(hood / FACTS_NAME)
    policy = parse_policy(facts.policy)
    assert policy.needs(MIRRORS)
    assert policy.met_by(["w.example.org", "m.example.org"])
    assert not policy.met_by(["w.example.org"])
    assert facts.mirror_urls == (mirror_prefix("http://127.0.0.1:9001", facts.origin),)
    assert [one.name for _, one in load_panel(hood, LogSection()).cosigners] == ["w.example.org", "m.example.org"]


def test_how_many_are_needed_can_be_set(hood: Path, tmp_path: Path) -> None:
    """One of three; and two where only one is invited yet stops the start, not the invitation."""
    for number in range(3):
        invite(hood, [identity(tmp_path, f"w{number}.example.org")], LogSection(witnesses_needed=2))
    facts = invite(hood, [], LogSection(witnesses_needed=1))
    assert parse_policy(facts.policy).met_by(["w2.example.org"])
    with pytest.raises(SettingsError, match="4 witnesses are needed, and 3 are invited"):
        load_panel(hood, LogSection(witnesses_needed=4))


def test_a_cosigner_may_move_but_not_change_its_key(hood: Path, tmp_path: Path) -> None:
    """Its address is replaced; another key under its name is refused, and changes nothing."""
    first = identity(tmp_path, "w.example.org")
    invite(hood, [first], LogSection())
    moved = Identity(first.kind, first.name, first.key, "https://w.example.org/log")
    assert "https://w.example.org/log" in invite(hood, [moved], LogSection()).policy
    before = (hood / FACTS_NAME).read_bytes()
    thief = identity(tmp_path / "again", "w.example.org")
    with pytest.raises(SettingsError, match=r"called w\.example\.org already"):
        invite(hood, [identity(tmp_path, "x.example.org"), thief], LogSection())
    twin = Identity("mirror", "twin", first.key.replace("w.example.org", "twin"), first.url)
    with pytest.raises((SettingsError, WireError)):
        invite(hood, [twin], LogSection())
    assert (hood / FACTS_NAME).read_bytes() == before
    assert len(load_panel(hood, LogSection()).witnesses) == 1


def test_who_is_dismissed_is_not_asked_any_more(hood: Path, tmp_path: Path) -> None:
    """Its name goes from the policy; a name that is not there is told with those that are."""
    invite(hood, [identity(tmp_path, "w.example.org"), identity(tmp_path, "v.example.org")], LogSection())
    facts = dismiss(hood, "w.example.org", LogSection())
    assert list(parse_policy(facts.policy).witnesses) == ["v.example.org"]
    with pytest.raises(SettingsError, match=r"no cosigner is called 'w\.example\.org'; there are: v\.example\.org"):
        dismiss(hood, "w.example.org", LogSection())


def test_nobody_is_invited_where_there_is_no_neighbourhood(tmp_path: Path) -> None:
    """It says which command makes one."""
    with pytest.raises(SettingsError, match="broker init"):
        invite(tmp_path, [identity(tmp_path, "w.example.org")], LogSection())


def test_an_invitation_that_was_tampered_with_stops_the_start(hood: Path, tmp_path: Path) -> None:
    """The file is named; no log runs with fewer cosigners than its devices were told."""
    invite(hood, [identity(tmp_path, "w.example.org")], LogSection())
    (file,) = (hood / "cosigners").iterdir()
    file.write_text(json.dumps(json.loads(file.read_text()) | {"key": "none"}))
    with pytest.raises(IdentityError, match=file.name):
        load_panel(hood, LogSection())


def test_the_commands_say_what_a_checkpoint_needs(
    hood: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each change of the cosigners says the quorum that it makes, and for whom it holds."""
    identity(tmp_path, "w.example.org")
    identity(tmp_path, "m.example.org", kind="mirror")

    def said(*arguments: str) -> list[str]:
        with pytest.raises(SystemExit) as ended:
            run_app(broker_app, [*arguments, "--dir", str(hood)], name="broker", user_errors=lambda: ())
        assert ended.value.code == 0
        return capsys.readouterr().out.splitlines()

    files = [str(tmp_path / name / "cosigner.json") for name in ("w.example.org", "m.example.org")]
    *invited, quorum, since = said("invite", *files)
    assert [line.split()[:3] for line in invited] == [
        ["invited", "witness", "w.example.org,"],
        ["invited", "mirror", "m.example.org,"],
    ]
    assert quorum.endswith("cosigned by 1 of 1 witnesses and 1 of 1 mirrors")
    assert "next start" in since
    assert said("dismiss", "w.example.org")[-1].endswith("cosigned by 1 of 1 mirrors")
    _, nobody, warning = said("dismiss", "m.example.org")
    assert nobody.endswith("cosigned by nobody")
    assert "--unwitnessed" in warning
