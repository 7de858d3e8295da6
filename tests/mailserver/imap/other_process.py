# SPDX-License-Identifier: AGPL-3.0-or-later
"""A second IMAP process on a store that is already served: ``python -m tests.mailserver.imap.other_process ARGS``.

Arguments: database address, lock file, segments folder, run folder, port file. It writes its port and serves.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from config.database import Database
from config.settings import Installation, Listen, Mail, Settings
from config.wake import Wake
from mailserver.accounts import Accounts
from mailserver.imap.server import ImapServer
from mailserver.store import Store
from mailserver.store.segments import Segments
from tests.conftest import fixed_seal


async def main(url: str, lock: Path, segments: Path, run: Path, port_file: Path) -> None:
    """Serve until killed."""
    database, seal, wake = Database(url, lock), fixed_seal(), Wake(run)
    store = Store(database, seal, Segments(segments), wake)
    settings = Settings(
        base=run,
        file=run / "province.toml",
        installation=Installation(tls_name="localhost"),
        listen=Listen(imap="127.0.0.1:0", imaps=""),
        mail=Mail(plaintext_on_loopback=True),
    )
    server = ImapServer(store, Accounts(database, seal), settings)
    wake.start()
    await server.start()
    port_file.with_suffix(".new").write_text(str(server.addresses["imap"][1]))
    port_file.with_suffix(".new").rename(port_file)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], *(Path(one) for one in sys.argv[2:])))
