"""A device's parts, made from its settings: what the daemon then joins. Nothing runs here."""

import ipaddress
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import structlog

from broker.wire import topics
from broker.wire.encoding import WireError, from_base64
from broker.wire.envelopes import KEY_BYTES
from broker.wire.geo import cell_of
from broker.wire.proofs import Policy, parse_policy
from broker.wire.rules import DAY_US
from device import link
from device.consent.desk import RequestDesk
from device.consent.docket import DeviceView, Docket
from device.consent.logwatch import LogWatch
from device.consent.matching import ClipSpan
from device.consent.policy import HouseholdPolicy
from device.consent.requests import RequestStore
from device.consent.trust import Trust
from device.courier import Courier, Destination
from device.link.links import request_subscriptions
from device.names import OUTGOING_NAME
from device.settings import DeviceSettings, MqttSection, NeighbourhoodSection, SettingsError, Zone
from device.vault.clipring import ClipRing
from device.vault.disk import read_secret
from device.vault.errors import VaultError
from device.vault.keys import OwnerPublic
from device.vault.ledger import Ledger
from device.vault.state import State, Transaction
from device.video.attention import AttentionSettings
from device.video.codec.encoder import EncoderSettings
from device.video.film_settings import FilmSettings
from device.video.motion.detector import MotionSettings
from device.video.recorder import RecorderSettings
from device.video.source.capture import CaptureSettings, V4l2Settings, parse_source
from device.video.zones import Polygon, ZoneError, check_polygon

log = structlog.get_logger()


class RingShelf:
    """The clip ring as the desk sees it."""

    def __init__(self, ring: ClipRing) -> None:
        self._ring = ring

    def spans(self, start_us: int, end_us: int) -> Sequence[ClipSpan]:
        """Return the clips that overlap a range."""
        return [ClipSpan(clip.clip, clip.start_us, clip.until_us) for clip in self._ring.clips(start_us, end_us)]

    def statements(self, clip: str) -> Sequence[bytes]:
        """Return the envelopes of a clip's segment statements, in order."""
        return [segment.statement for segment in self._ring.segments(clip)]

    def pin(self, tx: Transaction, clip: str, reason: str) -> None:
        """Keep a clip, within the pinned share."""
        self._ring.pin(clip, reason, tx=tx)

    def unpin(self, tx: Transaction, reason: str) -> None:
        """Let go of what was pinned for a reason."""
        self._ring.unpin(reason, tx=tx)


def owner_public(path: Path) -> OwnerPublic:
    """Read the owner's public key file; raises SettingsError."""
    try:
        return OwnerPublic.from_json(path.read_bytes())
    except OSError as error:
        raise SettingsError(
            f"{path} can't be read: {error.strerror}; 'latchstring owner init' makes an owner's public key file"
        ) from error
    except VaultError as error:
        raise SettingsError(f"{path}: {error}") from error


def requests_in(arrived: Sequence[tuple[str, bytes]]) -> list[tuple[str, bytes]]:
    """Return (leaf hash, payload) of the messages that are requests; what has no such topic is dropped with a line."""
    found = []
    for topic, payload in arrived:
        if topic == topics.CHECKPOINT:
            continue
        try:
            _, leaf = topics.parse_request_topic(topic)
        except WireError as error:
            log.warning("message_dropped", kind="topic", why=str(error))
            continue
        found.append((leaf, payload))
    return found


def film_settings(settings: DeviceSettings, *, home: Path) -> FilmSettings:
    """Return how to film; raises SettingsError for a zone that is none, VideoError for a source."""
    camera = settings.camera
    detect = None if camera.detect_source is None else parse_source(camera.detect_source, base=home)
    if detect is not None and detect.live != parse_source(camera.source, base=home).live:
        raise SettingsError("camera.detect_source and camera.source are not two streams of one camera")
    return FilmSettings(
        capture=CaptureSettings(
            loop=camera.loop,
            seed=camera.seed,
            detect=detect,
            rtsp_transport=camera.rtsp_transport,
            stall_s=camera.stall_s,
            v4l2=V4l2Settings(input_format=camera.v4l2_format, size=camera.v4l2_size, fps=camera.v4l2_fps),
            encoder=EncoderSettings(
                codec=camera.codec, quality=camera.quality, preset=camera.preset, gop_s=camera.gop_s
            ),
            masks=_zones(camera.privacy_masks, "privacy_masks"),
        ),
        motion=MotionSettings.for_sensitivity(camera.sensitivity, ignore=_zones(camera.ignore_zones, "ignore_zones")),
        attention=AttentionSettings(eco=camera.eco),
        labels=camera.labels,
        recorder=RecorderSettings(
            mode=camera.record,
            pre_roll_s=camera.pre_roll_s,
            post_roll_s=camera.post_roll_s,
            max_clip_s=camera.max_clip_s,
        ),
    )


def _zones(zones: Sequence[Zone], key: str) -> tuple[Polygon, ...]:
    checked = []
    for number, zone in enumerate(zones):
        try:
            checked.append(check_polygon(zone))
        except ZoneError as error:
            raise SettingsError(f"camera.{key}[{number}] {error.reason}") from error
    return tuple(checked)


