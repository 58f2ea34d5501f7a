"""Anyone's verifier accepts what we write and refuses what is forged, and we do the same with what others write.

| format | implementation that is not ours | where |
| --- | --- | --- |
| signed note | golang.org/x/mod `sumdb/note`; aics-tlog; tlog-scales | test_signed_note |
| checkpoint | the same, and our reading of it in Go | test_signed_note |
| cosignature/v1 | aics-tlog; tlog-scales; a `note.Verifier` in Go on crypto/ed25519 | test_cosignature |
| tlog-tiles: hash tiles | golang.org/x/mod `sumdb/tlog`; aics-tlog; tlog-scales | test_tiles |
| tlog-tiles: entry bundles | aics-tlog; tlog-scales; a reader in Go that rebuilds each tile by x/mod | test_tiles |
| RFC 6962 proofs | golang.org/x/mod `sumdb/tlog`; aics-tlog; tlog-scales | test_merkle_proofs |
| tlog-proof, tlog-policy | a verifier in Go on x/mod's notes and proofs, written here | test_proof |
| tlog-witness | aics-witness, its witness and its client, over HTTP | test_witness |
| tlog-mirror | x/mod and aics-tlog audit our mirror's copy of a log that Go wrote | test_mirror |
| DSSE | securesystemslib; openssl over the pre-authentication encoding | test_dsse |
| RFC 8785 | JavaScript itself: the RFC defines numbers, strings and order by ECMAScript | test_canonical_json |
| age | the stock `age` | test_age |

x/mod is Debian's golang-golang-x-mod-dev; the Go programs beside these tests are built once a session, without a
network. aics-tlog and aics-witness ask for Python 3.12; on 3.11, where they run as well, pip wants to be told so.
"""
