# SPDX-License-Identifier: AGPL-3.0-or-later
"""Thunderbird with a real account on a started demo: set up by autoconfig, reads, flags, moves, hears of new mail, sends.

Driven headless by Marionette through Thunderbird's own modules; what it did is looked at by another program.
"""

from __future__ import annotations

import base64
import imaplib
import json
import os
import shutil
import ssl
import subprocess
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.clients.thunderbird import Marionette, _free_port
from tests.running import Demo, eventually

pytestmark = pytest.mark.skipif(shutil.which("thunderbird") is None, reason="needs Debian's thunderbird")
_LETTERS = 3
_COMMON = """
const { MailServices } = ChromeUtils.importESModule("resource:///modules/MailServices.sys.mjs");
const wait = ms => new Promise(done => {
  const timer = Cc["@mozilla.org/timer;1"].createInstance(Ci.nsITimer);
  timer.initWithCallback(done, ms, 0);
  (globalThis.kept ??= []).push(timer);
});
const until = async (what, look) => {
  for (let n = 0; n < 200; n++) {
    const found = await look();
    if (found) return found;
    await wait(100);
  }
  throw new Error("not within 20 s: " + what);
};
const server = () => MailServices.accounts.allServers.find(one => one.type == "imap");
const every = () => [...server().rootFolder.descendants];
const inbox = () => every().find(one => one.flags & Ci.nsMsgFolderFlags.Inbox);
const letter = subject => [...inbox().messages].find(one => one.mime2DecodedSubject == subject);
const done = arguments[arguments.length - 1];
const act = job => job().then(done, e => done({ error: String(e) + " " + (e.stack || "") }));
"""
_SET_UP = """
const [ca, address, password] = arguments;
act(async () => {
  const db = Cc["@mozilla.org/security/x509certdb;1"].getService(Ci.nsIX509CertDB);
  db.addCertFromBase64(ca, "CT,C,C");
  const at = name => ChromeUtils.importESModule("resource:///modules/accountcreation/" + name + ".sys.mjs")[name];
  const config = await at("FetchConfig").fromDB(address.split("@")[1], new AbortController().signal);
  at("AccountConfig").replaceVariables(config, "Chuyên viên", address, password);
  config.rememberPassword = true;
  config.incoming.password = config.outgoing.password = password;
  await at("CreateInBackend").createAccountInBackend(config);
  return { incoming: config.incoming.hostname + ":" + config.incoming.port, outgoing: config.outgoing.port, source: config.source };
});
"""
_READ = """
const [count, subject] = arguments;
act(async () => {
  server().performExpand(null);
  await until("folders", () => inbox());
  inbox().updateFolder(null);
  await until("letters", () => [...inbox().messages].length >= count);
  await until("the letter", () => letter(subject));
  const { MsgHdrToMimeMessage } = ChromeUtils.importESModule("resource:///modules/gloda/MimeMessage.sys.mjs");
  const text = await new Promise(told => MsgHdrToMimeMessage(
    letter(subject), null, (header, mime) => told(mime.coerceBodyToPlaintext(inbox())), true));
  return { text, folders: every().map(one => one.localizedName ?? one.prettyName ?? one.name) };
});
"""
_FLAG_AND_MOVE = """
const [flagged, moved, target] = arguments;
act(async () => {
  inbox().markMessagesFlagged([letter(flagged)], true);
  inbox().markMessagesRead([letter(flagged)], true);
  const there = every().find(one => one.name == target);
  await new Promise((fine, wrong) => MailServices.copy.copyMessages(inbox(), [letter(moved)], there, true, {
    QueryInterface: ChromeUtils.generateQI(["nsIMsgCopyServiceListener"]),
    onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; },
    onStopCopy(status) { Components.isSuccessCode(status) ? fine() : wrong(new Error("copy " + status)); },
  }, null, false));
  return { moved: true };
});
"""
_HEAR = """
const [subject] = arguments;
act(async () => { await until("news", () => letter(subject)); return { heard: true }; });
"""
_SEND = """
const [path, to] = arguments;
act(async () => {
  const identity = MailServices.accounts.getFirstIdentityForServer(server());
  const fields = Cc["@mozilla.org/messengercompose/composefields;1"].createInstance(Ci.nsIMsgCompFields);
  fields.from = identity.email;
  fields.to = to;
  const file = Cc["@mozilla.org/file/local;1"].createInstance(Ci.nsIFile);
  file.initWithPath(path);
  const account = MailServices.accounts.findAccountForServer(server());
  return new Promise((fine, wrong) => {
    const send = Cc["@mozilla.org/messengercompose/send;1"].createInstance(Ci.nsIMsgSend);
    Promise.resolve(send.sendMessageFile(identity, account.key, fields, file, false, false, Ci.nsIMsgSend.nsMsgDeliverNow, null, {
      QueryInterface: ChromeUtils.generateQI(["nsIMsgSendListener", "nsIMsgCopyServiceListener"]),
      onStartSending() {}, onSendProgress() {}, onStatus() {}, onGetDraftFolderURI() {}, onSendNotPerformed() {},
      onTransportSecurityError() {}, onStartCopy() {}, onProgress() {}, setMessageKey() {}, getMessageId() { return null; },
      onStopSending(id, status, words) { if (!Components.isSuccessCode(status)) wrong(new Error("send " + status + " " + words)); },
      onStopCopy(status) { Components.isSuccessCode(status) ? fine({ sent: true }) : wrong(new Error("fcc " + status)); },
    }, "")).catch(wrong);
  });
});
"""


