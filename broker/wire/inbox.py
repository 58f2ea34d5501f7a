"""The inbox's HTTP contract: tus 1.0 (core and creation) with one envelope in front. Names only.

    POST   <inbox>                create; `Upload-Length`, `Upload-Metadata: envelope <base64 of the upload envelope>`;
                                  201 with `Location`; the same envelope again answers 201 with the same Location
    HEAD   <location>             `Upload-Offset`
    PATCH  <location>             append at `Upload-Offset`
    GET    <location>/receipt     the receipt envelope once all bytes are there and hash as promised; 409 before
    GET    <inbox>/requests/<leaf hash>     what arrived for a request: {"bundles": [{"id", "bytes", "sha256"}]}
    GET    <inbox>/bundles/<id>             one bundle, byte ranges allowed

The last two need `Authorization: DSSE <base64 of a fetch envelope>`, signed by the request's agency.
"""

TUS_VERSION = "1.0.0"
INBOX_URL_FORM = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"  # no user, query or fragment
ENVELOPE_KEY = "envelope"
AUTH_SCHEME = "DSSE"
MAX_BUNDLE_BYTES = 512 * 1024 * 1024
FETCH_FRESH_US = 5 * 60 * 1_000_000
OFFSET_TYPE = "application/offset+octet-stream"
