"""The access policy as files for Mosquitto 2: `mosquitto.conf`, `acl` and `passwd`.

Every client is known by its user name (`use_username_as_clientid`), so that no one can take another's session by its
client id; hence each program needs a user of its own. Unlike the embedded broker, Mosquitto grants every SUBSCRIBE and
filters on delivery, which comes to the same messages.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from broker.files import PUBLIC_FOLDER, make_folder, replace_durably
from broker.mqtt.access import AccessPolicy, Grants, Role, grants_for, is_loopback
from broker.mqtt.errors import PolicyError
from broker.mqtt.limits import Limits

MAX_PORT = 65_535
_HOST_FORM = re.compile(r"[A-Za-z0-9.:_-]{1,253}", re.ASCII)  # nothing that could begin another line
_USER_FORM = re.compile(r"[A-Za-z0-9_.-]{1,32}", re.ASCII)


@dataclass(frozen=True, slots=True)
class MosquittoTls:
    """Certificate files in PEM.

    With `client_ca_file`, clients must show a certificate, and its common name is their user name.
    """

    cert_file: Path
    key_file: Path
    client_ca_file: Path | None = None


def write_mosquitto(
    policy: AccessPolicy,
    folder: Path,
    *,
    host: str = "127.0.0.1",
    port: int = 1883,
    tls: MosquittoTls | None = None,
    limits: Limits | None = None,
    run_as: str | None = None,
) -> Path:
    """Write the files (mode 0600) into `folder` and return the path of `mosquitto.conf`.

    `run_as` is the system user that Mosquitto, started by root, changes to (its own default is `mosquitto`); the files
    must be readable to it. Raises PolicyError for what Mosquitto can't enforce, OSError where nothing can be written.
    """
    if policy.anonymous is Role.PUBLIC and policy.users:
        raise PolicyError(
            "Mosquitto can't keep an anonymous client from taking a user's client id: "
            "give each reader a user of role 'public'"
        )
    if policy.is_open and not is_loopback(host):
        raise PolicyError(f"an open policy may not listen on {host}; use 127.0.0.1, or a policy with users")
    if not _HOST_FORM.fullmatch(host) or not 1 <= port <= MAX_PORT:
        raise PolicyError(f"{host[:60]!r}, port {port}, is no address to listen on")
    if run_as is not None and not _USER_FORM.fullmatch(run_as):
        raise PolicyError(f"{run_as[:60]!r} is no name of a system user")
    make_folder(folder, mode=PUBLIC_FOLDER)  # the system user that Mosquitto runs as must get in
    config = (
        "# Written by latchstring from its access policy.",
        *_general(folder, limits or Limits(), run_as),
        *_listener(folder, policy, host=host, port=port, tls=tls),
        "",
    )
    for name, text in (("acl", _acl(policy)), ("passwd", _passwd(policy)), ("mosquitto.conf", "\n".join(config))):
        replace_durably(folder / name, text.encode())
    return folder / "mosquitto.conf"


def _general(folder: Path, limits: Limits, run_as: str | None) -> list[str]:
    lines = [
        "per_listener_settings false",
        "persistence true",
        f"persistence_location {folder.resolve()}/",
        # Mosquitto's default of half an hour loses what it acknowledged when it is killed.
        "autosave_interval 1",
        "set_tcp_nodelay true",
        f"max_inflight_messages {limits.max_inflight}",
        f"max_queued_messages {limits.max_queued_messages}",
        f"message_size_limit {limits.max_packet_bytes}",
        "log_dest stderr",
    ]
    return [f"user {run_as}", *lines] if run_as else lines


def _listener(folder: Path, policy: AccessPolicy, *, host: str, port: int, tls: MosquittoTls | None) -> list[str]:
    lines = [f"listener {port} {host}", f"allow_anonymous {str(policy.anonymous is not None).lower()}"]
    if not policy.is_open:
        lines.append(f"acl_file {folder.resolve()}/acl")
    if policy.users:
        lines.append("use_username_as_clientid true")
    if tls is not None:
        lines += [f"certfile {tls.cert_file.resolve()}", f"keyfile {tls.key_file.resolve()}", "tls_version tlsv1.2"]
    if tls is not None and tls.client_ca_file is not None:
        lines += [f"cafile {tls.client_ca_file.resolve()}", "require_certificate true", "use_identity_as_username true"]
    elif policy.users:
        lines.append(f"password_file {folder.resolve()}/passwd")
    return lines


def _acl(policy: AccessPolicy) -> str:
    blocks = []
    if policy.anonymous is not None:
        # What stands before the first user is for anonymous clients alone.
        blocks.append(_acl_lines(grants_for(policy.anonymous, "")))
    blocks += ([f"user {user.name}", *_acl_lines(grants_for(user.role, user.name))] for user in policy.users)
    return "\n\n".join("\n".join(block) for block in blocks) + "\n"


def _acl_lines(grants: Grants) -> list[str]:
    return [f"topic write {text}" for text in grants.publish] + [f"topic read {text}" for text in grants.receive]


def _passwd(policy: AccessPolicy) -> str:
    return "".join(f"{user.name}:{user.password_hash}\n" for user in policy.users if user.password_hash is not None)
