# SPDX-License-Identifier: AGPL-3.0-or-later
"""A person adds a device, sets it up by QR code, profile or hand, and takes it back."""

from __future__ import annotations

import html
import io
import plistlib
import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from config.refusal import Refused
from tests.mailserver.imap.test_external import own_made
from tests.webmail.conftest import CIVIL, HTTPS, OTHER, Site
from webmail.pages.setup import code
from webmail.pages.setup.servers import Servers

_ASK = (
    '<?xml version="1.0"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/outlook/'
    'requestschema/2006"><Request><EMailAddress>{}</EMailAddress><AcceptableResponseSchema>http://schemas.'
    "microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema></Request>"
    "</Autodiscover>"
)


def _password(page: str) -> str:
    found = re.search(r'name="password" value="([^"]+)"', page)
    assert found is not None
    return html.unescape(found[1])


def test_added_used_and_taken_back(site: Site) -> None:
    """The password opens IMAP, is shown once, and opens nothing after it was taken back."""
    browser = site.signed_in(CIVIL)
    added = browser.post("/me/devices", {"label": "Điện thoại <1>"}, page="/me/devices")
    assert added.status_code == 200
    assert "Điện thoại &lt;1&gt;" in added.text
    assert 'class="qr"' in added.text
    password = _password(added.text)
    who = site.province.accounts.authenticate("imap", CIVIL, password, "192.0.2.1")
    assert who.address == CIVIL
    accounts = site.province.accounts
    site.province.database.write(accounts.uses.write)
    assert not accounts.uses.waiting
    listed = browser.get("/me/devices").text
    assert "từ 192.0.2.1" in listed
    assert "Điện thoại &lt;1&gt;" in listed
    assert password not in listed
    (number,) = re.findall(r"/me/devices/(\d+)/revoke", listed.partition("&lt;1&gt;")[2])
    done = browser.post(f"/me/devices/{number}/revoke", {}, page="/me/devices")
    assert done.status_code == 302
    with pytest.raises(Refused, match="bad-credentials"):
        site.province.accounts.authenticate("imap", CIVIL, password, "192.0.2.1")
    assert browser.post(f"/me/devices/{number}/revoke", {}, page="/me/devices").status_code == 404


def test_nobody_removes_anothers_device(site: Site) -> None:
    """The number counts within the own account only."""
    mine = site.signed_in(CIVIL)
    mine.post("/me/devices", {"label": "Máy cơ quan"}, page="/me/devices")
    (number,) = re.findall(
        r"/me/devices/(\d+)/revoke", mine.get("/me/devices").text.partition("Máy cơ quan")[2]
    )
    other = site.signed_in(OTHER)
    assert other.post(f"/me/devices/{number}/revoke", {}, page="/me/devices").status_code == 404
    assert "Máy cơ quan" in mine.get("/me/devices").text


def test_a_device_needs_a_name(site: Site) -> None:
    """Said beside the field."""
    browser = site.signed_in(CIVIL)
    answer = browser.post("/me/devices", {"label": " \x00 "}, page="/me/devices")
    assert answer.status_code == 400
    assert "Đặt tên cho thiết bị" in answer.text


def test_the_apple_profile(site: Site) -> None:
    """A property list with both servers and the password; a wrong password gives none."""
    browser = site.signed_in(CIVIL)
    password = _password(browser.post("/me/devices", {"label": "iPhone"}, page="/me/devices").text)
    answer = browser.post("/me/devices/profile", {"password": password})
    assert answer.mimetype == "application/x-apple-aspen-config"
    (mail,) = plistlib.loads(answer.data)["PayloadContent"]
    assert mail["IncomingMailServerHostName"] == "mail.camau.example"
    assert mail["IncomingMailServerPortNumber"] == 12993
    assert mail["IncomingPassword"] == password
    assert mail["EmailAddress"] == CIVIL
    assert browser.post("/me/devices/profile", {"password": "x"}).status_code == 403


def test_the_qr_code_is_what_the_phone_reads(site: Site) -> None:
    """Thunderbird's "Export for Mobile", version 1."""
    who = site.person(CIVIL)
    text = code.payload(Servers("mail.camau.example", 993, 465, "Cà Mau"), who, "pw")
    assert text == (
        f'[1,[1,1],[0,"mail.camau.example",993,3,1,"{CIVIL}","Cà Mau","pw"],'
        f'[[[0,"mail.camau.example",465,3,1,"{CIVIL}","pw"],["{CIVIL}","{who.name}"]]]]'
    )


