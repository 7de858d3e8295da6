# SPDX-License-Identifier: AGPL-3.0-or-later
"""The command line of a running province: keys from birth to recovery, initials, joint issuing, attachments."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from tests.exchange.documents.office import draft_pdf
from tests.running import Demo, eventually

HOME, OTHER, THIRD = "H12.02", "H12.03", "H12.16.01"


@pytest.fixture(scope="module")
def demo() -> Iterator[Demo]:
    made = Demo()
    made.start()
    yield made
    made.stop()


def address(demo: Demo, role: str, agency: str) -> str:
    return demo.account(role, agency)["address"]


def issue(demo: Demo, *more: str, subject: str = "Kế hoạch phối hợp") -> dict[str, Any]:
    return demo.congvan(
        "document",
        "issue",
        str(demo.folder / "draft.pdf"),
        *("--agency", HOME, "--to", THIRD, "--kind", "Thông báo", "--subject", subject),
        *("--signer", address(demo, "leader", HOME), "--clerk", address(demo, "clerk", HOME)),
        *more,
    )


def test_a_joint_document_by_command_and_its_evidence(demo: Demo, tmp_path: Path) -> None:
    drafter, other = address(demo, "civil-servant", HOME), address(demo, "leader", OTHER)
    refused = demo.run(
        *("document", "issue", str(demo.folder / "draft.pdf"), "--agency", HOME, "--to", THIRD),
        *("--kind", "Thông báo", "--subject", "x", "--signer", address(demo, "leader", HOME)),
        *("--clerk", address(demo, "clerk", HOME), "--initial", drafter),
    )
    assert refused.returncode == 1
    assert "no signing certificate" in refused.stderr
    made = demo.congvan("agency", "key", "issue", "--person", drafter, "--approval", "file")
    assert (made["person"], made["replaced"]) == (drafter, [])
    annex = tmp_path / "danh-muc.pdf"
    annex.write_bytes(draft_pdf("Danh mục", "Phụ lục"))
    told = issue(demo, "--initial", drafter, "--co-signer", other, "--attachment", str(annex))
    assert (told["state"], told["packet_digest"]) == ("sealing", "")
    wrong = demo.run(
        *("document", "seal", told["id"], "--agency", THIRD, "--clerk", address(demo, "clerk", THIRD))
    )
    assert wrong.returncode == 1
    sealed = demo.congvan(
        *("document", "seal", told["id"], "--agency", OTHER, "--clerk", address(demo, "clerk", OTHER))
    )
    assert (sealed["state"], sealed["number"]) == ("sent", told["number"])

    def arrived() -> bool:
        (recipient,) = demo.congvan("document", "status", told["id"])["recipients"]
        return bool(recipient["outcome"] == "delivered")

    eventually(arrived, 40)
    file = tmp_path / "evidence.zip"

    def written() -> bool:
        return demo.run("document", "evidence", told["id"], "--output", str(file)).returncode == 0

    eventually(written, 30)
    verdict = demo.congvan("verify", str(file), "--trust", demo.ready["ca"])
    assert (verdict["verdict"], verdict["official"]) == ("TOTAL-PASSED", True), verdict["reason"]
    seals = [one for one in verdict["signatures"] if one["role"] == "organisation"]
    assert {one["organisation"] for one in seals} >= {
        next(one["name"] for one in demo.ready["agencies"] if one["code"] == code) for code in (HOME, OTHER)
    }


def test_renewed_and_compromised_keys_and_what_hangs_on_them(demo: Demo) -> None:
    leader, other = address(demo, "leader", HOME), address(demo, "leader", OTHER)
    renewed = demo.congvan("agency", "key", "renew", "--person", leader)
    assert len(renewed["replaced"]) == 1
    assert issue(demo, subject="Sau khi đổi khóa")["state"] == "sent"
    waiting = issue(demo, "--co-signer", other, subject="Chờ liên tịch")
    assert waiting["state"] == "sealing"
    lost = demo.congvan("agency", "key", "compromised", "--person", leader)
    assert lost["voided"] == [waiting["id"]]
    assert demo.congvan("document", "status", waiting["id"])["state"] == "void"
    assert issue(demo, subject="Khóa mới")["state"] == "sent"
    listed = demo.congvan("agency", "key", "list")["items"]
    assert {"person:" + leader, f"agency-sign:{HOME}"} <= {one["name"] for one in listed}
    seal = demo.congvan("agency", "key", "renew", "--agency", HOME, "--which", "sign")
    assert seal["agency"] == HOME
    assert issue(demo, subject="Dấu mới")["state"] == "sent"


def test_two_of_three_officers_take_a_key_back(demo: Demo, tmp_path: Path) -> None:
    officers = []
    for name in ("a", "b", "c"):
        key = ec.generate_private_key(ec.SECP256R1())
        (tmp_path / f"{name}.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        public = tmp_path / f"{name}.pub.pem"
        public.write_bytes(
            key.public_key().public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
        )
        officers += ["--officer", f"{name}={public}"]
    file = tmp_path / "recovery"
    put = ("agency", "key", "put-by", "--agency", OTHER, *officers, "--threshold", "2", "--output", str(file))
    assert demo.congvan(*put)["threshold"] == 2
    shares = []
    for name in ("a", "c"):
        done = demo.run("agency", "key", "share", str(file), "--key", str(tmp_path / f"{name}.pem"), "--json")
        assert done.returncode == 0, done.stderr
        shares += ["--share", json.loads(done.stdout)["share"]]
    alone = demo.run("agency", "key", "recover", str(file), *shares[:2])
    assert alone.returncode == 1
    assert demo.congvan("agency", "key", "recover", str(file), *shares)["restored"] == []


def test_the_installations_own_keys_are_renewed_while_it_serves(demo: Demo) -> None:
    before = issue(demo, subject="Trước khi đổi khóa")
    old = demo.congvan("audit", "verify")["key"]
    names = {one["use"]: one["name"] for one in demo.congvan("authority", "list")["items"]}
    for which in ("timestamps", "issuing", "ledger"):
        assert demo.congvan("authority", "renew", which)["renewed"] == which
        assert issue(demo, subject=f"Sau {which}")["state"] == "sent"
    eventually(lambda: demo.congvan("audit", "verify")["key"] != old)
    assert demo.congvan("audit", "verify", "--key", old)["ok"]
    after = {one["use"]: one["name"] for one in demo.congvan("authority", "list")["items"]}
    assert after["issuing (earlier)"] == names["issuing"] != after["issuing"]
    status = demo.congvan("document", "status", before["id"])
    assert all(one["proved"] for one in status["recipients"][0]["evidence"]), status
    items = demo.congvan("agency", "key", "list")["items"]
    assert any(one["name"].startswith("ca-issuing~") for one in items)
    lines = {one["name"]: one["ok"] for one in json.loads(demo.run("check", "--json").stdout)["items"]}
    assert lines["authorities"]
    assert lines["ledger"]
