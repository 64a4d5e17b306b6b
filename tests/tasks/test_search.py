"""What searches find: a table of texts and queries in many scripts, and how the words of tasks follow their texts."""

import unicodedata

import expect
import pytest
from conftest import Admin, Person
from hypothesis import given, settings
from hypothesis import strategies as st

from taskapp.features.tasks.words import words

TASKS = "/v1/tasks"

# A text, what finds it, and what does not.
FOUND: tuple[tuple[str, tuple[str, ...], tuple[str, ...]], ...] = (
    # Latin
    ("buy milk/eggs", ("eggs", "milk", "milk/eggs", "EGG", '"milk eggs"', "eggs buy"), ("ggs", '"eggs milk"', "milkeggs")),
    ("Update README.md for JIRA-4711", ("readme", "4711", "md", "jira-47", "README.md"), ("711", "4711-jira", "adme")),
    ("Update my résumé", ("resume", "résumé", "re\u0301sume\u0301", "RÉSUMÉ"), ("sume", "resumes")),
    ("don’t forget", ("don't", "don’t", "forget", "don"), ("dont",)),
    ("Landingpages", ("landing", "LAND", "landingpages"), ("pages", "landings")),
    ("https://example.com/a_b?x=1&y=2", ("example.com", "a_b", "b", "y=2", "https"), ("xample",)),
    ("mail ada@example.org", ("ada", "example", "ada@example.org", "org"), ("da",)),
    ("Straße nach Łódź", ("strasse", "STRASSE", "straße", "lodz", "ŁÓDŹ", "łó"), ("trasse",)),
    ("ØRSTED, þórr, œuvre, ærø", ("orsted", "thorr", "oeuvre", "aero"), ("uvre",)),
    ("İstanbul'da ışık ISPARTA", ("istanbul", "ısparta", "isik", "işik", "da"), ("stanbul",)),
    ("Đường phố Nguyễn Huệ", ("duong", "nguyen", "hue", "Nguyễn"), ("guyen",)),
    ("ﬁle ½ x² ⅷ Ｆｕｌｌ １２", ("file", "2", "x2", "viii", "full", "12"), ("ull",)),
    ("co\u00adoperate zero\u200bwidth", ("cooperate", "zerowidth", "co\u00adop"), ("operate", "width")),
    ("100% of C++ and snake_case", ("100", "100%", "c++", "snake", "case", "snake_case"), ("00", "%%c++z")),
    ("mp3 covid19 B2B", ("mp3", "mp", "covid", "b2b"), ("19", "3")),
    # Greek
    ("Ὀδυσσεὺς τῷ λόγῳ", ("οδυσσευς", "ΟΔΥΣΣΕΥΣ", "τω", "λογω"), ("δυσσευς",)),
    # Cyrillic
    ("Купить молоко, ёлку и йод", ("молоко", "МОЛОКО", "елку", "ёлку", "иод", "куп"), ("локо",)),
    ("м’ята і їжак", ("м'ята", "мʼята", "їжак", "іжак"), ("жак",)),
    # Hebrew
    ("שָׁלוֹם צה״ל", ("שלום", "שָׁלוֹם", 'צה"ל', "צה"), ("לום",)),
    # Arabic
    ("مُحَمَّد أحمد مدرسة", ("محمد", "احمد", "أحمد", "مدرسه", "مـحـمـد"), ("حمد",)),
    ("بِسْمِ ٱللَّهِ خانۀ صلوۃ", ("الله", "ٱللَّهِ", "خانه", "صلوه"), ("لله",)),
    ("می\u200cخواهم کتاب ۱۲۳", ("میخواهم", "مي\u200cخواهم", "كتاب", "123", "۱۲"), ("خواهم",)),
    # Devanagari
    ("हिन्दी भाषा १५", ("हिन्दी", "हिन्", "भाषा", "15"), ("न्दी", "हन्दी", "भष")),
    # Bengali
    ("বাংলা ভাষা", ("বাংলা", "ভাষা", "বা"), ("লা", "বংলা")),
    # Tamil
    ("தமிழ் மொழி", ("தமிழ்", "மொழி", "தமி"), ("மிழ்",)),
    # Georgian and Armenian
    ("საქართველო ქართული", ("საქართველო", "ქართ"), ("ართული",)),
    ("Հայերեն լեզու", ("հայերեն", "ՀԱՅ", "լեզ"), ("երեն",)),
    # Hangul
    ("한국어 LG전자 회의", ("한국", "한국어", "lg", "전자", "LG전자", "\u1112\u1161\u11ab국"), ("국어", "자")),
    # Thai, Lao, Khmer, Myanmar: anywhere
    ("พรุ่งนี้ซื้อนมสด", ("ซื้อ", "นม", "พรุ่งนี้", "นมสด"), ("ซอ", "นมเย็น")),
    ("น้ำ นํ้า", ("น้ำ", "นํ้า"), ("นาม",)),
    ("ນ້ຳ", ("ນ້ຳ", "ນໍ້າ"), ("ນາມ",)),
    ("ຊື້ນົມສົດ", ("ນົມ", "ຊື້"), ("ນມ",)),
    ("ទិញទឹកដោះគោ", ("ទឹក", "ដោះ"), ("ទក",)),
    ("နို့ဝယ်ပါ", ("ဝယ်", "နို့"), ("ဝယပ",)),
    # Han and kana: anywhere
    ("今日はいい天気です", ("天気", "いい", "今日", "いい天気", "気です"), ("元気", "天です")),
    ("買牛奶和雞蛋", ("牛奶", "雞蛋", "奶和"), ("奶牛",)),
    ("パパとﾊﾞﾅﾅ", ("パパ", "バナナ", "ﾊﾟﾊﾟ", "ナナ"), ("ハハ", "パナナ")),
    ("iPhoneを買う、第3章", ("iphone", "買う", "iphoneを買う", "3章", "第3", "章"), ("phone",)),
    # Emoji
    ("milk🥛🎉 👍🏽 👨‍👩‍👧 🇩🇪🇫🇷", ("🥛", "🎉", "👍", "👍🏿", "👩", "🇫🇷", "milk", "❤️ or 🎉"), ("🍕", "🇪🇫")),
    ("box◽ up⤴\ufe0f part〽\ufe0f a→b", ("◽", "⤴", "〽️", "box", '"a b"'), ("◾", "⤵")),
    ("wow‼ what⁉ a↔b 〰 Acme® tools ©2026", ("‼", "⁉", "❗", "↔", "〰️", '"acme tools"', "2026"), ("❓❗",)),
    # What combines terms
    (
        "pay the rent",
        ("rent pay", "pay -milk", "milk or rent", '"the rent"', "-milk", "“the ren”", "--milk"),
        ("pay -rent",),
    ),
    ("pay or not", ("or", '"or"', "or pay", "pay or", "OR not", "pay or or"), ("-or", "milk or eggs", '"or pay"')),
)
ROWS = [
    (text, query, is_found)
    for text, hits, misses in FOUND
    for queries, is_found in ((hits, True), (misses, False))
    for query in queries
]


