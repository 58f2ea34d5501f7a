"""A device's settings: TOML, then `LATCHSTRING_…` variables over it. Frozen; unknown keys are refused.

`LATCHSTRING_CAMERA__SOURCE` stands for `source` in `[camera]`. Paths are taken from the folder of the settings file.
Nothing else reads the environment.
"""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import SettingsError as UnreadableError

from broker.wire.encoding import from_base64
from broker.wire.envelopes import KEY_BYTES
from broker.wire.geo import Point
from broker.wire.inbox import INBOX_URL_FORM
from broker.wire.records import explain
from broker.wire.topics import check_name

PREFIX = "LATCHSTRING_"
OTHER_PREFIX = "LATCHSTRING_BROKER_"  # the neighbourhood's own
FILE_NAME = "device.toml"
GIB = 1 << 30


class SettingsError(Exception):
    """Settings can't be used; the message names the file or variable, the key, and what is wrong."""


def _key(text: str) -> str:
    from_base64(text, size=KEY_BYTES, what="key")
    return text


Name = Annotated[str, AfterValidator(check_name)]
Key = Annotated[str, AfterValidator(_key)]
Port = Annotated[int, Field(ge=1, le=65_535)]


class Section(BaseModel):
    """A frozen table of settings that knows its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class DeviceSection(Section):
    """What and where the device is; the place never leaves home."""

    name: Name
    kind: Literal["camera", "doorbell"] = "camera"
    lat: Annotated[float, Field(ge=-90, le=90)]
    lon: Annotated[float, Field(ge=-180, le=180)]
    indoor: bool = False
    indoor_takes_part: bool = False


Side = Annotated[int, Field(ge=16, le=8_192)]  # of a picture, in pixels
# A polygon's corners, each (x, y) in fractions of the picture; checked where the picture is at hand.
Zone = Annotated[tuple[tuple[float, float], ...], Field(min_length=3, max_length=64)]


class CameraSection(Section):
    """Where frames come from, what is looked at in them, and when they are kept."""

    source: str
    detect_source: str | None = None
    rtsp_transport: Literal["tcp", "udp"] = "tcp"
    stall_s: Annotated[float, Field(ge=2, le=120)] = 8
    v4l2_format: Annotated[str, Field(pattern=r"^[a-z0-9]{1,32}$")] | None = None
    v4l2_size: tuple[Side, Side] | None = None
    v4l2_fps: Annotated[int, Field(ge=1, le=240)] | None = None
    codec: Literal["h264", "vp9"] = "h264"
    quality: Annotated[int, Field(ge=1, le=10)] = 5
    preset: Literal["ultrafast", "superfast", "veryfast"] = "ultrafast"
    gop_s: Annotated[float, Field(ge=0.5, le=4)] = 1
    seed: Annotated[int, Field(ge=0, lt=1 << 63)] = 1
    loop: bool = True
    record: Literal["events", "continuous"] = "events"
    pre_roll_s: Annotated[float, Field(ge=0, le=60)] = 3
    post_roll_s: Annotated[float, Field(ge=1, le=120)] = 4
    max_clip_s: Annotated[float, Field(ge=5, le=600)] = 60
    sensitivity: Annotated[int, Field(ge=1, le=10)] = 5
    eco: bool = True
    labels: Literal["model", "shape", "off"] = "model"
    ignore_zones: Annotated[tuple[Zone, ...], Field(max_length=16)] = ()
    privacy_masks: Annotated[tuple[Zone, ...], Field(max_length=16)] = ()


class StorageSection(Section):
    """How much is kept, and for how long."""

    max_bytes: Annotated[int, Field(ge=1 << 20)] = 8 * GIB
    max_age_days: Annotated[float, Field(gt=0, le=3_650)] = 30
    pinned_share: Annotated[float, Field(ge=0, le=0.9)] = 0.3


class MqttSection(Section):
    """One MQTT broker. A password stands in a file of its own."""

    host: str
    port: Port = 1883
    username: str | None = None
    password_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    keepalive_s: Annotated[int, Field(ge=5, le=3_600)] = 30


class HomeSection(MqttSection):
    """The owner's broker: events and Home Assistant."""

    expect_receipts: bool = False
    home_assistant: bool = True


