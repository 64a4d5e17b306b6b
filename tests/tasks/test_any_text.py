"""Whatever text people write comes back as they wrote it, from every place that takes text and by every way it is read.

Titles, tags and names of lists are lines, kept in NFC and trimmed; notes and metadata are kept to the byte.
"""

import json
import unicodedata
from typing import Any

import expect
import pytest
from conftest import Admin, Person
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from taskapp.features.tasks.tag_names import tag_key

TASKS = "/v1/tasks"
# Families joined into one, flags, skin, letters that combine or come apart, what turns a line around or is not seen, the
# last characters of each plane, and what looks like an end of a line and is none to JSON.
LINES = [
    "👩‍👩‍👧‍👦 🏳️‍🌈 👍🏽 🇩🇪",
    "a\u0301 \u1e9b\u0323 \u0958 \uac00 \u1100\u1161 \u0344",
    "שלום \u202eabc\u202c \u2066x\u2069 \u200f العربية",
    "\u200b\u200d\u2060x\ufeff\u00ad",
    "\ufffe\uffff\U0001fffe\U0010ffff\ue000",
    "x\u2028y\u2029z",
    "İıſß ﬁ Ǆ ΐ",
    "Z̸̢̛͙̈́͋a̷̰̓l̵͔̚g̶̟͗o̸̤̿",
    "\U0001d518\U0001d52b\U0001d526 𠜎𠜱",
    "ก็็็็็็็็็็",
]
RANDOM = settings(
    deadline=None,
    max_examples=15,
    derandomize=True,
    database=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
# Every character there is but surrogates and NUL, of preference the odd ones.
characters = st.characters(exclude_categories=["Cs"], exclude_characters="\x00") | st.sampled_from(
    "\u0301\u200d\u202e\ufeff\U0010ffff🗑ß"
)


def kept(line: str) -> str:
    return unicodedata.normalize("NFC", line.strip())


def one_line(text: str) -> str:
    """A text without what may not stand in a line, nor in a tag."""
    return "x" + "".join(c for c in text if unicodedata.category(c) != "Cc" and c != ",") + "x"


def send(person: Person, method: str, path: str, body: Any) -> Any:
    """Send a body in UTF-8, not escaped."""
    return person(method, path, data=json.dumps(body, ensure_ascii=False).encode(), content_type="application/json")


def comes_back(person: Person, line: str, free: str) -> None:
    """Write it wherever text is taken, and read it wherever it is shown."""
    of = send(person, "POST", "/v1/lists", {"name": line[:100]}).get_json()
    assert of["name"] == kept(line[:100])
    body = {
        "title": line,
        "notes": free,
        "tags": [line[:40]],
        "metadata": {one_line(free)[:20]: free[:200]},
        "list_id": of["id"],
    }
    created = send(person, "POST", TASKS, body)
    assert created.status_code == 201, created.text
    task = created.get_json()
    (tag,) = task["tags"]
    # Another text before may have been the same tag in other letters.
    assert tag_key(tag) == tag_key(kept(line[:40]))
    expected = {**body, "title": kept(line), "tags": [tag]}
    assert {name: task[name] for name in expected} == expected
    path = created.headers["Location"]
    assert person.get(path).get_json() == task
    # What was read may be sent back, and changes nothing.
    again = send(person, "PATCH", path, task)
    assert (again.status_code, again.get_json()) == (200, task)
    listed = person.get(TASKS, query_string={"tag": tag, "list_id": of["id"]}).get_json()["items"]
    assert listed == [task]
    done = person.post(f"{path}/complete", {}).get_json()
    with person.get("/v1/me/export") as response:
        export = json.loads(response.data)
    assert [one for one in export["tasks"] if one["id"] == task["id"]] == [done["task"]]
    assert [one["title"] for one in export["completions"] if one["task_id"] == task["id"]] == [kept(line)]
    assert of["name"] in [one["name"] for one in export["lists"]]
    assert tag in export["tags"]


@pytest.mark.parametrize("line", LINES, ids=ascii)
def test_what_is_written_comes_back(alice: Person, line: str) -> None:
    comes_back(alice, line, f"{line}\r\n\t{line} ")


@given(st.text(characters, min_size=1, max_size=60), st.text(characters, max_size=200))
@example("e\u0301", "e\u0301 and é")
@RANDOM
def test_any_text_comes_back(alice: Person, text: str, free: str) -> None:
    comes_back(alice, one_line(text), free)


def test_it_is_stored_to_the_byte(alice: Person, admin: Admin) -> None:
    notes = "".join(LINES) + "e\u0301é\u2028\U0010ffff"
    send(alice, "POST", TASKS, {"title": "x", "notes": notes, "metadata": {"k": notes}})
    ((stored, value),) = admin.execute(
        "SELECT convert_to(notes, 'UTF8'), convert_to(metadata ->> 'k', 'UTF8') FROM app.tasks"
    )
    assert (bytes(stored), bytes(value)) == (notes.encode(), notes.encode())


def test_both_forms_of_a_letter_are_kept_where_text_is_free(alice: Person) -> None:
    body = {"title": "x", "notes": "e\u0301é", "metadata": {"e\u0301": "e\u0301", "é": "é"}}
    created = send(alice, "POST", TASKS, body).get_json()
    assert {name: created[name] for name in body} == body


@pytest.mark.parametrize(
    ("path", "member", "longest"),
    [("/v1/lists", "name", 100), (TASKS, "title", 500), ("/v1/me", "display_name", 100)],
)
def test_a_limit_counts_characters_and_not_bytes(alice: Person, path: str, member: str, longest: int) -> None:
    method = "PATCH" if path == "/v1/me" else "POST"
    for character in ("x", "é", "日", "🗑", "\U0010ffff"):
        at_most = send(alice, method, path, {member: character * longest})
        assert at_most.status_code in (200, 201), at_most.text
        assert at_most.get_json()[member] == character * longest
        assert expect.errors(send(alice, method, path, {member: character * (longest + 1)})) == [(f"#/{member}", "too_long")]


@pytest.mark.parametrize("text", ["\ud800", "a\udfff", "\udc00\ud800", "\x00"], ids=ascii)
def test_what_is_no_text_is_refused_in_whatever_place(alice: Person, text: str) -> None:
    for path, body, place in (
        (TASKS, {"title": text}, "#/title"),
        (TASKS, {"title": "x", "notes": text}, "#/notes"),
        (TASKS, {"title": "x", "tags": [text]}, "#/tags/0"),
        (TASKS, {"title": "x", "metadata": {"k": text}}, "#/metadata/k"),
        ("/v1/lists", {"name": text}, "#/name"),
    ):
        # Escaped, as a lone surrogate can only come.
        response = alice.post(path, data=json.dumps(body), content_type="application/json")
        assert expect.errors(response) == [(place, "invalid_characters")]


def test_a_pair_of_surrogates_is_the_character_it_stands_for(alice: Person) -> None:
    created = alice.post(TASKS, data=b'{"title": "\\ud83d\\uddd1"}', content_type="application/json")
    assert created.get_json()["title"] == "🗑"


def test_utf_8_that_is_none_is_malformed(alice: Person) -> None:
    for wrong in (b"\xff", b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f"):
        response = alice.post(TASKS, data=b'{"title": "' + wrong + b'"}', content_type="application/json")
        expect.problem(response, 400, "malformed_request")


def test_pages_sorted_by_title_hold_each_of_them_once(alice: Person) -> None:
    for line in LINES:
        send(alice, "POST", TASKS, {"title": line})
    for order in ("title", "-title"):
        seen: list[str] = []
        path: str | None = f"{TASKS}?sort={order}&limit=3"
        while path:
            response = alice.get(path)
            assert response.status_code == 200
            seen += [task["title"] for task in response.get_json()["items"]]
            path = expect.next_page(response)
        assert sorted(seen) == sorted(map(kept, LINES))


@pytest.mark.parametrize("q", ["日本語", "שלום", "Straße", "nai\u0308ve", "na\u00efve", "👩‍👩‍👧‍👦"], ids=ascii)
def test_words_of_any_script_are_looked_for_without_an_error(alice: Person, q: str) -> None:
    send(alice, "POST", TASKS, {"title": f"a {q} b"})
    response = alice.get(TASKS, query_string={"q": q})
    assert response.status_code == 200
    if any(c.isalpha() for c in q):
        assert [task["title"] for task in response.get_json()["items"]] == [kept(f"a {q} b")]


def test_words_are_found_however_their_letters_are_composed(alice: Person) -> None:
    # A Mac decomposes what is typed, and others do not.
    composed, decomposed = "na\u00efve", "nai\u0308ve"
    send(alice, "POST", TASKS, {"title": f"title {decomposed}"})
    send(alice, "POST", TASKS, {"title": "notes", "notes": decomposed})
    for q in (composed, decomposed):
        found = alice.get(TASKS, query_string={"q": q}).get_json()["items"]
        assert sorted(task["title"] for task in found) == ["notes", f"title {composed}"]
