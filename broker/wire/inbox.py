"""The inbox's HTTP contract: tus 1.0 (core and creation) with one envelope in front. Names only.

    POST   <inbox>                create; `Upload-Length`, `Upload-Metadata: envelope <base64 of the upload envelope>`;
                                  201 with `Location`; the same envelope again answers 201 with the same Location
    HEAD   <location>             `Upload-Offset`
    PATCH  <location>             append at `Upload-Offset`
    GET    <location>/receipt     the receipt envelope once all bytes are there and hash as promised; 409 before
    POST   <inbox>/deletions      the deletion envelope as body, signed by a bundle's sender; 200 with the inbox's
                                  receipt for it, the same for every notice of one sender; 404 `unknown-bundle`
                                  where it knows none such, or not any more; 409 before the bundle is there whole
    GET    <inbox>/requests/<leaf hash>     what arrived for a request: {"bundles": [{"id", "bytes", "sha256"}]}
    GET    <inbox>/requests/<leaf hash>/deletions     the senders' notices: {"deletions": [<base64 of an envelope>]}
    GET    <inbox>/bundles/<id>             one bundle, byte ranges allowed

The last three need `Authorization: DSSE <base64 of a fetch envelope>`, signed by the request's agency.

A notice is durable before its receipt is given. The inbox itself then lets go of the bundle, fetched or not.
"""

TUS_VERSION = "1.0.0"
INBOX_URL_FORM = r"^https?://[^\s/?#@]+(/[^\s?#]*)?$"  # no user, query or fragment
ENVELOPE_KEY = "envelope"
AUTH_SCHEME = "DSSE"
MAX_BUNDLE_BYTES = 512 * 1024 * 1024
FETCH_FRESH_US = 5 * 60 * 1_000_000
OFFSET_TYPE = "application/offset+octet-stream"
UNKNOWN_BUNDLE = "unknown-bundle"
MAX_NOTICE_BYTES = 4_096
