"""The neighbourhood's settings: TOML, and `LATCHSTRING_BROKER_…` variables over it. Frozen, and strict about keys.

Relative paths, wherever they were given, are below the neighbourhood's folder.
"""

import os
import tomllib
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings import SettingsError as UnreadableError

from broker.files import read_text
from broker.wire.records import explain

PREFIX = "LATCHSTRING_BROKER_"
FILE_NAME = "neighbourhood.toml"

Port = Annotated[int, Field(ge=0, le=65_535)]  # 0 takes a free one


class SettingsError(Exception):
    """Settings can't be used; the message names the file or variable, the key, and what is wrong."""


class Section(BaseModel):
    """A frozen table of settings that knows its keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class LogSection(Section):
    """How the public log is called, where it is kept, and how its checkpoints are cosigned.

    The origin can't be changed once entries were signed under it. `store` is a bucket instead of the folder `log/`, at
    `store_endpoint` if it is not Amazon's; its credentials are in the environment, as everywhere. How many of the
    invited witnesses and mirrors have to cosign is all of them where it is not said. After `answer_after_s` a submitter
    is told that its entry awaits them; one exchange with one of them takes `cosign_within_s` at the most. While nothing
    is posted the log has itself cosigned again every `recosign_every_s`.
    """

    origin: Annotated[str, Field(pattern=r"^[^\s+]+$", max_length=200)] = "localhost/latchstring"
    store: Annotated[str, Field(pattern=r"^$|^s3://\S+$")] = ""
    store_endpoint: Annotated[str, Field(pattern=r"^$|^https?://\S+$")] = ""
    store_region: str = "us-east-1"
    witnesses_needed: Annotated[int, Field(ge=0, le=32)] | None = None
    mirrors_needed: Annotated[int, Field(ge=0, le=32)] | None = None
    answer_after_s: Annotated[float, Field(ge=0, le=300)] = 10.0
    cosign_within_s: Annotated[float, Field(gt=0, le=300)] = 10.0
    recosign_every_s: Annotated[float, Field(ge=10, le=86_400)] = 3_600.0


class HttpSection(Section):
    """Where log, feed and inbox are served; `url` is how they are reached from outside, if not at host and port."""

    host: str = "127.0.0.1"
    port: Port = 8080
    url: Annotated[str, Field(pattern=r"^$|^https?://\S+[^/]$")] = ""


class MqttSection(Section):
    """The embedded broker, or with `embedded = false` the one to announce requests to.

    `public_host` is what devices are told instead of `host`, where that is an address to listen on, such as 0.0.0.0.
    """

    embedded: bool = True
    host: str = "127.0.0.1"
    public_host: Annotated[str, Field(pattern=r"^[^\s/]*$", max_length=253)] = ""
    port: Port = 1883
    access_file: Path | None = None
    username: str | None = None
    password_file: Path | None = None
    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None

    def below(self, folder: Path) -> "MqttSection":
        """Return the same settings with every relative path taken from `folder`."""
        paths = {name: folder / value for name, value in self if isinstance(value, Path)}
        return self.model_copy(update=paths)


class InboxSection(Section):
    """How long a bundle is kept for its agency, once its request is closed or has expired."""

    keep_days: Annotated[int, Field(ge=1, le=3_650)] = 30


class NeighbourhoodSettings(BaseSettings):
    """All settings of the operator's process."""

    model_config = SettingsConfigDict(frozen=True, extra="forbid", env_prefix=PREFIX, env_nested_delimiter="__")

    log: LogSection = LogSection()
    http: HttpSection = HttpSection()
    mqtt: MqttSection = MqttSection()
    inbox: InboxSection = InboxSection()

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


def load_settings(folder: Path, overrides: dict[str, dict[str, Any]] | None = None) -> NeighbourhoodSettings:
    """Load `neighbourhood.toml` if there is one; `overrides` (from flags) win over the file. Raises SettingsError."""
    path = folder / FILE_NAME
    values: dict[str, Any] = {}
    try:
        if path.exists():
            values = tomllib.loads(read_text(path, error=SettingsError))
    except OSError as error:
        raise SettingsError(f"{path} can't be read: {error.strerror}") from error
    except tomllib.TOMLDecodeError as error:
        raise SettingsError(f"{path} is not TOML: {error}") from error
    _refuse_unknown_variables()
    for section, keys in (overrides or {}).items():
        values[section] = {**values.get(section, {}), **keys}
    try:
        settings = NeighbourhoodSettings(**values)
    except ValidationError as error:
        raise SettingsError(f"{path}: {explain(error)}") from error
    except UnreadableError as error:  # a whole section given as one variable, and not as JSON
        raise SettingsError(f"a {PREFIX} variable can't be read: {error}") from error
    return settings.model_copy(update={"mqtt": settings.mqtt.below(folder)})


def _refuse_unknown_variables() -> None:
    sections: dict[str, type[Section]] = {
        "log": LogSection,
        "http": HttpSection,
        "mqtt": MqttSection,
        "inbox": InboxSection,
    }
    for name in os.environ:
        if not name.startswith(PREFIX):
            continue
        section, _, key = name.removeprefix(PREFIX).lower().partition("__")
        model = sections.get(section)
        if model is None or (key and key not in model.model_fields):
            raise SettingsError(
                f"variable {name} is no setting of a neighbourhood; config/neighbourhood.toml names them"
            )
