# SPDX-License-Identifier: AGPL-3.0-or-later
"""The database side of the log: pending entries become leaves, and any hash of the tree can be read."""

from __future__ import annotations

from sqlalchemy import Connection, delete, insert, select, update

from config.refusal import Refused, Unavailable
from policy.ledger import schema
from policy.ledger.leaf import FIRST_PREVIOUS, Leaf
from policy.ledger.receipt import Proof
from policy.ledger.tiles import BITS, WIDTH
from policy.ledger.tree import Frontier, consistency_proof, inclusion_proof, leaf_hash, root_of_hashes

BATCH = 500
"""Pending entries taken by one transaction."""


def integrate(conn: Connection, limit: int = BATCH) -> int:
    """Take up to `limit` pending entries, in one transaction, and append them; gives how many.

    Pending rows are taken and deleted whatever their ids: ids commit out of order, and a row that commits late must
    not be passed over.
    """
    s, p = schema.state.c, schema.pending.c
    state = conn.execute(select(schema.state).where(s.id == 1).with_for_update()).one_or_none()
    if state is None:
        conn.execute(insert(schema.state).values(id=1, size=0, frontier=b"", last_hash=FIRST_PREVIOUS))
        size, frontier, previous = 0, Frontier(), FIRST_PREVIOUS
    else:
        size, previous = int(state.size), bytes(state.last_hash)
        frontier = Frontier.decode(size, bytes(state.frontier))
    taken = conn.execute(select(schema.pending).order_by(p.id).limit(limit)).all()
    if not taken:
        return 0
    conn.execute(delete(schema.pending).where(p.id.in_([row.id for row in taken])))
    entries: list[dict[str, object]] = []
    nodes: list[dict[str, object]] = []
    for index, row in enumerate(taken, size):
        leaf = Leaf(index, row.kind, int(row.at_us), previous, bytes(row.commitment)).encode()
        previous = leaf_hash(leaf)
        entries.append(
            {
                "index": index,
                "kind": row.kind,
                "at_us": row.at_us,
                "leaf": leaf,
                "leaf_hash": previous,
                "detail": row.detail,
                "subject_digest": row.subject_digest,
            }
        )
        nodes.extend(
            {"level": level, "index": number, "hash": value}
            for level, number, value in frontier.append(previous)
            if level and level % BITS == 0
        )
    conn.execute(insert(schema.entry), entries)
    if nodes:
        conn.execute(insert(schema.node), nodes)
    conn.execute(
        update(schema.state)
        .where(s.id == 1)
        .values(size=frontier.size, frontier=frontier.encode(), last_hash=previous)
    )
    return len(taken)


def tree_size(conn: Connection) -> tuple[int, Frontier]:
    """How many entries have an index, and the frontier that the last integration left."""
    row = conn.execute(select(schema.state).where(schema.state.c.id == 1)).one_or_none()
    if row is None:
        return 0, Frontier()
    return int(row.size), Frontier.decode(int(row.size), bytes(row.frontier))


class TreeReader:
    """Hashes of full subtrees out of one snapshot; an instance is a `tree.Read`. At most 256 rows a tile."""

    def __init__(self, conn: Connection) -> None:
        self._conn = conn
        self._tiles: dict[tuple[int, int], list[bytes]] = {}

    def __call__(self, level: int, index: int) -> bytes:
        base = level // BITS
        span = level % BITS
        first = index << span
        hashes = self.tile(base, first // WIDTH)
        start = first % WIDTH
        part = hashes[start : start + (1 << span)]
        if len(part) != 1 << span:
            raise LedgerDisagrees(f"hashes of level {level} are missing at {index}")
        return root_of_hashes(part)

    def tile(self, level: int, number: int) -> list[bytes]:
        """The hashes of one tile, as many as there are."""
        known = self._tiles.get((level, number))
        if known is not None:
            return known
        low, high = number * WIDTH, (number + 1) * WIDTH
        if level == 0:
            e = schema.entry.c
            query = select(e.index, e.leaf_hash).where(e.index >= low, e.index < high).order_by(e.index)
        else:
            n = schema.node.c
            query = (
                select(n.index, n.hash)
                .where(n.level == level * BITS, n.index >= low, n.index < high)
                .order_by(n.index)
            )
        rows = self._conn.execute(query).all()
        if [row[0] for row in rows] != list(range(low, low + len(rows))):
            raise LedgerDisagrees(f"entries or hashes are missing in tile {number} of level {level}")
        hashes = [bytes(row[1]) for row in rows]
        self._tiles[level, number] = hashes
        return hashes


def leaves_of(conn: Connection, number: int, width: int) -> list[bytes]:
    """The leaves of one bundle. Raises `LedgerDisagrees` when some are missing."""
    e = schema.entry.c
    low = number * WIDTH
    rows = conn.execute(select(e.leaf).where(e.index >= low, e.index < low + width).order_by(e.index)).all()
    if len(rows) != width:
        raise LedgerDisagrees(f"entries are missing between {low} and {low + width}")
    return [bytes(row[0]) for row in rows]


def prove(conn: Connection, index: int) -> Proof:
    """Leaf, inclusion proof and the newest signed checkpoint.

    Raises Refused "no-such-entry", or Unavailable "not-yet-sealed" while no checkpoint covers the entry.
    """
    c = schema.checkpoint.c
    newest = conn.execute(select(c.size, c.text).order_by(c.size.desc()).limit(1)).one_or_none()
    row = conn.execute(select(schema.entry.c.leaf).where(schema.entry.c.index == index)).one_or_none()
    if row is None:
        raise Refused("no-such-entry", f"Sổ không có mục {index}.", f"The ledger has no entry {index}.")
    if newest is None or index >= newest.size:
        raise Unavailable(
            "not-yet-sealed",
            "Mục này chưa được niêm phong, hãy thử lại sau vài giây.",
            "No signed checkpoint covers this entry yet; try again in a few seconds.",
        )
    hashes = inclusion_proof(index, int(newest.size), TreeReader(conn))
    return Proof(index, bytes(row.leaf), tuple(hashes), bytes(newest.text))


def prove_consistency(conn: Connection, first: int, second: int) -> list[bytes]:
    """The proof that the log of `second` entries begins with that of `first`. Raises ValueError."""
    size, _ = tree_size(conn)
    if second > size:
        raise ValueError("the log is not that long")
    return consistency_proof(first, second, TreeReader(conn))


class LedgerDisagrees(Refused):
    """The database, the folder and the last signed checkpoint don't agree: nothing is signed."""

    def __init__(self, what: str) -> None:
        super().__init__(
            "ledger-disagrees",
            f"Sổ nhật ký không khớp với điểm kiểm tra đã ký, không ký tiếp ({what}). "
            "Chạy `congvan audit verify` và so với bản sao lưu.",
            f"The ledger does not agree with its last signed checkpoint, nothing is signed ({what}). "
            "Run `congvan audit verify` and compare with the backup.",
        )
