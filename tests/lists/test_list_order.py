"""The order of lists: pages through it, and moving within it."""

from typing import Any
from uuid import uuid4

import arrange
import expect
import pytest
from conftest import Admin, Cluster, Person


def create(person: Person, *names: str) -> dict[str, str]:
    """Create lists; return their ids by name."""
    return {name: person.post("/v1/lists", {"name": name}).get_json()["id"] for name in names}


def order(person: Person) -> str:
    return "".join(item["name"] for item in person.get("/v1/lists").get_json()["items"])


def move(person: Person, list_id: str, **target: str | None) -> Any:
    response = person.post(f"/v1/lists/{list_id}/move", target)
    assert response.status_code == 200, response.text
    return response.get_json()


def walk(person: Person, query: str) -> list[str]:
    """Follow the links from the first page to the last; return the names."""
    names, path = [], f"/v1/lists?{query}"
    for _ in range(20):
        response = person.get(path)
        names += [item["name"] for item in response.get_json()["items"]]
        if expect.next_page(response) is None:
            assert response.get_json()["next_cursor"] is None
            return names
        path = response.headers["Link"].removeprefix("<").removesuffix('>; rel="next"')
    raise AssertionError("there is no last page")


# Pages.


@pytest.mark.parametrize("limit", [1, 2, 5, 6])
@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("", ["b", "A", "ä", "a", "B"]),
        ("position", ["b", "A", "ä", "a", "B"]),
        ("-position", ["B", "a", "ä", "A", "b"]),
        ("name", ["A", "B", "a", "b", "ä"]),
        ("-name", ["ä", "b", "a", "B", "A"]),
    ],
)
def test_pages_hold_every_list_once_in_order(alice: Person, bob: Person, sort: str, expected: list[str], limit: int) -> None:
    create(alice, "b", "A", "ä", "a", "B")
    create(bob, "Ab")
    assert walk(alice, f"limit={limit}" + (f"&sort={sort}" if sort else "")) == expected


@pytest.mark.parametrize("sort", ["position", "-position", "name", "-name"])
def test_lists_at_one_place_are_told_apart_by_their_id(alice: Person, admin: Admin, sort: str) -> None:
    admin.execute(
        "INSERT INTO app.lists (user_id, id, name, position)"
        " SELECT %s, gen_random_uuid(), 'same', 'a1' FROM generate_series(1, 5)",
        alice.id,
    )
    ids = [str(id_) for (id_,) in admin.execute("SELECT id FROM app.lists ORDER BY id")]
    seen: list[str] = []
    cursor = None
    for _ in range(3):
        query = {"limit": 2, "sort": sort, **({"cursor": cursor} if cursor else {})}
        body = alice.get("/v1/lists", query_string=query).get_json()
        seen, cursor = seen + [item["id"] for item in body["items"]], body["next_cursor"]
    assert seen == (ids[::-1] if sort.startswith("-") else ids)


def test_pages_of_a_filter_hold_what_it_lets_through(alice: Person) -> None:
    ids = create(alice, "a", "b", "c", "d")
    for name in "ac":
        alice.patch(f"/v1/lists/{ids[name]}", {"archived": True})
    assert walk(alice, "limit=1&archived=only") == ["a", "c"]
    assert walk(alice, "limit=1&archived=exclude&sort=-name") == ["d", "b"]


def test_the_longest_name_fits_into_a_cursor(alice: Person) -> None:
    create(alice, "🗑" * 100, "🗑" * 99 + "\U0010ffff", "🗑")
    assert len(walk(alice, "limit=1&sort=name")) == 3


@pytest.mark.parametrize("other", ["sort=name", "sort=-position", "archived=only", "archived=exclude"])
def test_a_cursor_is_good_for_one_order_and_filter(alice: Person, other: str) -> None:
    create(alice, "a", "b")
    cursor = alice.get("/v1/lists?limit=1").get_json()["next_cursor"]
    assert alice.get(f"/v1/lists?sort=position&cursor={cursor}").status_code == 200
    expect.problem(alice.get(f"/v1/lists?{other}&cursor={cursor}"), 400, "invalid_cursor")
    expect.problem(alice.get(f"/v1/tags?cursor={cursor}"), 400, "invalid_cursor")
    expect.problem(alice.get(f"/v1/tasks?cursor={cursor}"), 400, "invalid_cursor")


def test_a_cursor_of_alice_shows_bob_his_own_lists_only(alice: Person, bob: Person) -> None:
    create(alice, "a", "b")
    cursor = alice.get("/v1/lists?limit=1").get_json()["next_cursor"]
    create(bob, "c")
    assert [item["name"] for item in bob.get(f"/v1/lists?cursor={cursor}").get_json()["items"]] == ["c"]


# Moving.


