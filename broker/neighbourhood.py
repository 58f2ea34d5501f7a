"""The operator's process: MQTT broker, public log, feed and inbox joined. The only place where broker's rooms meet.

A folder holds all of it: `operator.key`, `log.key` and `inbox.key` (made on first use), `log/` (static files),
`inbox/`, and `neighbourhood.json`, the public facts from which devices and agencies are set up.
"""

import asyncio
import contextlib
import json
import signal
import socket
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import structlog
import uvicorn
from starlette.applications import Starlette

from broker import feed, inbox, log, mqtt
from broker.keyfiles import load_or_create_signing_key, read_secret
from broker.log.announcer import Publish
from broker.wire.encoding import WireError, parse_json, to_base64
from broker.wire.envelopes import public_bytes
from broker.wire.proofs import make_policy
from broker.wire.records import Agency, Request

from .publisher import MqttPublisher
from .settings import NeighbourhoodSettings, SettingsError

logger = structlog.get_logger()

FACTS_NAME = "neighbourhood.json"
MAX_FACTS_BYTES = 65_536
SWEEP_EVERY_S = 600.0


def system_now_us() -> int:
    """Return the machine's clock."""
    return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True)
class Facts:
    """What everybody may know of a neighbourhood. `policy` is tlog-policy text; keys are base64."""

    origin: str
    policy: str
    operator_key: str
    inbox_key: str
    url: str
    mqtt_host: str
    mqtt_port: int

    @property
    def inbox_url(self) -> str:
        """Where bundles go."""
        return f"{self.url}/inbox"

    @property
    def log_url(self) -> str:
        """Where the log is read and submitted to."""
        return f"{self.url}/log"

    def write(self, folder: Path) -> None:
        """Write `neighbourhood.json`, whole or not at all."""
        temporary = folder / f".{FACTS_NAME}.tmp"
        temporary.write_text(json.dumps(asdict(self), indent=2) + "\n")
        temporary.replace(folder / FACTS_NAME)


def read_facts(path: Path) -> Facts:
    """Read a `neighbourhood.json`; raises SettingsError with one line."""
    try:
        value = parse_json(path.read_bytes(), max_bytes=MAX_FACTS_BYTES, what=str(path))
        return Facts(**value)
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}; 'latchstring broker run' writes it") from error
    except (WireError, TypeError) as error:
        raise SettingsError(f"{path} is not what 'latchstring broker run' writes: {error}") from error


async def run(
    folder: Path,
    settings: NeighbourhoodSettings,
    *,
    on_ready: Callable[[Facts], None],
    now_us: Callable[[], int] = system_now_us,
) -> None:
    """Serve until SIGINT or SIGTERM; `on_ready` is told where, once everything listens."""
    operator_key = load_or_create_signing_key(folder / "operator.key")
    log_key = load_or_create_signing_key(folder / "log.key")
    inbox_key = load_or_create_signing_key(folder / "inbox.key")
    stop = asyncio.Event()
    with _listening(settings) as sock, _signals(stop):
        url = settings.http.url or f"http://{settings.http.host}:{sock.getsockname()[1]}"
        storage = log.FolderStorage(folder / "log")
        sequencer = log.Sequencer(storage, key=log_key, origin=settings.log.origin)
        async with _publisher(settings) as (publish, mqtt_port), contextlib.AsyncExitStack() as stack:
            service = log.LogService(
                sequencer=sequencer, operator_key=public_bytes(operator_key), publish=publish, now_us=now_us, url=url
            )
            await service.start()
            stack.push_async_callback(service.close)
            box = inbox.Inbox(folder / "inbox", key=inbox_key, book=_Book(service), clock=now_us)
            app = Starlette(routes=[*log.routes(service, storage), *inbox.routes(box), *feed.routes(service)])
            facts = Facts(
                origin=settings.log.origin,
                policy=make_policy(sequencer.verifier),
                operator_key=to_base64(public_bytes(operator_key)),
                inbox_key=to_base64(public_bytes(inbox_key)),
                url=url,
                mqtt_host=settings.mqtt.host,
                mqtt_port=mqtt_port,
            )
            await _serve(app, sock, service, box, stop, ready=lambda: _ready(facts, folder, on_ready))