def found(person: Person, query: str) -> list[str]:
    response = person.get(TASKS, query_string={"q": query})
    assert response.status_code == 200, response.text
    return [task["title"] for task in response.get_json()["items"]]


@pytest.mark.parametrize("text", [text for text, _, _ in FOUND], ids=range(len(FOUND)))
def test_a_term_matches_the_beginning_of_a_word(alice: Person, text: str) -> None:
    alice.post(TASKS, {"title": text})
    title = unicodedata.normalize("NFC", text)
    rows = [row for row in ROWS if row[0] == text]
    assert [(query, bool(found(alice, query))) for _, query, _ in rows] == [(query, wanted) for _, query, wanted in rows]
    assert found(alice, rows[0][1]) == [title]


def test_the_table_is_of_many_texts_in_many_scripts() -> None:
    scripts = {
        unicodedata.name(char).split()[0] for text, _, _ in FOUND for char in text if unicodedata.category(char) == "Lo"
    }
    assert len(ROWS) >= 120
    assert len(scripts | {"LATIN", "GREEK", "CYRILLIC"}) >= 15


@pytest.mark.parametrize("query", ["!", "-", "--", "   ", '""', '"', "milk &", "-!", "\u200b", "%", "\u0301", "a or -", "©"])
def test_a_term_without_anything_to_find_is_refused(alice: Person, query: str) -> None:
    assert expect.errors(alice.get(TASKS, query_string={"q": query})) == [("?q", "invalid_value")]


def test_a_query_has_so_many_terms(alice: Person) -> None:
    assert alice.get(TASKS, query_string={"q": "a or " * 19 + "b"}).status_code == 200
    assert expect.errors(alice.get(TASKS, query_string={"q": "a " * 21})) == [("?q", "too_many")]


