# SPDX-License-Identifier: AGPL-3.0-or-later
"""OpenPGP both ways with gpg's command line; of a failed message nothing comes out."""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from config.refusal import Refused, Unavailable
from exchange.sealing.openpgp import OpenPgp
from exchange.sealing.openpgp_pool import pooled
from exchange.sealing.recipients import CannotOpen
from tests.exchange.sealing.pgp import PgpPair, gpg, gpg_home, make_pair

BODY = "Kính gửi đồng chí.\r\n".encode() * 2000


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with gpg_home() as made:
        yield made


@pytest.fixture(scope="module")
def a(home: Path) -> PgpPair:
    return make_pair(home, "Văn thư A <vt@a.example>")


@pytest.fixture(scope="module")
def b(home: Path) -> PgpPair:
    return make_pair(home, "Văn thư B <vt@b.example>", "rsa3072")


@pytest.fixture(scope="module")
def ours(a: PgpPair, b: PgpPair) -> Iterator[OpenPgp]:
    """Our side: the secret key of A, the public key of B."""
    with OpenPgp.temporary([a.secret, b.public]) as made:
        yield made


@pytest.fixture(scope="module")
def theirs(a: PgpPair, b: PgpPair) -> Iterator[OpenPgp]:
    with OpenPgp.temporary([b.secret, a.public]) as made:
        yield made


def test_gpg_verifies_and_opens_ours(
    home: Path, tmp_path: Path, a: PgpPair, b: PgpPair, ours: OpenPgp
) -> None:
    (tmp_path / "body").write_bytes(BODY)
    (tmp_path / "sig").write_bytes(ours.sign(BODY, a.fingerprint))
    done = gpg(home, "--verify", str(tmp_path / "sig"), str(tmp_path / "body"))
    assert done.returncode == 0
    assert f"VALIDSIG {a.fingerprint}".encode() in done.stderr
    done = gpg(home, "--decrypt", data=ours.encrypt(BODY, [b.fingerprint], a.fingerprint))
    assert done.stdout == BODY
    assert b"GOODSIG" in done.stderr


@pytest.mark.parametrize("armour", [(), ("--armor",)])
def test_we_verify_and_open_gpg(
    home: Path, a: PgpPair, b: PgpPair, theirs: OpenPgp, armour: tuple[str, ...]
) -> None:
    signature = gpg(home, *armour, "-u", a.fingerprint, "--detach-sign", data=BODY).stdout
    (one,) = theirs.verify(BODY, signature)
    assert (one.verdict.verdict, one.fingerprint) == ("TOTAL-PASSED", a.fingerprint)
    assert one.addresses == ("vt@a.example",)
    sealed = gpg(home, *armour, "-u", a.fingerprint, "-r", b.fingerprint, "-se", data=BODY).stdout
    opened = theirs.decrypt(sealed)
    assert opened.content == BODY
    assert [one.verdict.verdict for one in opened.signatures] == ["TOTAL-PASSED"]
    (late,) = theirs.verify(BODY, signature, datetime.now(UTC) - timedelta(days=1))
    assert late.verdict.sub_indication == "TIMESTAMP_ORDER_FAILURE"