def test_new_lists_come_last(alice: Person) -> None:
    create(alice, "c", "a", "b")
    assert order(alice) == "cab"


@pytest.mark.parametrize(
    ("moved", "after", "expected"),
    [("d", "a", "adbc"), ("a", "b", "bacd"), ("a", "d", "bcda"), ("b", None, "bacd"), ("d", None, "dabc")],
)
def test_a_list_is_moved_behind_another_or_first(alice: Person, moved: str, after: str | None, expected: str) -> None:
    ids = create(alice, "a", "b", "c", "d")
    before = {item["name"]: item for item in alice.get("/v1/lists").get_json()["items"]}
    answer = move(alice, ids[moved], after=after and ids[after])
    assert order(alice) == expected
    after_ = {item["name"]: item for item in alice.get("/v1/lists").get_json()["items"]}
    assert answer == after_.pop(moved)
    assert answer["etag"] == '"2.0.0"'
    assert answer["position"] != before.pop(moved)["position"]
    assert after_ == before


@pytest.mark.parametrize(("moved", "expected"), [("a", "bca"), ("b", "acb")])
def test_a_list_is_moved_to_the_end(alice: Person, moved: str, expected: str) -> None:
    ids = create(alice, "a", "b", "c")
    move(alice, ids[moved])
    create(alice, "z")
    assert order(alice) == expected + "z"


@pytest.mark.parametrize(
    ("moved", "target"), [("a", {"after": None}), ("b", {"after": "a"}), ("c", {"after": "b"}), ("c", {})]
)
def test_a_list_that_is_there_already_is_left_as_it_is(
    alice: Person, admin: Admin, moved: str, target: dict[str, str | None]
) -> None:
    ids = create(alice, "a", "b", "c")
    before = admin.execute("SELECT xmin, * FROM app.lists ORDER BY id")
    answer = move(alice, ids[moved], **{key: name and ids[name] for key, name in target.items()})
    assert answer["etag"] == '"1.0.0"'
    assert admin.execute("SELECT xmin, * FROM app.lists ORDER BY id") == before


@pytest.mark.parametrize("target", [{"after": None}, {}])
def test_the_only_list_is_there_already(alice: Person, bob: Person, target: dict[str, None]) -> None:
    create(bob, "x")
    assert move(alice, create(alice, "a")["a"], **target)["etag"] == '"1.0.0"'


def test_moving_twice_moves_once(alice: Person) -> None:
    ids = create(alice, "a", "b", "c")
    first = move(alice, ids["c"], after=None)
    assert move(alice, ids["c"], after=None) == first
    last = move(alice, ids["c"])
    assert move(alice, ids["c"]) == last
    assert last["etag"] == '"3.0.0"'


def test_lists_at_one_place_are_moved_apart(alice: Person, admin: Admin) -> None:
    ids = create(alice, "a", "b", "c", "d")
    admin.execute("UPDATE app.lists SET position = 'a1'")
    first, second, third, fourth = list(order(alice))
    move(alice, ids[fourth], after=ids[first])
    assert order(alice) == first + fourth + second + third
    assert move(alice, ids[third])["name"] == third
    assert order(alice) == first + fourth + second + third


def test_there_is_always_room(alice: Person, admin: Admin) -> None:
    ids = create(alice, "a", "b", "c", "d")
    for name, position in {"a": "a", "b": "a" + "0" * 62 + "1", "c": "b", "d": "z" * 64}.items():
        admin.execute("UPDATE app.lists SET position = %s WHERE id = %s", position, ids[name])
    assert order(alice) == "abcd"
    move(alice, ids["c"], after=ids["a"])
    assert order(alice) == "acbd"
    admin.execute("UPDATE app.lists SET position = repeat('z', 64) WHERE id = %s", ids["d"])
    move(alice, ids["a"])
    assert order(alice) == "cbda"


def test_making_room_changes_what_is_near_and_nothing_else(alice: Person, bob: Person, admin: Admin) -> None:
    positions = {"a": "Z", "b": "a", "c": "a" + "0" * 62 + "1", "d": "b", "e": "c"}
    ids = create(alice, *"abcdem")
    for name, position in positions.items():
        admin.execute("UPDATE app.lists SET position = %s WHERE id = %s", position, ids[name])
    create(bob, *"bc")
    admin.execute(
        "UPDATE app.lists l SET position = s.position FROM app.lists s WHERE s.name = l.name AND l.user_id = %s", bob.id
    )
    everything = "SELECT name, position, version, updated_at FROM app.lists WHERE name <> 'm' AND user_id = %s ORDER BY name"
    mine, his = admin.execute(everything, alice.id), admin.execute(everything, bob.id)
    move(alice, ids["m"], after=ids["b"])
    assert order(alice) == "abmcde"
    changed = [now[0] for was, now in zip(mine, admin.execute(everything, alice.id), strict=True) if was != now]
    assert changed == ["b", "c"]
    assert admin.execute(everything, bob.id) == his


