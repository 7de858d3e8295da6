# SPDX-License-Identifier: AGPL-3.0-or-later
"""The index names no less than reading everything would find; catching up, merging, erasing, rebuilding."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from config.clock import now_us
from mailserver.message import finder, fold_line, scan
from mailserver.search import dictionary, indexer, merging, schema, texts
from mailserver.search.building import LEASE, Builder
from mailserver.search.columns import KINDS
from mailserver.search.content import body_text, head_text
from mailserver.search.keys import Key
from mailserver.search.pages import PAGE
from mailserver.search.searching import Searches
from mailserver.search.terms import FIRST_WORD, Folded
from mailserver.search.verify import verify_search
from mailserver.store import schema as stored
from tests.mailserver.search.conftest import Box, letter

SYLLABLES = [
    "công",
    "văn",
    "hồ",
    "chứa",
    "nước",
    "Đắk",
    "Lắk",
    "ủy",
    "ban",
    "thủy",
    "lợi",
    "hợp",
    "đồng",
    "số",
    "12/TB-VP",
    "kính",
    "gửi",
    "ÔNG",
    "bà",
    "nguyễn",
]
NOISE = [
    "a1b2c3d4e5f6g7h8i9",
    "dGhpcyBpcyBiYXNlNjQ",
    "20261128001259",
    "不管怎么说这个句子没有空格",
    "x" * 40,
]
word = st.one_of(
    st.sampled_from(SYLLABLES),
    st.sampled_from(NOISE),
    st.text(alphabet="aăâđeêoôơuưỵ́b12-_.Σσς", min_size=1, max_size=12),
)
text = st.lists(word, min_size=1, max_size=12).map(" ".join)


@contextmanager
def batches_of(size: int) -> Iterator[None]:
    """Index so many blobs a step, so that many segments come to be and are merged."""
    kept, indexer.BATCH = indexer.BATCH, size
    try:
        yield
    finally:
        indexer.BATCH = kept


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(data=st.data())
def test_the_index_finds_what_reading_finds(small_box: Box, data: st.DataObject) -> None:
    """Substrings, phrases, marks or none, composed or not, in words and in noise."""
    box = small_box
    bodies = data.draw(st.lists(text, min_size=1, max_size=6))
    box.put(*(letter("x", one) for one in bodies))
    with batches_of(2):
        box.builder.catch_up()
    source = data.draw(st.sampled_from(bodies))
    start = data.draw(st.integers(0, max(0, len(source) - 1)))
    asked = source[start : start + data.draw(st.integers(1, 20))]
    form = data.draw(st.sampled_from(["NFC", "NFD"]))
    asked = unicodedata.normalize(form, data.draw(st.sampled_from([asked, asked.upper(), fold_line(asked)])))
    wanted = fold_line(asked)
    if not wanted:
        return
    rows = box.store.uid_map(box.ref)
    found = finder(wanted)
    contents = {row.blob: box.store.content(row.blob) for row in rows}
    naive = {blob for blob, one in contents.items() if found(body_text(one, scan(one), ""))}
    possible = box.possible(wanted)
    assert possible is None or naive <= possible
    assert box.found(Key("BODY", text=asked)) == [row.uid for row in rows if row.blob in naive]
    naive |= {blob for blob, one in contents.items() if found(head_text(one))}
    assert box.found(Key("TEXT", text=asked)) == [row.uid for row in rows if row.blob in naive]


@pytest.mark.parametrize(
    "asked", ["cong van", "công văn", "CÔNG VĂN", unicodedata.normalize("NFD", "Công Văn"), "ng va"]
)
def test_kind_to_vietnamese(box: Box, asked: str) -> None:
    """However it is typed, on both engines, indexed or not."""
    uids = box.put(
        letter("a", "Kính gửi công văn số 5"), letter("b", "cong van den"), letter("c", "cổng vườn")
    )
    assert box.found(Key("TEXT", text=asked)) == uids[:2]
    box.builder.catch_up()
    assert box.possible(fold_line(asked)) is not None
    assert box.found(Key("TEXT", text=asked)) == uids[:2]
    later = box.put(letter("d", "một công văn nữa"))
    assert box.found(Key("TEXT", text=asked)) == uids[:2] + later


def test_a_letter_to_many_is_indexed_once(small_box: Box) -> None:
    """Postings are of blobs."""
    same = letter("a", "thư gửi mọi người")
    uids = small_box.put(same, same, same)
    small_box.builder.catch_up()
    with small_box.store.database.reading() as conn:
        assert conn.execute(sa.select(sa.func.sum(schema.segment.c.docs))).scalar() == 1
    assert small_box.found(Key("BODY", text="moi nguoi")) == uids


def test_headers_count_for_text_not_for_body(small_box: Box) -> None:
    """TEXT looks at every header field, trace fields too."""
    (uid,) = small_box.put(letter("Tờ trình", "x", "Received: from mx.nguon.example by us\r\n"))
    small_box.builder.catch_up()
    assert small_box.found(Key("TEXT", text="nguon.example")) == [uid]
    assert small_box.found(Key("TEXT", text="to trinh")) == [uid]
    assert small_box.found(Key("BODY", text="to trinh")) == []


def test_merging_keeps_everything_and_drops_the_gone(box: Box) -> None:
    """Forty segments of one become few; what was deleted leaves no document behind."""
    uids = box.put(*(letter("a", f"thư số {number} về hồ chứa") for number in range(40)))
    with batches_of(1):
        for _ in range(20):
            box.builder.step()
        box.remove(*uids[:10])
        box.builder.catch_up()
    with box.store.database.reading() as conn:
        live = conn.execute(sa.select(schema.segment.c.docs).where(schema.segment.c.live)).scalars().all()
        assert conn.execute(sa.select(sa.func.count()).select_from(schema.segment)).scalar() == len(live) < 16
    assert sum(live) < 40
    assert box.found(Key("BODY", text="so 2")) == [
        uids[at] for at in range(10, 40) if str(at + 0).startswith("2")
    ]


def test_a_crash_repeats_nothing_and_skips_nothing(box: Box) -> None:
    """A builder that ends anywhere is followed by another; half a merge is thrown away."""
    uids = box.put(*(letter("a", f"bản tin {number}") for number in range(30)))
    with batches_of(4):
        box.builder.step()
        box.builder.step()

        def half(conn: sa.Connection) -> None:
            conn.execute(
                sa.insert(schema.segment).values(
                    segment=999, live=False, first_blob=1, last_blob=4, docs=4, sealed=b""
                )
            )
            conn.execute(sa.insert(schema.shard).values(segment=999, shard=0, sealed=b"x"))

        box.store.database.write(half)
        other = Builder(box.store)  # the lease is this process's, so another builder may go on
        other.catch_up()
        assert box.builder.step()  # overtaken: it reads again and finds nothing to do
        assert not box.builder.step()
    with box.store.database.reading() as conn:
        assert conn.execute(sa.select(sa.func.sum(schema.segment.c.docs))).scalar() == 30
        assert (
            conn.execute(sa.select(schema.shard.c.shard).where(schema.shard.c.segment == 999)).first() is None
        )
    assert box.found(Key("BODY", text="ban tin")) == uids


def test_another_process_with_the_lease_is_left_alone(box: Box) -> None:
    """One writer; the second waits, and its searches read what is not indexed."""
    from config.leases import lease

    box.store.database.write(
        lambda conn: conn.execute(
            sa.insert(lease).values(name=LEASE, holder="other", until_us=now_us() + 60_000_000)
        )
    )
    uids = box.put(letter("a", "hồ chứa"))
    assert not box.builder.step()
    assert box.found(Key("TEXT", text="ho chua")) == uids


def test_erased_words_go(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """A sweep rewrites the segments of messages that are gone and blanks words nobody has any more."""
    uids = box.put(letter("a", "bimatxyz"), letter("b", "conlai"))
    box.builder.catch_up()
    assert box.found(Key("TEXT", text="bimat")) == uids[:1]
    box.remove(uids[0])
    with monkeypatch.context() as soon:
        soon.setattr(merging, "SWEEP_US", 0)
        assert merging.sweep(box.store)
    with box.store.database.reading() as conn:
        words = {one for _, page in dictionary.pages(conn, box.store.seal) for one in page}
        docs = conn.execute(
            sa.select(sa.func.sum(schema.segment.c.docs)).where(schema.segment.c.live)
        ).scalar()
        left = conn.execute(sa.select(sa.func.count()).select_from(schema.folded)).scalar()
    assert "bimatxyz" not in words
    assert "conlai" in words
    assert docs == left == 1
    assert box.found(Key("TEXT", text="conlai")) == uids[1:]
    fresh = box.put(letter("c", "bimatxyz nữa"))
    box.builder.forget()
    box.builder.catch_up()
    assert box.found(Key("TEXT", text="bimatxyz")) == fresh


def test_the_dictionary_has_few_pages(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """New words stand behind the last ones while a page is short; who knows a part of a page reads on."""
    monkeypatch.setattr(dictionary, "_PAGE", 40)
    uids: list[int] = []
    for number in range(12):
        uids += box.put(letter("a", f"batdau{'xyz'[number % 3]}{number} chung{'abc'[number % 3] * number}"))
        box.builder.forget()
        box.builder.catch_up()
        assert box.found(Key("BODY", text=f"batdau{'xyz'[number % 3]}{number} ")) == uids[number:]
    with box.store.database.reading() as conn:
        sizes = list(conn.execute(sa.select(schema.word.c.count).order_by(schema.word.c.first)).scalars())
        pages = dictionary.pages(conn, box.store.seal)
    assert 1 < len(sizes) < 5
    assert max(sizes) <= 40
    assert sizes == [len(page) for _, page in pages]
    fresh = Searches(box.store).bodies.candidates([1], "batdau", fuzzy=False)
    assert fresh == box.searches.bodies.candidates([1], "batdau", fuzzy=False)
    assert verify_search(box.store) == []


def test_a_full_dictionary_stays_exact(small_box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """New words are then indexed by their letters."""
    monkeypatch.setattr(indexer, "MOST_WORDS", FIRST_WORD + 5)
    monkeypatch.setattr("mailserver.search.index.MOST_WORDS", FIRST_WORD + 5)
    uids = small_box.put(letter("a", "thuyloi phongchong thientai"), letter("b", "nganhang nhanuoc"))
    small_box.builder.catch_up()
    assert small_box.found(Key("BODY", text="nganhang")) == uids[1:]
    assert small_box.found(Key("BODY", text="ongchong thien")) == uids[:1]


def test_nothing_readable_lies_in_the_database(small_box: Box) -> None:
    """Words, postings and pages are sealed."""
    small_box.put(letter("tuyetmat", "noidungmat"))
    small_box.builder.catch_up()
    with small_box.store.database.reading() as conn:
        for table in schema.TABLES:
            for row in conn.execute(sa.select(table)):
                joined = b"".join(one for one in row if isinstance(one, bytes))
                assert b"tuyetmat" not in joined
                assert b"noidungmat" not in joined


def test_indexed_messages_are_searched_without_being_opened(
    box: Box, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their folded texts decide; a very long one has none, and the message is read."""
    monkeypatch.setattr(texts, "_LONGEST", 4000)
    uids = box.put(letter("a", "công  văn\r\nsố 5"), letter("b", "công văn số 5 " + "rất dài " * 600))
    box.builder.catch_up()
    blobs = [row.blob for row in box.store.uid_map(box.ref)]
    assert dict(texts.read(box.store, blobs)) == {blobs[0]: texts.pack(*_folded(box, blobs[0]))}
    opened: list[int] = []
    read = box.store.contents

    def contents(wanted: Iterable[int]) -> Callable[[int], bytes]:
        opened.extend(kept := list(wanted))
        return read(kept)

    monkeypatch.setattr(box.store, "contents", contents)
    assert box.found(Key("BODY", text="van so 5")) == uids
    assert box.found(Key("BODY", text="so 5 van", fuzzy=True)) == uids
    assert set(opened) == {blobs[1]}