def test_altered(a: PgpPair, b: PgpPair, ours: OpenPgp, theirs: OpenPgp) -> None:
    (one,) = theirs.verify(BODY + b"x", ours.sign(BODY, a.fingerprint))
    assert (one.verdict.verdict, one.verdict.sub_indication) == ("TOTAL-FAILED", "HASH_FAILURE")
    sealed = ours.encrypt(BODY, [b.fingerprint], a.fingerprint)
    lines = sealed.split(b"\n")
    lines[len(lines) // 2] = lines[len(lines) // 2][::-1]
    for damaged in (b"\n".join(lines), sealed[: len(sealed) // 2], b"", b"junk"):
        with pytest.raises(CannotOpen) as caught:
            theirs.decrypt(damaged)
        assert "nh" not in str(caught.value.__cause__)
    assert theirs.verify(BODY, b"junk") == ()


def test_without_integrity_protection(home: Path, b: PgpPair, theirs: OpenPgp) -> None:
    """EFAIL: a message without MDC may be altered at will, so it is never opened."""
    done = gpg(home, "--rfc2440", "--disable-mdc", "-r", b.fingerprint, "-e", data=BODY)
    if done.returncode == 0 and done.stdout:
        with pytest.raises(CannotOpen):
            theirs.decrypt(done.stdout)
    unencrypted = gpg(home, "--store", data=BODY).stdout
    with pytest.raises(CannotOpen):
        theirs.decrypt(unencrypted)


def test_a_bomb(home: Path, b: PgpPair) -> None:
    """Zeros that would be 2,000 times as large as the message: gpg is stopped at the limit, nothing comes out."""
    words = ("-z", "6", "--compress-algo", "zip", "-r", b.fingerprint, "-e")
    for size in (1_000_001, 30 << 20):
        box = gpg(home, *words, data=bytes(size)).stdout
        assert len(box) < size // 500
        with OpenPgp.temporary([b.secret], longest=1_000_000) as small, pytest.raises(CannotOpen):
            small.decrypt(box)


def test_whose_key_it_is(home: Path, a: PgpPair, b: PgpPair) -> None:
    other = make_pair(home, "Kẻ khác <vt@a.example>")
    signature = gpg(home, "-u", other.fingerprint, "--detach-sign", data=BODY).stdout
    weak = gpg(home, "--digest-algo", "SHA1", "-u", a.fingerprint, "--detach-sign", data=BODY).stdout
    with OpenPgp.temporary([a.public]) as only_a:
        (one,) = only_a.verify(BODY, signature)
        assert (one.verdict.verdict, one.fingerprint) == ("INDETERMINATE", "")
        told = only_a.verify(BODY, weak)
        assert all(one.verdict.verdict != "TOTAL-PASSED" for one in told)
    with pytest.raises(Refused), OpenPgp.temporary([b"no key"]):
        pass
    with pytest.raises(Unavailable):
        OpenPgp(Path("/tmp") / ("x" * 100))


def test_expired_key(home: Path) -> None:
    past = "20200101T000000"
    old = make_pair(home, "Cũ <vt@old.example>", "ed25519", "2020-02-01", "--faked-system-time", past)
    signature = gpg(
        home, "--faked-system-time", past, "-u", old.fingerprint, "--detach-sign", data=BODY
    ).stdout
    with OpenPgp.temporary([old.public]) as made:
        (one,) = made.verify(BODY, signature)
    assert (one.verdict.verdict, one.verdict.sub_indication) == ("INDETERMINATE", "OUT_OF_BOUNDS_NO_POE")


def test_several_at_once(a: PgpPair, b: PgpPair, ours: OpenPgp, theirs: OpenPgp) -> None:
    opened: list[bytes] = []

    def both() -> None:
        opened.append(theirs.decrypt(ours.encrypt(BODY, [b.fingerprint], a.fingerprint)).content)

    threads = [threading.Thread(target=both) for _ in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert opened == [BODY] * 8


def test_kept_homes_start_no_agent_and_leave_nothing(a: PgpPair, b: PgpPair) -> None:
    """The same set is one home; no process outlives the work; what a killed process left is swept."""
    left = Path(tempfile.mkdtemp(prefix="cv-keys-99999999-"))
    gpg = pooled([a.public, b.public])
    assert pooled([a.public, b.public]) is gpg
    assert not left.exists()
    assert set(gpg.keys()) == {a.fingerprint, b.fingerprint}
    gpg.encrypt(b"x", [a.fingerprint])
    homes = list(Path(tempfile.gettempdir()).glob(f"cv-keys-{os.getpid()}-*"))
    assert homes
    assert not [one for one in homes if (one / "S.gpg-agent").exists()]