def test_two_lists_take_turns_at_one_place(alice: Person) -> None:
    ids = create(alice, *"abcd")
    for _ in range(120):
        move(alice, ids["c"], after=ids["a"])
        move(alice, ids["b"], after=ids["a"])
    assert order(alice) == "abcd"
    assert all(len(item["position"]) <= 64 for item in alice.get("/v1/lists").get_json()["items"])


@pytest.mark.parametrize("after", ["itself", "of somebody else", "nobody's"])
def test_what_a_list_is_moved_behind_is_another_one_of_ones_own(alice: Person, bob: Person, after: str) -> None:
    ids = create(alice, "a", "b")
    others = {"itself": ids["b"], "of somebody else": create(bob, "x")["x"], "nobody's": str(uuid4())}
    response = alice.post(f"/v1/lists/{ids['b']}/move", {"after": others[after]})
    assert expect.errors(response) == [("#/after", "unknown_list")]
    assert order(alice) == "ab"


@pytest.mark.parametrize(
    ("target", "error"),
    [
        ({"after": "x"}, ("#/after", "invalid_type")),
        ({"after": 7}, ("#/after", "invalid_type")),
        ({"before": None}, ("#/before", "unknown_member")),
        ([], ("#", "invalid_type")),
    ],
)
def test_what_is_no_place_is_refused(alice: Person, target: Any, error: tuple[str, str]) -> None:
    response = alice.post(f"/v1/lists/{create(alice, 'a')['a']}/move", target)
    assert expect.errors(response) == [error]


def test_a_list_of_somebody_else_is_not_moved_whatever_it_is_to_follow(alice: Person, bob: Person) -> None:
    ids = create(alice, "a", "b")
    for target in ({}, {"after": ids["a"]}, {"after": None}):
        expect.problem(bob.post(f"/v1/lists/{ids['b']}/move", target), 404, "not_found")


@pytest.mark.parametrize("header", ['"1.0.0"', '"1.7.7"', "*"])
def test_the_version_the_client_has_is_moved(alice: Person, header: str) -> None:
    ids = create(alice, "a", "b")
    response = alice.post(f"/v1/lists/{ids['b']}/move", {"after": None}, headers={"If-Match": header})
    assert (response.status_code, response.headers["ETag"]) == (200, '"2.0.0"')
    assert order(alice) == "ba"


@pytest.mark.parametrize("target", [{"after": None}, {}], ids=["elsewhere", "where it is"])
def test_another_version_is_not_moved(alice: Person, admin: Admin, target: dict[str, None]) -> None:
    ids = create(alice, "a", "b")
    before = admin.execute("SELECT xmin, * FROM app.lists ORDER BY id")
    response = alice.post(f"/v1/lists/{ids['b']}/move", target, headers={"If-Match": '"7.0.0"'})
    assert expect.problem(response, 412, "precondition_failed")["current_etag"] == '"1.0.0"'
    assert admin.execute("SELECT xmin, * FROM app.lists ORDER BY id") == before


def test_a_move_of_a_version_that_another_move_has_just_ended_is_refused(
    alice: Person, admin: Admin, cluster: Cluster
) -> None:
    ids = create(alice, "a", "b", "c")
    phone = arrange.apart(alice)
    statement = (
        "SELECT FROM app.users WHERE user_id = %s FOR NO KEY UPDATE;"
        " UPDATE app.lists SET name = 'C', version = 2 WHERE name = 'c'"
    )
    path, wanted = f"/v1/lists/{ids['c']}/move", {"If-Match": '"1.0.0"'}
    response = arrange.meanwhile(cluster, lambda: phone.post(path, {"after": None}, headers=wanted), statement, alice.id)
    assert expect.problem(response, 412, "precondition_failed")["current_etag"] == '"2.0.0"'
    assert order(alice) == "abC"


def test_a_move_sees_what_was_moved_just_before(alice: Person, admin: Admin, cluster: Cluster) -> None:
    ids = create(alice, "a", "b", "c")
    phone = arrange.apart(alice)
    # The other one holds the turn, and puts c between a and b.
    statement = (
        "SELECT FROM app.users WHERE user_id = %s FOR NO KEY UPDATE;"
        " UPDATE app.lists l SET position = a.position || '5', version = 2"
        " FROM app.lists a WHERE l.name = 'c' AND a.name = 'a'"
    )
    moved = arrange.meanwhile(
        cluster, lambda: phone.post(f"/v1/lists/{ids['c']}/move", {"after": ids["a"]}), statement, alice.id
    )
    assert (moved.status_code, moved.get_json()["etag"]) == (200, '"2.0.0"')
    assert order(alice) == "acb"
