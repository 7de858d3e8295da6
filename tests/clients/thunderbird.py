# SPDX-License-Identifier: AGPL-3.0-or-later
"""Thunderbird as a judge: ``python -m tests.clients.thunderbird``. It must show our letters as signed and open the encrypted one.

Driven headless by Marionette; the profile is thrown away. Needs the Debian package ``thunderbird``. In the suite by
`tests.clients.test_thunderbird_judge`.
"""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from email.utils import formatdate
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import BestAvailableEncryption, Encoding, pkcs12

from exchange.sealing.secure_mail import encrypt_mail, sign_mail
from exchange.trust import authority as ca
from tests.exchange.sealing.province import Province

MAIL = (
    b"From: vt@a.example\r\nTo: vt@b.example\r\nSubject: Thong bao\r\nDate: "
    + formatdate().encode()
    + b"\r\n"
    b"Message-ID: <tb@a.example>\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=us-ascii\r\n\r\n"
    b"Kinh gui dong chi.\r\n"
)
"""Of today: a letter that was signed long after its Date is shown as a mismatch."""
_SHOW = """
const [path, done] = arguments;
(async () => {
  const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  file.initWithPath(path);
  const uri = Services.io.newFileURI(file).mutate().setQuery("type=application/x-message-display").finalize();
  const main = Services.wm.getMostRecentWindow("mail:3pane");
  const window = "chrome://messenger/content/messageWindow.xhtml";
  main.openDialog(window, "_blank", "all,chrome,dialog=no,status,toolbar", uri);
  const said = { signed: "", encrypted: "", text: "" };
  for (let n = 0; n < 80; n++) {
    await new Promise(r => setTimeoutOf(r, 250));
    const win = Services.wm.getMostRecentWindow("mail:messageWindow");
    const inner = win && win.document.getElementById("messageBrowser")?.contentDocument;
    if (!inner) continue;
    const icon = id => { const one = inner.getElementById(id); return one && !one.hidden && one.getAttribute("src") || ""; };
    said.signed = icon("signedHdrIcon"); said.encrypted = icon("encryptedHdrIcon");
    const body = inner.getElementById("messagepane")?.contentDocument?.body;
    said.text = body ? body.textContent.trim() : "";
    said.subject = inner.getElementById("expandedsubjectBox")?.textContent || "";
    if (said.text && n > (said.signed ? 16 : 40)) { win.close(); break; }
  }
  done(said);
})().catch(e => done({ error: String(e) + " " + e.stack }));
function setTimeoutOf(f, ms) {
  const t = Cc["@mozilla.org/timer;1"].createInstance(Ci.nsITimer);
  t.initWithCallback(f, ms, 0);
  (globalThis.kept ??= []).push(t);
}
"""
_TRUST = """
const [ca, others, p12, done] = arguments;
try {
  const db = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  db.addCertFromBase64(ca, "CT,C,C");
  for (const one of others) db.addCertFromBase64(one, ",,");
  const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  file.initWithPath(p12);
  done({ imported: db.importPKCS12File(file, "x") });
} catch (e) { done({ error: String(e) }); }
"""


class Marionette:
    """The remote control, in chrome context."""

    def __init__(self, port: int) -> None:
        self._link = _connected(port)
        self._number = 0
        self._read()
        self.ask("WebDriver:NewSession", {"capabilities": {"alwaysMatch": {}}})
        self.ask("Marionette:SetContext", {"value": "chrome"})
        self.ask("WebDriver:SetTimeouts", {"script": 60_000})

    def run(self, script: str, *values: Any) -> Any:
        """An asynchronous script's answer."""
        told = {"script": script, "args": list(values), "sandbox": "system", "newSandbox": True}
        return self.ask("WebDriver:ExecuteAsyncScript", told)["value"]

    def ask(self, name: str, values: dict[str, Any]) -> Any:
        """One command."""
        self._number += 1
        text = json.dumps([0, self._number, name, values]).encode()
        self._link.sendall(str(len(text)).encode() + b":" + text)
        _, _, error, answer = self._read()
        if error:
            raise RuntimeError(f"{name}: {error}")
        return answer

    def _read(self) -> Any:
        size = b""
        while (one := self._link.recv(1)) != b":":
            size += one
        data = b""
        while len(data) < int(size):
            data += self._link.recv(int(size) - len(data))
        return json.loads(data)