def _folded(box: Box, blob: int) -> tuple[str, str]:
    data = box.store.content(blob)
    one = Folded(head_text(data), body_text(data, scan(data), ""))
    return one.head, one.body


def test_texts_of_an_older_index_follow(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    """An index made before texts were kept: searches read meanwhile, the worker fills in, the newest first."""
    monkeypatch.setattr(texts, "_FILL", 2)
    uids = box.put(*(letter(f"thư {number}", f"hồ chứa {number}") for number in range(5)))
    box.builder.catch_up()

    def older(conn: sa.Connection) -> None:
        conn.execute(sa.delete(schema.folded))
        conn.execute(sa.update(schema.state).values(unfolded=schema.state.c.blob))

    box.store.database.write(older)
    assert verify_search(box.store) == []
    assert box.found(Key("BODY", text="ho chua")) == uids
    blobs = [row.blob for row in box.store.uid_map(box.ref)]
    assert texts.fill(box.store)
    assert set(dict(texts.read(box.store, blobs))) == set(blobs[-2:])
    box.builder.catch_up()
    assert set(dict(texts.read(box.store, blobs))) == set(blobs)
    assert not texts.fill(box.store)
    assert verify_search(box.store) == []
    assert box.found(Key("BODY", text="ho chua 3")) == uids[3:4]


def test_rebuilding(box: Box) -> None:
    """A cleared index is built anew from the blobs; readers notice."""
    uids = box.put(letter("a", "hồ chứa"), letter("b", "khác"))
    box.builder.catch_up()
    assert box.found(Key("TEXT", text="ho chua")) == uids[:1]
    box.store.database.write(indexer.clear)
    box.builder.forget()
    assert box.found(Key("TEXT", text="ho chua")) == uids[:1]
    box.builder.catch_up()
    assert box.found(Key("TEXT", text="ho chua")) == uids[:1]
    with box.store.database.reading() as conn:
        last = conn.execute(sa.select(sa.func.max(stored.blob.c.blob))).scalar()
    assert box.searches.bodies.index.upto() == last


def test_verifying(box: Box) -> None:
    """A whole index has no problems; a missing shard, an altered page and a skipped blob are found."""
    box.put(*(letter(f"thư {number}", f"nội dung {number}") for number in range(PAGE + 3)))
    box.builder.catch_up()
    assert verify_search(box.store) == []
    with box.store.database.reading() as conn:
        assert conn.execute(sa.select(sa.func.count()).select_from(schema.page)).scalar() == len(KINDS)

    def harm(conn: sa.Connection) -> None:
        conn.execute(sa.update(schema.page).where(schema.page.c.kind == "subject").values(sealed=b"x" * 50))
        number = conn.execute(sa.select(sa.func.min(schema.segment.c.segment))).scalar()
        conn.execute(sa.delete(schema.segment).where(schema.segment.c.segment == number))

    box.store.database.write(harm)
    kinds = {one.kind for one in verify_search(box.store)}
    assert kinds == {"search-page", "search-missing"}


def test_verifying_folded_texts(box: Box) -> None:
    """A text that is missing, and one that belongs to another message, are found; searches read such messages."""
    uids = box.put(letter("a", "hồ chứa"), letter("b", "công văn"), letter("c", "văn thư"))
    box.builder.catch_up()
    blobs = [row.blob for row in box.store.uid_map(box.ref)]

    def harm(conn: sa.Connection) -> None:
        table = schema.folded
        other = conn.execute(sa.select(table.c.sealed).where(table.c.blob == blobs[2])).scalar()
        conn.execute(sa.delete(table).where(table.c.blob == blobs[0]))
        conn.execute(sa.update(table).where(table.c.blob == blobs[1]).values(sealed=other))

    box.store.database.write(harm)
    assert [(one.kind, one.place) for one in verify_search(box.store)] == [
        ("search-text", f"blob {blob}") for blob in blobs[:2]
    ]
    assert box.found(Key("BODY", text="ho chua")) == uids[:1]
    assert box.found(Key("BODY", text="van")) == uids[1:]
