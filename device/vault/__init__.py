"""What is kept at home, and how it is sealed: keys, sealing, clip files, clip ring, ledger, and the state below.

The vault knows bytes and keys, not why anything is kept: no video, no consent, no network. The daemon's half of it
(device key, owner's public key) can seal and sign, and has no way to open what it sealed.
"""
