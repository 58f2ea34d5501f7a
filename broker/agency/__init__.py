"""An agency's tools: ask in public, fetch what was shared, open and check it. A library; the commands are elsewhere."""

from .check import ClipReport, FileReport
from .client import BundleInfo, InboxClient, LogClient, Submitted, fetch_policy
from .errors import AgencyError, BundleError, RemoteError, RequestFileError, UnreachableError
from .fetch import Fetched, FetchError, fetch
from .keys import AgencyFolder, application, init
from .line import new_http
from .open import OpenedBundle, open_bundle
from .post import Posted, post
from .request_file import PreviewRow, RequestDraft, load_request_file, preview
from .withdraw import update

__all__ = [
    "AgencyError",
    "AgencyFolder",
    "BundleError",
    "BundleInfo",
    "ClipReport",
    "FetchError",
    "Fetched",
    "FileReport",
    "InboxClient",
    "LogClient",
    "OpenedBundle",
    "Posted",
    "PreviewRow",
    "RemoteError",
    "RequestDraft",
    "RequestFileError",
    "Submitted",
    "UnreachableError",
    "application",
    "fetch",
    "fetch_policy",
    "init",
    "load_request_file",
    "new_http",
    "open_bundle",
    "post",
    "preview",
    "update",
]
