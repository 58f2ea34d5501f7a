"""An agency's tools: ask in public, fetch what was shared, open and check it. A library; the commands are elsewhere."""

from .check import ClipReport, FileReport
from .deletions import fetch_notices, notice_about
from .errors import AgencyError, AwaitingError, BundleError, RemoteError, RequestFileError, UnreachableError
from .fetch import Fetched, FetchError, fetch
from .inboxclient import BundleInfo, InboxClient
from .keys import AgencyFolder, application, init, write_application
from .line import new_http
from .logclient import LogClient, Patience, Promised, Submitted, fetch_policy
from .open import OpenedBundle, open_bundle
from .post import Posted, post
from .request_file import RequestDraft, load_request_file
from .rulebook import PreviewRow, preview
from .standing import Standing, read_standing
from .updates import update

__all__ = [
    "AgencyError",
    "AgencyFolder",
    "AwaitingError",
    "BundleError",
    "BundleInfo",
    "ClipReport",
    "FetchError",
    "Fetched",
    "FileReport",
    "InboxClient",
    "LogClient",
    "OpenedBundle",
    "Patience",
    "Posted",
    "PreviewRow",
    "Promised",
    "RemoteError",
    "RequestDraft",
    "RequestFileError",
    "Standing",
    "Submitted",
    "UnreachableError",
    "application",
    "fetch",
    "fetch_notices",
    "fetch_policy",
    "init",
    "load_request_file",
    "new_http",
    "notice_about",
    "open_bundle",
    "post",
    "preview",
    "read_standing",
    "update",
    "write_application",
]
