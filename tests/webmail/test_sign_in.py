# SPDX-License-Identifier: AGPL-3.0-or-later
"""The door: sign-in, sessions, forged forms, the throttle, headers, languages."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.conftest import PASSWORD
from tests.mailserver.stopping import stopped
from tests.webmail.conftest import CIVIL, HTTPS, Browser, Site


def test_sign_in_and_out(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    page = browser.get("/mail/inbox")
    assert page.status_code == 200
    assert "Hộp thư đến" in page.text
    assert browser.post("/sign-out", {}).status_code == 302
    again = browser.get("/mail/inbox")
    assert again.status_code == 302
    assert again.headers["Location"].startswith("/sign-in?next=/mail/inbox")


def test_session_cookie_is_guarded(site: Site) -> None:
    browser = Browser(site.client())
    answer = browser.post("/sign-in", {"address": CIVIL, "password": PASSWORD}, page="/sign-in")
    cookie = next(one for one in answer.headers.getlist("Set-Cookie") if one.startswith("__Host-congvan="))
    for mark in ("Secure", "HttpOnly", "SameSite=Lax", "Path=/"):
        assert mark in cookie
    assert "Domain" not in cookie


def test_goes_on_to_where_one_wanted_but_never_elsewhere(site: Site) -> None:
    for wanted, got in (
        ("/compose?to=a@b.example", "/compose?to=a@b.example"),
        ("//evil.example/", "/mail/inbox"),
        ("https://evil.example/", "/mail/inbox"),
        ("/\\evil.example", "/mail/inbox"),
    ):
        browser = Browser(site.client())
        fields = {"address": CIVIL, "password": PASSWORD, "next": wanted}
        assert browser.post("/sign-in", fields, page="/sign-in").headers["Location"] == got


def test_wrong_password_then_throttled(site: Site) -> None:
    browser = Browser(site.client())
    for n in range(5):
        answer = browser.post("/sign-in", {"address": CIVIL, "password": f"sai-{n}"}, page="/sign-in")
        assert answer.status_code == 403
        assert "không đúng" in answer.text
    answer = browser.post("/sign-in", {"address": CIVIL, "password": PASSWORD}, page="/sign-in")
    assert answer.status_code == 429
    assert int(answer.headers["Retry-After"]) > 0
    assert "thử lại sau" in answer.text


def test_an_app_password_does_not_open_the_pages_when_the_own_one_differs(site: Site) -> None:
    unknown = Browser(site.client())
    answer = unknown.post(
        "/sign-in", {"address": "khongco@vpubnd.camau.example", "password": "x"}, page="/sign-in"
    )
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["/sign-in", "/sign-out", "/compose", "/mail/inbox/act"])
def test_a_form_without_its_token_does_nothing(site: Site, path: str) -> None:
    """S35: every change needs the token of the session."""
    browser = site.signed_in(CIVIL)
    for fields in ({}, {"token": "0" * 32}):
        answer = browser.client.post(path, base_url=HTTPS, data={"to": CIVIL, **fields})
        assert answer.status_code == 403
    assert browser.get("/mail/inbox").status_code == 200


def test_a_form_from_another_site_is_refused(site: Site) -> None:
    """S35: also with the right token."""
    browser = site.signed_in(CIVIL)
    data = {"token": browser.token()}
    answer = browser.client.post(
        "/sign-out", base_url=HTTPS, data=data, headers={"Sec-Fetch-Site": "cross-site"}
    )
    assert answer.status_code == 403


def test_a_token_is_of_one_session(site: Site) -> None:
    one, other = site.signed_in(CIVIL), site.signed_in(CIVIL)
    answer = one.client.post("/sign-out", base_url=HTTPS, data={"token": other.token()})
    assert answer.status_code == 403


def test_every_page_needs_a_sign_in_but_the_door(site: Site) -> None:
    guest = Browser(site.client())
    rules = [rule for rule in site.app.url_map.iter_rules() if "GET" in rule.methods]
    open_to_all = set()
    for rule in rules:
        if rule.endpoint.startswith("status."):  # they ask the exchange, which this site does not have
            open_to_all.add(rule.endpoint)
            continue
        numbers = {
            name for name, kind in rule._converters.items() if type(kind).__name__ == "IntegerConverter"
        }
        built = rule.build({name: 1 if name in numbers else "inbox" for name in rule.arguments})
        assert built is not None
        answer = guest.get(built[1])
        if answer.status_code == 302 and "/sign-in" in answer.headers["Location"]:
            continue
        open_to_all.add(rule.endpoint)
    verifying = {one for one in open_to_all if one.startswith("verify.")}
    settings_of_programs = {"setup.thunderbird", "setup.outlook_where"}
    door = {"account.sign_in", "static_files.static", "health"}
    signed_themselves = {"status.ocsp_by_get", "status.crl", "status.certificate"}
    assert open_to_all - verifying == door | settings_of_programs | signed_themselves


def test_security_headers_everywhere(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    for path in ("/sign-in?lang=vi", "/mail/inbox", "/compose", "/nowhere", "/health"):
        headers = browser.get(path).headers
        assert "max-age=31536000" in headers["Strict-Transport-Security"]
        assert headers["X-Content-Type-Options"] == "nosniff"
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert headers["Cache-Control"] == "no-store"


def test_pages_hold_no_inline_style_or_script(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    for path in ("/mail/inbox", "/compose", "/me", "/mail/inbox?choose=1"):
        text = browser.get(path).text
        assert not re.search(r"\sstyle\s*=", text)
        assert not re.search(r"\son[a-z]+\s*=", text)
        assert not re.search(r"<script(?![^>]*\ssrc=)", text)
        assert "http://" not in text.replace("http://www.w3.org", "")


def test_language_follows_the_browser_and_the_person(site: Site) -> None:
    assert '<html lang="vi">' in Browser(site.client(), "").get("/sign-in").text
    assert '<html lang="vi">' in Browser(site.client(), "fr,de").get("/sign-in").text
    assert '<html lang="vi">' in Browser(site.client(), "vi-VN,vi;q=0.9,en;q=0.8").get("/sign-in").text
    english = Browser(site.client(), "en-US,en;q=0.9")
    assert "Official mail address" in english.get("/sign-in").text
    assert "Địa chỉ thư công vụ" in english.get("/sign-in?lang=vi").text
    assert "Địa chỉ thư công vụ" in english.get("/sign-in").text


def test_chunked_bodies_are_refused(site: Site) -> None:
    browser = site.signed_in(CIVIL)
    answer = browser.client.post("/compose", base_url=HTTPS, headers={"Transfer-Encoding": "chunked"})
    assert answer.status_code == 411


def test_small_forms_have_small_limits(site: Site) -> None:
    browser = Browser(site.client())
    fields = {"address": CIVIL, "password": "x" * 2_000_000}
    assert browser.post("/sign-in", fields, page="/sign-in").status_code == 413


def test_static_files_are_kept_for_a_year(site: Site) -> None:
    guest = Browser(site.client())
    page = guest.get("/sign-in").text
    found = re.findall(r'(?:href|src)="(/static/[^"]+)"', page)
    assert found
    for path in found:
        answer = guest.get(path)
        assert answer.status_code == 200
        assert "immutable" in answer.headers["Cache-Control"]
    assert guest.get("/static/x/../app.py").status_code in (404, 302)
    assert guest.get("/static/x/tokens.css").headers["Cache-Control"] == "no-cache"


def test_signing_out_on_one_machine_ends_that_session_only(site: Site) -> None:
    one, other = site.signed_in(CIVIL), site.signed_in(CIVIL)
    one.post("/sign-out", {})
    assert other.get("/mail/inbox").status_code == 200


def test_the_demo_says_that_it_is_one(site: Site) -> None:
    assert "Bản dùng thử" in Browser(site.client()).get("/sign-in").text


def test_health_says_who_keeps_the_others_from_writing(site: Site, tmp_path: Path) -> None:
    browser = Browser(site.client())
    assert browser.get("/health").status_code == 200
    with stopped(site.province.database.url, tmp_path / "write.lock") as process:
        answer = browser.get("/health")
        assert answer.status_code == 503
        assert f"({process.pid})" in answer.text
    assert browser.get("/health").status_code == 200