def _ready(facts: Facts, folder: Path, on_ready: Callable[[Facts], None]) -> None:
    facts.write(folder)
    logger.info("neighbourhood_ready", url=facts.url, mqtt_port=facts.mqtt_port, origin=facts.origin)
    on_ready(facts)


async def _serve(
    app: Starlette,
    sock: socket.socket,
    service: log.LogService,
    box: inbox.Inbox,
    stop: asyncio.Event,
    *,
    ready: Callable[[], None],
) -> None:
    config = uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=3)
    server = _Server(config)
    async with asyncio.TaskGroup() as tasks:
        announcing = tasks.create_task(service.run(), name="announcer")
        sweeping = tasks.create_task(_sweep(box), name="inbox-sweep")
        tasks.create_task(server.serve(sockets=[sock]), name="http")
        await server.listening.wait()
        ready()
        await stop.wait()
        server.should_exit = True
        announcing.cancel()
        sweeping.cancel()


async def _sweep(box: inbox.Inbox) -> None:
    """Forget uploads that were begun and left."""
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        await asyncio.to_thread(box.sweep)


class _Server(uvicorn.Server):
    """Uvicorn that says when it listens, and leaves signals to the process."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _Book:
    """The log's book as the inbox asks it."""

    def __init__(self, service: log.LogService) -> None:
        self._book = service.book

    def open_request(self, leaf: str, now_us: int) -> tuple[Request, Agency] | None:
        known = self.known_request(leaf)
        return known if known is not None and self._book.status(leaf, now_us) == "open" else None

    def known_request(self, leaf: str) -> tuple[Request, Agency] | None:
        posted = self._book.request(leaf)
        if posted is None:
            return None
        current = self._book.agency(posted.request.agency)
        return None if current is None else (posted.request, current.agency)


@contextlib.contextmanager
def _listening(settings: NeighbourhoodSettings) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in settings.http.host else socket.AF_INET
    with socket.socket(family) as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind((settings.http.host, settings.http.port))
        except OSError as error:
            where = f"{settings.http.host}:{settings.http.port}"
            raise SettingsError(f"can't listen on {where}: {error.strerror}; choose another --http-port") from error
        yield sock


@contextlib.contextmanager
def _signals(stop: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.remove_signal_handler(number)


@contextlib.asynccontextmanager
async def _publisher(settings: NeighbourhoodSettings) -> AsyncIterator[tuple[Publish, int]]:
    section = settings.mqtt
    if not section.embedded:
        client = MqttPublisher(
            host=section.host,
            port=section.port,
            username=section.username,
            password=None if section.password_file is None else read_secret(section.password_file).decode().strip(),
            tls=(lambda: _client_tls(section.ca_file, section.certificate_file, section.key_file))
            if section.tls
            else None,
        )
        async with client:
            yield client, section.port
        return
    policy = mqtt.AccessPolicy.open_loopback()
    if section.access_file is not None:
        policy = mqtt.policy_from_toml(section.access_file.read_text(encoding="utf-8"))
    tls = None
    if section.tls:
        if section.certificate_file is None or section.key_file is None:
            raise SettingsError("mqtt: tls needs certificate_file and key_file")
        tls = _server_tls(section.ca_file, section.certificate_file, section.key_file)
    async with mqtt.Broker(policy=policy, host=section.host, port=section.port, tls=tls) as broker:

        async def publish(topic: str, payload: bytes, *, retain: bool) -> None:
            broker.publish(topic, payload, qos=1, retain=retain)

        yield publish, broker.port


def _client_tls(ca: Path | None, certificate: Path | None, key: Path | None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=ca)
    if certificate is not None:
        context.load_cert_chain(certificate, key)
    return context


def _server_tls(ca: Path | None, certificate: Path, key: Path) -> ssl.SSLContext:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
    context.load_cert_chain(certificate, key)
    if ca is not None:
        context.verify_mode = ssl.CERT_REQUIRED
    return context
