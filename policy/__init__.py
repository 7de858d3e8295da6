# SPDX-License-Identifier: AGPL-3.0-or-later
"""The rules and the record: what may be done (rules, rights) and what was done (ledger).

Knows nothing of mail protocols, pages or files of documents: it judges facts and keeps entries.
"""
