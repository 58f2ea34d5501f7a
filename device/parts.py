"""A device's parts, made from its settings: what the daemon then joins. Nothing runs here."""

import ipaddress
import secrets
import socket
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import structlog

from broker.wire.geo import cell_of
from device import link
from device.link.links import request_subscriptions
from device.settings import DeviceSettings, MqttSection, SettingsError, Zone
from device.vault.disk import read_secret
from device.video.attention import AttentionSettings
from device.video.codec.encoder import EncoderSettings
from device.video.film_settings import FilmSettings
from device.video.motion.detector import MotionSettings
from device.video.recorder import RecorderSettings
from device.video.source.capture import CaptureSettings, V4l2Settings, parse_source
from device.video.zones import Polygon, ZoneError, check_polygon

log = structlog.get_logger()


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
