# SPDX-License-Identifier: AGPL-3.0-or-later
"""What signing costs, in CPU time, beside bare P-256 signatures of the same run (`make bench-signing`).

A 1 MB PDF is signed by a person and an organisation, each with a time-stamp, keys in the signer's encrypted
files, everything in this one process so that the CPU of the signer counts; then 2,000 keys are listed, used and
renewed, and 2,000 people through the signer's socket.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from pyhanko.pdf_utils import generic
from pyhanko.pdf_utils.reader import PdfFileReader
from pyhanko.pdf_utils.writer import copy_into_new_writer

from exchange.signing.key_client import Keys
from exchange.signing.keys import KeyStore, make_secret
from exchange.signing.pdf.compose import compose_draft
from exchange.signing.pdf.objects import stream, written
from exchange.signing.pdf.prepare import prepare
from exchange.signing.pdf.sign import begin_as_person
from tests.exchange.signing.house import DRAFT, LEADER, build, pen_stroke, person_approval, running

ROUNDS = 15


def megabyte() -> bytes:
    """The composed draft with 1 MB that does not compress in it."""
    import io

    writer = copy_into_new_writer(PdfFileReader(io.BytesIO(compose_draft(DRAFT))))
    filling = writer.add_object(stream(os.urandom(1024 * 1024), {}, compressed=False))
    writer.root[generic.pdf_name("/CVBench")] = filling
    return written(writer)


def cpu(work: Callable[[], object], rounds: int = ROUNDS) -> float:
    """The median CPU milliseconds of ``work``."""
    spent = []
    for _ in range(rounds):
        start = time.process_time()
        work()
        spent.append((time.process_time() - start) * 1000)
    return sorted(spent)[len(spent) // 2]


def pades(folder: Path) -> dict[str, float]:
    """Person + organisation + two time-stamps."""
    key = ec.generate_private_key(ec.SECP256R1())
    bare = cpu(lambda: [key.sign(b"x" * 64, ec.ECDSA(hashes.SHA256())) for _ in range(1000)]) / 1000
    with running(build(folder)) as house:
        draft = megabyte()
        prepared = prepare(draft)
        signed = house.person_signs(prepared).data
        numbered = house.with_data(house.numbered(signed))
        house.seals(numbered, signed)
        person = cpu(lambda: house.person_signs(prepared))
        seal = cpu(lambda: house.seals(numbered, signed))
        return {
            "bare P-256 signature, ms": round(bare, 4),
            "prepare (once a draft), ms": round(cpu(lambda: prepare(draft)), 1),
            "person with time-stamp, ms": round(person, 1),
            "number, date, validation data, ms": round(
                cpu(lambda: house.with_data(house.numbered(signed))), 1
            ),
            "organisation with time-stamp, ms": round(seal, 1),
            "person + organisation + time-stamps, ms": round(person + seal, 1),
            "ratio to four bare signatures": round((person + seal) / (4 * bare)),
        }


def keys(folder: Path, count: int = 2000) -> dict[str, float]:
    """Listed, used, renewed: CPU seconds."""
    make_secret(folder / "secret")
    store = KeyStore(folder / "keys", folder / "secret")
    names = [f"person:a{number}@x.example" for number in range(count)]
    for name in names:
        store.make(name, "file")
    fresh = KeyStore(folder / "keys", folder / "secret")
    algorithm = ec.ECDSA(hashes.SHA256())
    return {
        f"{count} keys listed, s": round(cpu(fresh.names, 1) / 1000, 3),
        f"{count} keys used for the first time, s": round(
            cpu(lambda: [fresh.elliptic(name)[0].sign(b"x", algorithm) for name in names], 1) / 1000, 2
        ),
        f"{count} keys renewed, s": round(
            cpu(lambda: [fresh.make(name, "file", replacing=True) for name in names], 1) / 1000, 2
        ),
    }


def through_the_signer(folder: Path, count: int = 2000) -> dict[str, float]:
    """The same people by requests to the signer: wall seconds."""
    names = [f"a{number}@x.example" for number in range(count)]
    with running(build(folder)) as house:
        asked = Keys(house.client)

        def person(name: str, *, renew: bool = False) -> None:
            asked.person(name, "Người ký", "Chuyên viên", "Văn phòng", "t", renew=renew)

        def sign(name: str) -> None:
            approval = person_approval(begun.data, replace(LEADER, address=name))
            house.client.sign_person(name, approval, begun.digest, begun.signed_attrs)

        issued = wall(lambda: [person(name) for name in names])
        begun = begin_as_person(house.prepared(), house.directory, names[0], pen_stroke("A"))
        return {
            f"{count} people issued, wall s": issued,
            f"{count} people listed, wall s": wall(lambda: list(asked.listing())),
            f"{count} people signing, wall s": wall(lambda: [sign(name) for name in names]),
            f"{count} people renewed, wall s": wall(lambda: [person(name, renew=True) for name in names]),
        }


def wall(work: Callable[[], object]) -> float:
    """Seconds of ``work``."""
    start = time.perf_counter()
    work()
    return round(time.perf_counter() - start, 2)


def main() -> None:
    """Print the figures as JSON."""
    with (
        tempfile.TemporaryDirectory(prefix="cvb") as one,
        tempfile.TemporaryDirectory() as two,
        tempfile.TemporaryDirectory(prefix="cvb") as three,
    ):
        found = pades(Path(one)) | keys(Path(two)) | through_the_signer(Path(three))
    print(json.dumps(found, indent=1))  # noqa: T201 - this is its output


if __name__ == "__main__":
    main()