class MirrorSection(Section):
    """One who serves the public log as well."""

    name: Annotated[str, Field(min_length=1, max_length=200)]
    url: Annotated[str, Field(pattern=INBOX_URL_FORM)]


class NeighbourhoodSection(Section):
    """Whose requests count: the pinned keys, where the log is read, where requests come from and bundles go to."""

    mqtt: MqttSection
    policy_file: Path
    unwitnessed: bool = False
    log_url: Annotated[str, Field(pattern=INBOX_URL_FORM)]
    mirrors: Annotated[tuple[MirrorSection, ...], Field(max_length=16)] = ()
    log_ca_file: Path | None = None
    log_every_s: Annotated[float, Field(ge=0.2, le=3_600)] = 60
    log_max_age_h: Annotated[float, Field(gt=0, le=720)] = 24
    operator_key: Key
    inbox_url: Annotated[str, Field(pattern=INBOX_URL_FORM)]
    inbox_key: Key
    look_back_days: Annotated[float, Field(gt=0, le=45)] = 30
    consider_every_s: Annotated[float, Field(ge=0.2, le=3_600)] = 5


class DeviceSettings(BaseSettings):
    """All settings of one device."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__")

    device: DeviceSection
    camera: CameraSection
    storage: StorageSection = StorageSection()
    home: HomeSection | None = None
    neighbourhood: NeighbourhoodSection | None = None
    owner_file: Path = Path("owner.pub.json")

    @model_validator(mode="after")
    def _covers_the_event(self) -> Self:
        if self.camera.pre_roll_s + self.camera.post_roll_s > self.camera.max_clip_s:
            raise ValueError("camera: pre_roll_s and post_roll_s together are longer than max_clip_s")
        return self

    @property
    def where(self) -> Point:
        """The device's place."""
        return Point.from_degrees(self.device.lat, self.device.lon)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Let variables override the file, whose values come in as arguments."""
        del settings_cls, dotenv_settings, file_secret_settings
        return env_settings, init_settings


def load_settings(home: Path) -> DeviceSettings:
    """Load `device.toml` of a device's folder; raises SettingsError with one line."""
    path = home / FILE_NAME
    _refuse_unknown_variables(os.environ)
    try:
        with path.open("rb") as file:
            values: dict[str, Any] = tomllib.load(file)
    except FileNotFoundError as error:
        raise SettingsError(f"{path} is not there; 'latchstring device init' makes it") from error
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    return check_settings(values, str(path))


def check_settings(values: dict[str, Any], where: str) -> DeviceSettings:
    """Check parsed settings, with the variables over them; raises SettingsError that names `where` and the key."""
    try:
        return DeviceSettings(**values)
    except ValidationError as error:
        raise SettingsError(f"{where}: {explain(error)}") from error
    except UnreadableError as error:  # a whole section given as one variable, and not as JSON
        raise SettingsError(f"a {PREFIX} variable can't be read: {error}") from error


def _refuse_unknown_variables(environment: Mapping[str, str]) -> None:
    for name in environment:
        if not name.startswith(PREFIX) or name.startswith(OTHER_PREFIX):
            continue
        model: type[BaseModel] | None = DeviceSettings
        for part in name.removeprefix(PREFIX).lower().split("__"):
            field = model.model_fields.get(part) if model is not None else None
            if field is None:
                raise SettingsError(
                    f"variable {name} is no setting of a device; see config/device.toml for their names"
                )
            model = _section_of(field.annotation)


def _section_of(annotation: Any) -> type[BaseModel] | None:
    candidates = [annotation, *getattr(annotation, "__args__", ())]
    return next((one for one in candidates if isinstance(one, type) and issubclass(one, BaseModel)), None)