@dataclass(frozen=True)
class Desk:
    """A demo, a Thunderbird beside it, and the person who sits there."""

    demo: Demo
    remote: Marionette
    folder: Path
    address: str
    passwords: dict[str, str]

    def act(self, script: str, *values: Any) -> dict[str, Any]:
        """Run a script in Thunderbird; it must succeed."""
        told: dict[str, Any] = self.remote.run(_COMMON + script, *values)
        assert "error" not in told, told
        return told

    def client(self, address: str = "") -> imaplib.IMAP4_SSL:
        """Python's own client, to look at what Thunderbird did."""
        who = address or self.address
        host, _, port = self.demo.ready["imaps"].rpartition(":")
        context = ssl.create_default_context(cafile=self.demo.folder / self.demo.ready["ca"])
        context.check_hostname = False
        made = imaplib.IMAP4_SSL(host, int(port), ssl_context=context)
        made.login(who, self.passwords[who])
        return made

    def put(self, subject: str) -> None:
        """A letter into the INBOX."""
        head = f"From: vp@camau.example\r\nSubject: {subject}\r\nMessage-ID: <{zlib.crc32(subject.encode())}@camau.example>\r\n"
        kind = "MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
        with self.client() as client:
            client.append("INBOX", "", None, f"{head}{kind}Kính gửi các đơn vị.\r\n".encode())  # type: ignore[arg-type]

    def subjects(self, name: str, address: str = "") -> list[tuple[bytes, bytes]]:
        """(flags, header) of each message in a mailbox."""
        with self.client(address) as client:
            client.select(name, readonly=True)
            _, answer = client.fetch("1:*", "(FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)])")
        return [(one[0], one[1]) for one in answer if isinstance(one, tuple)]


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """Both started."""
    demo, folder = Demo(), tmp_path_factory.mktemp("thunderbird")
    process = None
    try:
        demo.start()
        passwords = json.loads((demo.folder / "accounts.json").read_bytes())
        address = next(one for one in passwords if one.startswith("chuyenvien"))
        port = _free_port()
        (folder / "profile").mkdir()
        name = demo.ready["tls_name"]
        (folder / "profile" / "user.js").write_text(
            f'user_pref("marionette.port", {port});\nuser_pref("mail.provider.suppress_dialog_on_startup", true);\n'
            'user_pref("mail.spotlight.firstRunDone", true);\nuser_pref("app.update.enabled", false);\n'
            f'user_pref("network.dns.localDomains", "{name}");\nuser_pref("mail.server.default.use_idle", true);\n'
            f'user_pref("mailnews.auto_config_url", "{demo.ready["web"].replace("127.0.0.1", name)}'
            '/mail/config-v1.1.xml?emailaddress=x@{{domain}}");\n'
        )
        process = subprocess.Popen(
            [
                "thunderbird",
                "--headless",
                "--marionette",
                "--remote-allow-system-access",
                "--profile",
                folder / "profile",
            ],
            env={**os.environ, "HOME": str(folder), "MOZ_HEADLESS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        yield Desk(demo, Marionette(port), folder, address, passwords)
    finally:
        if process is not None:
            process.terminate()
            process.wait(30)
        demo.stop()


@pytest.mark.timeout(240)
def test_an_account_found_by_autoconfig_works(desk: Desk) -> None:
    for number in range(_LETTERS):
        desk.put(f"Thư số {number}")
    pem = (desk.demo.folder / desk.demo.ready["ca"]).read_bytes()
    ca = base64.b64encode(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)).decode()
    told = desk.act(_SET_UP, ca, desk.address, desk.passwords[desk.address])
    imaps = desk.demo.ready["imaps"].rpartition(":")[2]
    assert told["incoming"] == f"{desk.demo.ready['tls_name']}:{imaps}"

    told = desk.act(_READ, _LETTERS, "Thư số 1")
    assert "Kính gửi các đơn vị." in told["text"]
    assert {"Lưu trữ", "Nháp"} <= set(told["folders"]), told

    desk.act(_FLAG_AND_MOVE, "Thư số 1", "Thư số 2", "Lưu trữ")
    eventually(lambda: len(desk.subjects('"L&AbA-u tr&Hu8-"')) == 1, 30)
    eventually(lambda: any(b"\\Flagged" in one and b"\\Seen" in one for one, _ in desk.subjects("INBOX")), 30)

    desk.put("Thư vừa đến")  # nobody asks: the server tells the idler
    desk.act(_HEAR, "Thư vừa đến")

    other = next(one for one in desk.passwords if one.startswith("chuyenvien") and one != desk.address)
    letter = desk.folder / "letter.eml"
    letter.write_bytes(
        f"From: {desk.address}\r\nTo: {other}\r\nSubject: Viet tu Thunderbird\r\nMessage-ID: <tb-1@camau.example>\r\n"
        "Date: Sat, 28 Nov 2026 08:00:00 +0700\r\nMIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\nx\r\n".encode()
    )
    assert desk.act(_SEND, str(letter), other) == {"sent": True}
    eventually(lambda: any(b"Viet tu" in head for _, head in desk.subjects("INBOX", other)), 30)
    sent = [head for _, head in desk.subjects('"&ARAA4w- g&Hu0-i"') if b"Viet tu" in head]
    assert len(sent) == 1  # the copy it keeps, once
