# SPDX-License-Identifier: AGPL-3.0-or-later
"""Old mail brought in: from an IMAP server, an mbox file or a Maildir, resumable and checked.

`source.py` says what a source is, `imap.py`, `mbox.py` and `maildir.py` are the three there are,
`copying.py` walks one into the mailboxes of an account and gives a `report.py`.
"""