def test_thunderbird_finds_its_settings(site: Site) -> None:
    """By the address or by the host that was asked; a strange domain gets nothing."""
    for path in (
        f"/mail/config-v1.1.xml?emailaddress={CIVIL}",
        f"/.well-known/autoconfig/mail/config-v1.1.xml?emailaddress=nobody@{CIVIL.partition('@')[2]}",
    ):
        answer = site.client().get(path, base_url=HTTPS)
        assert answer.status_code == 200, path
        root = ET.fromstring(answer.data)
        assert root.findtext("emailProvider/domain") == "vpubnd.camau.example"
        server = root.find("emailProvider/incomingServer")
        assert server is not None
        assert [one.text for one in server] == [
            *("mail.camau.example", "12993", "SSL", "password-cleartext", "%EMAILADDRESS%")
        ]
    host = site.client().get("/mail/config-v1.1.xml", base_url="https://autoconfig.vpubnd.camau.example")
    assert host.status_code == 200
    assert (
        site.client().get("/mail/config-v1.1.xml?emailaddress=a@b.example", base_url=HTTPS).status_code == 404
    )


def test_outlook_finds_its_settings(site: Site) -> None:
    """The XML form, whether the account exists or not; garbage, entities and strange domains are refused."""
    client = site.client()
    for path in ("/autodiscover/autodiscover.xml", "/Autodiscover/Autodiscover.xml"):
        answer = client.post(path, base_url=HTTPS, data=_ASK.format(CIVIL), content_type="text/xml")
        assert answer.status_code == 200, answer.text
        space = "{http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a}"
        root = ET.fromstring(answer.data)
        assert [one.text for one in root.iter(f"{space}Type")] == ["IMAP", "SMTP"]
        assert [one.text for one in root.iter(f"{space}Port")] == ["12993", "12465"]
        assert {one.text for one in root.iter(f"{space}LoginName")} == {CIVIL}
    for body, status in (
        (b" ", 400),
        (b"<x", 400),
        (b"<a/>", 400),
        (_ASK.format("a@b.example").encode(), 404),
        (b'<!DOCTYPE a [<!ENTITY x "y">]>' + _ASK.format(CIVIL).encode()[21:], 400),
        (b"<a>" * 40_000, 400),
    ):
        answer = client.post(
            "/autodiscover/autodiscover.xml", base_url=HTTPS, data=body, content_type="text/xml"
        )
        assert answer.status_code == status, body[:50]
    where = client.get("/autodiscover/autodiscover.json?Protocol=AutodiscoverV1", base_url=HTTPS)
    assert where.json == {"Protocol": "AutodiscoverV1", "Url": f"{HTTPS}/autodiscover/autodiscover.xml"}


def test_a_certificate_is_added_by_its_file_and_opens_the_account(site: Site, tmp_path: Path) -> None:
    """A key's file, another program's certificate or nothing at all is refused with words beside the field."""
    browser = site.signed_in(CIVIL)
    pair = own_made(tmp_path / "a")

    def send(label: str, content: bytes) -> TestResponse:
        fields = {"cert-label": label, "certificate": (io.BytesIO(content), "x.pem")}
        return browser.post(
            "/me/devices/certificate", fields, page="/me/devices", content_type="multipart/form-data"
        )

    for label, content, said in [
        ("Máy cơ quan", (pair.folder / "key.pem").read_bytes(), "không phải chứng thư X.509"),
        ("Máy cơ quan", b"", "không phải chứng thư X.509"),
        ("", (pair.folder / "cert.pem").read_bytes(), "Đặt tên cho thiết bị"),
    ]:
        refused = send(label, content)
        assert refused.status_code == 400
        assert said in refused.text
        assert "<details open>" in refused.text
    assert send("Máy cơ quan", (pair.folder / "cert.pem").read_bytes()).status_code == 302
    listed = browser.get("/me/devices").text
    assert "bằng chứng thư số" in listed
    accounts = site.province.accounts
    assert accounts.authenticate_certificate("imap", pair.der, "", "192.0.2.1", ()).address == CIVIL
    assert "đã gắn với một thiết bị" in html.unescape(
        send("Máy thứ hai", (pair.folder / "cert.pem").read_bytes()).text
    )
    (number,) = re.findall(r"/me/devices/(\d+)/revoke", listed.partition("Máy cơ quan")[2])
    browser.post(f"/me/devices/{number}/revoke", {}, page="/me/devices")
    with pytest.raises(Refused, match="bad-credentials"):
        accounts.authenticate_certificate("imap", pair.der, "", "192.0.2.1", ())
