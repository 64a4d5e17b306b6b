"""Tasks over HTTP, as a client meets them."""

from conftest import Person


def test_a_created_task_comes_back_whole(alice: Person) -> None:
    created = alice.post("/v1/tasks", {"title": "  Pay rent ", "notes": "IBAN 'x'; -- 100%", "priority": "high"})
    assert created.status_code == 201
    task = created.get_json()
    assert task["title"] == "Pay rent"
    assert alice.get(created.headers["Location"]).get_json() == task