def broker_address(home: Path, section: MqttSection, client_id: str) -> link.BrokerAddress:
    """Return where a broker is; raises SettingsError or VaultError."""
    password = None
    if section.password_file is not None:
        password = read_secret(home / section.password_file).decode("utf-8", "replace").strip()
    tls = None
    if section.tls:
        ca, certificate, key = (
            None if path is None else home / path
            for path in (section.ca_file, section.certificate_file, section.key_file)
        )
        try:
            tls = link.BrokerTls(ca=ca, certificate=certificate, key=key)
        except ValueError as error:
            raise SettingsError(str(error)) from error
    try:
        return link.BrokerAddress(
            host=section.host,
            port=section.port,
            client_id=client_id,
            username=section.username,
            password=password,
            tls=tls,
            keepalive_s=section.keepalive_s,
        )
    except ValueError as error:
        raise SettingsError(f"MQTT settings: {error}") from error


def pinned_policy(path: Path) -> Policy:
    """Read the tlog-policy that says which log counts; raises SettingsError."""
    try:
        return parse_policy(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}; it holds the log's pinned key") from error
    except (WireError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path}: {error}") from error


def may_be_one_broker(one: MqttSection, other: MqttSection) -> bool:
    """Tell whether two brokers may be one: at one address, whatever the port, since a broker may listen on several.

    By address and not by name: `localhost` and 127.0.0.1 are one. A name that does not resolve may be any, so that
    nothing is told on a guess.
    """
    try:
        return bool(_addresses(one.host) & _addresses(other.host))
    except OSError as error:
        log.warning("broker_name_unresolved", hosts=[one.host, other.host], error=str(error))
        return True


def _addresses(host: str) -> set[str]:
    found = {str(info[4][0]).partition("%")[0] for info in socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)}
    return {"loopback" if ipaddress.ip_address(one).is_loopback else one for one in found}


@dataclass(frozen=True, slots=True)
class Asked:
    """What takes part in a neighbourhood, around one store; looked at every `every_s` seconds."""

    docket: Docket
    desk: RequestDesk
    courier: Courier
    log_watch: LogWatch
    every_s: float


def join_neighbourhood(
    section: NeighbourhoodSection,
    *,
    settings: DeviceSettings,
    home: Path,
    state: State,
    ring: ClipRing,
    ledger: Ledger,
    view: DeviceView,
    now_us: Callable[[], int],
    believed_us: Callable[[], int],
) -> Asked:
    """Make docket, desk, courier and log watch; raises SettingsError."""
    pinned = pinned_policy(home / section.policy_file)
    trust = Trust(policy=pinned, operator_key=from_base64(section.operator_key, size=KEY_BYTES))
    policy = HouseholdPolicy(
        indoor=settings.device.indoor,
        indoor_takes_part=settings.device.indoor_takes_part,
        look_back_us=int(section.look_back_days * DAY_US),
    )
    store, shelf = RequestStore(state), RingShelf(ring)
    docket = Docket(
        state,
        store=store,
        trust=trust,
        policy=policy,
        device=view,
        shelf=shelf,
        now_us=now_us,
        believed_us=believed_us,
    )
    desk = RequestDesk(
        state,
        store=store,
        docket=docket,
        ledger=ledger,
        trust=trust,
        limits=policy.limits,
        device=view,
        shelf=shelf,
        now_us=now_us,
    )
    destination = Destination(
        inbox_url=section.inbox_url,
        inbox_key=from_base64(section.inbox_key, size=KEY_BYTES),
        owner_key=view.owner_key,
    )
    courier = Courier(desk, destination=destination, outgoing=home / OUTGOING_NAME)
    return Asked(docket, desk, courier, LogWatch(state, pinned), section.consider_every_s)


def make_links(
    folder: Path,
    settings: DeviceSettings,
    *,
    outbox: link.Outbox,
    retained: link.RetainedTable,
    mailbox: link.Mailbox,
    set_privacy: Callable[[bool], None],
) -> tuple[link.MqttLink, ...]:
    """Make the links to the home's and the neighbourhood's broker, as far as there are any; raises SettingsError."""
    name, home, section = settings.device.name, settings.home, settings.neighbourhood
    asked = None if section is None else broker_address(folder, section.mqtt, name)
    cell = cell_of(settings.where)
    if home is None:
        if asked is None:
            return ()
        subscriptions = request_subscriptions(cell=cell, requests=mailbox)
        return (link.MqttLink(asked, subscriptions=subscriptions, publishing=None),)
    own = broker_address(folder, home, name)
    if asked is not None and section is not None and own != asked:
        if asked.username is None:
            # A name that tells nothing: the operator need not know who listens, and the other link keeps its own.
            asked = replace(asked, client_id=f"listener-{secrets.token_hex(6)}")
        elif may_be_one_broker(home, section.mqtt):
            raise SettingsError("[home] and [neighbourhood.mqtt] are one broker: give both the same address and login")
    return link.make_links(
        device=name,
        cell=cell,
        home=own,
        neighbourhood=asked,
        outbox=outbox,
        retained=retained,
        requests=mailbox,
        set_privacy=set_privacy,
    ).all


def tells_reviews(settings: DeviceSettings) -> bool:
    """Tell whether the number of waiting requests may be published at home: not where the operator might hear it."""
    home, section = settings.home, settings.neighbourhood
    return home is not None and section is not None and not may_be_one_broker(home, section.mqtt)