def test_long_phrases_and_short_ones_match_alike(alice: Person) -> None:
    text = "call the garage about the brakes, then fetch the car"
    alice.post(TASKS, {"title": text})
    for query, is_found in (
        (f'"{text}"', True),
        (f'"{text}" -milk', True),
        ('"the garage about the brakes then fe"', True),
        ('"the garage about the brakes then to"', False),
        ('"he garage about the brakes then fetch"', False),
        ('milk or "garage about the brakes then fetch"', True),
        ('call -"garage about the brakes then fetch"', False),
        ("brakes-then-fetch-the-car-or-call-the-garage", False),
    ):
        assert bool(found(alice, query)) == is_found, query


def test_no_phrase_goes_from_one_text_into_the_next(alice: Person) -> None:
    alice.post(TASKS, {"title": "end", "notes": "begin stop", "tags": ["tag one", "two"]})
    for query, is_found in (
        ("end begin tag two", True),
        ('"end begin"', False),
        ('"stop tag"', False),
        ('"one two"', False),
    ):
        assert bool(found(alice, query)) == is_found, query


def test_words_follow_every_change_of_a_task(alice: Person) -> None:
    path = alice.post(TASKS, {"title": "Old", "notes": "fresh", "tags": ["Errand-run"]}).headers["Location"]
    for patch, query, gone in (
        ({"title": "Néw"}, "new fresh run", "old"),
        ({"notes": "wrïtten"}, "new written errand", "fresh"),
        ({"tags": ["Café"]}, "new written cafe", "errand"),
        ({"title": "NÉW"}, "new", "old"),
        ({"notes": None}, "new cafe", "written"),
        ({"tags": []}, "new", "cafe"),
    ):
        assert alice.patch(path, patch).status_code == 200
        assert (len(found(alice, query)), found(alice, gone)) == (1, []), patch


def test_words_follow_every_change_of_a_tag(alice: Person) -> None:
    alice.post(TASKS, {"title": "a", "tags": ["one", "Héllo-wörld", "three"]})
    alice.post(TASKS, {"title": "b", "tags": ["Héllo-wörld", "four"]})
    alice.patch("/v1/tags/H%C3%A9llo-w%C3%B6rld", {"name": "Gården"})
    assert sorted(found(alice, "garden")) == ["a", "b"]
    assert found(alice, "world") == []
    alice.patch("/v1/tags/g%C3%A5rden", {"name": "GÅRDEN"})
    assert sorted(found(alice, "gården")) == ["a", "b"]
    # One task has both that become one, the other has not.
    alice.patch("/v1/tags/g%C3%A5rden", {"name": "four"})
    assert (sorted(found(alice, "four")), found(alice, "garden")) == (["a", "b"], [])
    alice.delete("/v1/tags/four")
    assert (found(alice, "four"), found(alice, "one three")) == ([], ["a"])


@pytest.mark.parametrize("column", ["title", "notes"])
def test_what_sql_writes_without_the_application_is_found(alice: Person, admin: Admin, column: str) -> None:
    path = alice.post(TASKS, {"title": "first", "notes": "second", "tags": ["third"]}).headers["Location"]
    admin.execute(f"UPDATE app.tasks SET {column} = 'by hand: Crème/brûlée', tags = ARRAY['Other-tag']")
    for query in ("creme", "BRULEE", "hand", "other", "tag"):
        assert len(found(alice, query)) == 1, query
    assert found(alice, {"title": "first", "notes": "second"}[column]) == found(alice, "third") == []
    # From here on it has words again.
    alice.patch(path, {column: "Ünder"})
    assert len(found(alice, "under")) == 1


def test_nobody_finds_anything_of_another_user(alice: Person, bob: Person) -> None:
    arrange_path = alice.post(TASKS, {"title": "private", "tags": ["private"]}).headers["Location"]
    assert found(bob, "private") == []
    assert found(bob, "-other") == []
    assert alice.get(arrange_path).status_code == 200


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(st.text(max_size=60))
def test_folding_again_changes_nothing(text: str) -> None:
    assert words(words(text)) == words(text)


@settings(max_examples=300, deadline=None, database=None, derandomize=True)
@given(st.text(max_size=60), st.data())
def test_the_beginning_of_each_word_is_looked_for_as_it_stands(text: str, data: st.DataObject) -> None:
    folded = words(text)
    for word in folded.split():
        beginning = word[: data.draw(st.integers(1, len(word)))]
        assert words(beginning) == beginning
