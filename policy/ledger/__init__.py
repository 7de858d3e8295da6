# SPDX-License-Identifier: AGPL-3.0-or-later
"""The ledger: a transparency log (RFC 6962 tree, C2SP checkpoints and tiles) of who did what and when.

`entries.record` is called inside the acting transaction; `store.Sequencer` gives indexes, signs and
publishes; `verify.verify` checks the published folder with nothing but the folder; `receipt` checks one
entry's proof.
"""