def _connected(port: int) -> socket.socket:
    until = time.monotonic() + 90
    while True:
        try:
            link = socket.create_connection(("127.0.0.1", port), timeout=90)
            link.settimeout(90)
            return link
        except OSError:
            if time.monotonic() > until:
                raise
            time.sleep(0.5)


def main() -> int:
    """Prints what Thunderbird showed; 0 when all was as it must be."""
    province = Province()
    folder = Path(tempfile.mkdtemp(prefix="congvan-tb-"))
    port = _free_port()
    (folder / "profile").mkdir()
    (folder / "profile" / "user.js").write_text(
        f'user_pref("marionette.port", {port});\nuser_pref("mail.provider.suppress_dialog_on_startup", true);\n'
        'user_pref("mail.spotlight.firstRunDone", true);\nuser_pref("app.update.enabled", false);\n'
    )
    letters = _letters(province, folder)
    words = ["thunderbird", "--headless", "--marionette", "--remote-allow-system-access", "--profile"]
    process = subprocess.Popen(
        [*words, str(folder / "profile")],
        env={**os.environ, "HOME": str(folder), "MOZ_HEADLESS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        remote = Marionette(port)
        told = remote.run(_TRUST, *_trust(province, folder))
        sys.stdout.write(f"keys: {told}\n")
        return _judged(remote, letters)
    finally:
        process.terminate()
        process.wait(20)
        shutil.rmtree(folder, ignore_errors=True)


def _letters(province: Province, folder: Path) -> dict[str, tuple[Path, str, str]]:
    """Name → (file, the icon of the signature, the icon of the encryption) that must be shown."""
    signed = sign_mail(MAIL, province.a.chain, province.a.sign)
    key = ca.new_key()
    own = ca.person_certificate(
        province.issuing,
        key.public_key(),
        agency="A",
        title="Chuyên viên",
        name="Người A",
        address="vt@a.example",
    )
    chain = (own, province.issuing.certificate)
    by_person = sign_mail(MAIL, chain, lambda data: key.sign(data, ec.ECDSA(hashes.SHA256())))
    made = {
        "by a person": (by_person, "message-signed-ok", ""),
        "signed": (signed, "message-signed-ok", ""),
        "altered": (signed.replace(b"Kinh gui", b"Kinh giu"), "!message-signed-ok", ""),
        "encrypted": (
            encrypt_mail(MAIL, [province.b.encryption], province.a.chain, province.a.sign),
            "message-signed-ok",
            "message-encrypted-ok",
        ),
    }
    found = {}
    for name, (data, mark, lock) in made.items():
        (folder / f"{name}.eml").write_bytes(data)
        found[name] = (folder / f"{name}.eml", mark, lock)
    return found


def _trust(province: Province, folder: Path) -> tuple[str, list[str], str]:
    def text(one: Any) -> str:
        return base64.b64encode(one.public_bytes(Encoding.DER)).decode()

    box = pkcs12.serialize_key_and_certificates(
        b"b",
        province.b.opening,
        province.b.encryption,
        [province.issuing.certificate],
        BestAvailableEncryption(b"x"),
    )
    (folder / "b.p12").write_bytes(box)
    return text(province.root.certificate), [text(province.issuing.certificate)], str(folder / "b.p12")


def _judged(remote: Marionette, letters: dict[str, tuple[Path, str, str]]) -> int:
    wrong = 0
    for name, (path, mark, lock) in letters.items():
        said = remote.run(_SHOW, str(path))
        shown = (
            mark[1:] not in said.get("signed", "") if mark.startswith("!") else mark in said.get("signed", "")
        )
        right = shown and lock in said.get("encrypted", "") and "dong chi" in said.get("text", "")
        wrong += not right
        sys.stdout.write(f"{name}: {'as it must be' if right else 'WRONG'}: {said}\n")
    return 1 if wrong else 0


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


if __name__ == "__main__":
    sys.exit(main())
