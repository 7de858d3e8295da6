# SPDX-License-Identifier: AGPL-3.0-or-later
"""Proving that the store is whole: every blob opens, every counter, reference, UID and log entry agrees.

Works while the installation serves: counters, references and logs are compared in one snapshot; contents
are read in slices, each in a fresh one, so that compaction and the database's own upkeep go on. Memory: one
mailbox's UIDs and eight bytes a blob.
"""

from __future__ import annotations

from config.database import Database
from config.seal import Seal
from mailserver.store.storage import BlobStorage
from mailserver.store.verify.blobs import check_blobs
from mailserver.store.verify.contents import check_contents
from mailserver.store.verify.findings import Findings, Problem
from mailserver.store.verify.mailboxes import check_mailboxes
from mailserver.store.verify.numbers import check_numbers

__all__ = ["Findings", "Problem", "verify_data"]


def verify_data(database: Database, segments: BlobStorage, seal: Seal, *, repair: bool = False) -> Findings:
    """Check all of the store. ``repair`` also sets right what can be derived: counters, references, log
    entries, summaries, sizes; ``Findings.repaired`` says what was done."""
    found = Findings()
    with database.reading() as conn:
        check_numbers(conn, found)
        check_mailboxes(conn, found)
        check_blobs(conn, seal, found)
    check_contents(database, segments, seal, found)
    if repair:
        found.repair(database)
    return found
