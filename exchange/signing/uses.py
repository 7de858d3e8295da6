# SPDX-License-Identifier: AGPL-3.0-or-later
"""What the signer remembers: every use of a key, the approvals it has seen, the rows it has sealed.

One append-only file of JSON lines, each with the hash of the line before it. Read once at the start;
a torn last line (a crash while writing) is cut off. No secrets are in it.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from pathlib import Path
from typing import Any

from config.clock import now_us
from config.refusal import Refused
from exchange.signing.protocol import APPROVAL_SECONDS, Use

_FUTURE_US = 30_000_000


class Uses:
    """The log and what follows from it. Safe to use from several threads."""

    def __init__(self, path: Path) -> None:
        """Opens or creates the log. Raises `Refused` when a line was altered."""
        self._guard = threading.Lock()
        self._approvals: dict[str, tuple[int, str]] = {}
        self._seals: dict[tuple[str, str], tuple[str, str]] = {}
        self._last = ""
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        self._read(path)

    def close(self) -> None:
        """Closes the file."""
        os.close(self._file)

    def record(
        self,
        op: str,
        key: str,
        *,
        who: str = "",
        purpose: str = "",
        digest: str = "",
        approval: str = "",
        durable: bool = True,
    ) -> Use:
        """Writes a use that needs no approval."""
        with self._guard:
            return self._append(op, key, who, purpose, digest, approval, {}, durable)

    def approve(
        self, op: str, key: str, *, who: str, purpose: str, digest: str, approval_id: str, at: int, mode: str
    ) -> Use:
        """Writes the use of an approval before the key is used.

        Raises `Refused`: ``approval-expired`` (older than 5 minutes, or from the future),
        ``approval-used`` (this approval signed another digest).
        """
        with self._guard:
            self._fresh(approval_id, at, digest)
            self._approvals[approval_id] = (at, digest)
            return self._append(op, key, who, purpose, digest, mode, {"approval_id": approval_id}, True)

    def seal(
        self,
        key: str,
        *,
        who: str,
        template: str,
        row: str,
        person_signed: str,
        digest: str,
        approval_id: str,
        at: int,
        mode: str,
    ) -> Use:
        """Writes a seal for a register row: once for each row, repeatable for the same signed file.

        Raises `Refused`: as `approve`, and ``row-already-sealed``.
        """
        with self._guard:
            self._fresh(approval_id, at, digest)
            known = self._seals.get((key, row))
            if known is not None and known != (person_signed, template):
                raise Refused(
                    "row-already-sealed",
                    "Số này trong sổ đăng ký đã được đóng dấu cho một tệp khác; mỗi số chỉ ký một lần.",
                    "This register row was sealed for another file already; a row is sealed only once.",
                )
            self._approvals[approval_id] = (at, digest)
            self._seals[key, row] = (person_signed, template)
            more = {
                "approval_id": approval_id,
                "row": row,
                "template": template,
                "person_signed": person_signed,
            }
            return self._append("seal_agency", key, who, row, digest, mode, more, True)

    def _fresh(self, approval_id: str, at: int, digest: str) -> None:
        now = now_us()
        oldest = now - APPROVAL_SECONDS * 1_000_000
        if not approval_id or not oldest <= at <= now + _FUTURE_US:
            raise Refused(
                "approval-expired",
                "Phê duyệt ký đã quá 5 phút. Đề nghị người ký xác nhận lại.",
                "The approval is older than 5 minutes. Please ask the signer to approve again.",
            )
        self._approvals = {one: kept for one, kept in self._approvals.items() if kept[0] >= oldest}
        known = self._approvals.get(approval_id)
        if known is not None and known[1] != digest:
            raise Refused(
                "approval-used",
                "Phê duyệt này đã dùng để ký một tệp khác. Đề nghị người ký xác nhận lại.",
                "This approval signed another file already. Please ask the signer to approve again.",
            )

    def _append(
        self,
        op: str,
        key: str,
        who: str,
        purpose: str,
        digest: str,
        approval: str,
        more: dict[str, str],
        durable: bool,
    ) -> Use:
        at = now_us()
        entry: dict[str, Any] = {
            "op": op,
            "key": key,
            "who": who,
            "purpose": purpose,
            "digest": digest,
            "approval": approval,
            "at": at,
            **more,
            "before": self._last,
        }
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        written = os.write(self._file, line)
        if written != len(line):
            raise OSError("the signer's log could not be written")
        if durable:
            os.fdatasync(self._file)
        self._last = hashlib.sha256(line).hexdigest()
        return Use(op, key, who, purpose, digest, approval, at, self._last)

    def _read(self, path: Path) -> None:
        oldest = now_us() - APPROVAL_SECONDS * 1_000_000
        good = 0
        with path.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._take(line, oldest)
                good += len(line)
        os.ftruncate(self._file, good)

    def _take(self, line: bytes, oldest: int) -> None:
        try:
            entry = json.loads(line)
            if entry["before"] != self._last:
                raise ValueError
            if "row" in entry:
                self._seals[entry["key"], entry["row"]] = (entry["person_signed"], entry["template"])
            if "approval_id" in entry and entry["at"] >= oldest:
                self._approvals[entry["approval_id"]] = (entry["at"], entry["digest"])
        except (ValueError, KeyError, TypeError):
            raise Refused(
                "signer-log-altered",
                "Nhật ký của tiến trình ký số đã bị sửa. Kiểm tra máy chủ trước khi ký tiếp.",
                "The signing process's own log was altered. Check the server before signing goes on.",
            ) from None
        self._last = hashlib.sha256(line).hexdigest()
