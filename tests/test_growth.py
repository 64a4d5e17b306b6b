"""What the benchmarks of growth, cost and memory rest on: that they ask for what they say, and would notice."""

import os
from collections.abc import Iterator
from itertools import pairwise
from xml.etree import ElementTree

import pytest

from benchmarks.bulk import fill, spans
from benchmarks.cost import STEPS, message, pgbench_script
from benchmarks.curves import Curve, Panel, curves
from benchmarks.memory_samples import Sample, rise
from benchmarks.message import get, linked, page_path, read
from benchmarks.stage import Person, Stage, stage

COUNTS = [130, 60, 3]
# The benchmarks' own server, which no rule of the application depends on.
needs_a_stage = pytest.mark.extended
INDEXES = "SELECT array_agg(indexdef ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'app'"


@pytest.fixture(scope="module")
def filled() -> Iterator[tuple[Stage, list[Person]]]:
    """A stage with people who have more and less."""
    ours = dict(os.environ)
    try:
        with stage() as made:
            before = made.execute(INDEXES)
            people = fill(made, COUNTS)
            assert made.execute(INDEXES) == before
            yield made, people
    finally:
        # Tests that make an application go on with their own server.
        os.environ.clear()
        os.environ.update(ours)


@needs_a_stage
def test_everybody_has_as_many_tasks_as_they_should(filled: tuple[Stage, list[Person]]) -> None:
    made, people = filled
    found = dict(made.execute("SELECT user_id::text, count(*) FROM app.tasks GROUP BY 1"))
    assert [found[str(person.id)] for person in people] == COUNTS


@needs_a_stage
def test_indexes_that_were_not_kept_up_find_every_task(filled: tuple[Stage, list[Person]]) -> None:
    made, _ = filled
    for scan in ("enable_seqscan", "enable_indexscan"):
        sql = "SELECT count(*) FROM app.tasks WHERE user_id IN (SELECT user_id FROM app.users) AND deleted_at IS NULL"
        assert made.execute(f"SET {scan} = off; {sql}") == [(sum(COUNTS),)]


@needs_a_stage
def test_the_third_page_is_what_a_client_that_turns_pages_gets(filled: tuple[Stage, list[Person]]) -> None:
    made, people = filled
    path = "/v1/tasks?limit=50"
    for _ in range(2):
        path = "/v1/tasks?limit=50&cursor=" + get(made, people[0], path)["next_cursor"]
    assert get(made, people[0], page_path(made, people[0], 3)) == get(made, people[0], path)
    with pytest.raises(RuntimeError, match="no page 4"):
        page_path(made, people[0], 4)


@needs_a_stage
def test_the_message_that_is_sent_again_finds_what_the_application_found(filled: tuple[Stage, list[Person]]) -> None:
    made, people = filled
    page = read(made, "listTasks", people[1], "/v1/tasks?limit=50")
    with linked(made) as link:
        # One more than the page has, by which the application knows that there is another.
        assert page.send(link) == 51


@pytest.mark.parametrize("step", STEPS)
@needs_a_stage
def test_each_step_of_isolation_finds_the_same(filled: tuple[Stage, list[Person]], step: str) -> None:
    made, people = filled
    page = read(made, "listTasks", people[1], "/v1/tasks?limit=50")
    with linked(made) as link:
        sent = message(link, page, step)
        if step != STEPS[-1]:
            assert len(made.execute(sent.decode())) == 51
            return
        # A plain cursor, which puts nothing in front.
        with link.cursor() as cur:
            cur.execute(sent)
            assert len(cur.fetchall()) == 51


def test_pgbench_is_given_one_message_and_not_its_statements() -> None:
    assert pgbench_script(b"CLOSE ALL; SELECT 1\n; SELECT 2") == b"CLOSE ALL\\; SELECT 1\n\\; SELECT 2;\n"


def test_spans_have_every_number_once_from_the_last_on() -> None:
    found = spans([300_000, 1000, 1000])
    assert (found[0][1], found[-1][0]) == (300_000, 1)
    assert all(later[0] == earlier[1] + 1 for later, earlier in pairwise(found))


def test_a_leak_is_a_rise_and_a_warm_up_is_none() -> None:
    def sizes(leak: float) -> list[Sample]:
        return [Sample(0, n, 100 if n < 200 else 120 + leak * n, 0, {}) for n in range(0, 1001, 50)]

    assert rise(sizes(0)) == pytest.approx(0)
    assert rise(sizes(0.01)) == pytest.approx(7.5)


def test_a_curve_is_drawn_from_zero_to_what_is_largest() -> None:
    drawn = ElementTree.fromstring(curves("a < b", [Panel("size", [Curve("one", [(10, 1), (1000, 4)])], "ms")]))
    (line,) = drawn.iter("{http://www.w3.org/2000/svg}polyline")
    assert line.attrib["points"] == "0.0,135.0 300.0,0.0"
