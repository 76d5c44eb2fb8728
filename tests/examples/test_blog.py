"""The blog example, used as its authors and its attackers would use it."""

from __future__ import annotations

import os
import re
import sqlite3
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from erlen import Erlen
    from erlen.testing import FlaskClient

PASSWORD = "correct horse"


@pytest.fixture
def app(examples: Path, tmp_path: Path) -> Iterator[Erlen]:
    import blog
    from blog.database import create_tables

    file = tmp_path / "data" / "blog.sqlite3"
    app: Erlen = blog.create_app({"TESTING": True, "SECRET_KEY": "test", "DATABASE": str(file)})
    with app.app_context():
        create_tables()
    yield app


class Person:
    """Somebody with a browser: follows redirects, and sends a form with the token on its page."""

    def __init__(self, client: FlaskClient) -> None:
        self.client = client

    def get(self, path: str) -> Any:
        return self.client.get(path, follow_redirects=True)

    def send(self, path: str, *, form_on: str | None = None, **fields: str) -> Any:
        page = self.get(form_on or path).text
        found = re.search(r'name="csrf_token" value="([^"]+)"', page)
        assert found is not None, page
        data = {"csrf_token": found[1], **fields}
        return self.client.post(path, data=data, follow_redirects=True)

    def register(self, name: str) -> Any:
        return self.send("/register", name=name, password=PASSWORD, again=PASSWORD)

    def log_in(self, name: str, password: str = PASSWORD, to: str = "/log-in") -> Any:
        return self.send(to, name=name, password=password)

    def log_out(self) -> Any:
        return self.send("/log-out", form_on="/")

    def write(self, title: str, body: str = "Some text.") -> Any:
        return self.send("/write", title=title, body=body)


@pytest.fixture
def anna(app: Erlen) -> Person:
    person = Person(app.test_client())
    person.register("Anna")
    return person


@pytest.fixture
def ben(app: Erlen) -> Person:
    person = Person(app.test_client())
    person.register("Ben")
    return person


@pytest.fixture
def guest(app: Erlen) -> Person:
    return Person(app.test_client())


def test_an_empty_blog_invites_to_write(guest: Person) -> None:
    assert "Nothing written yet" in guest.get("/").text


def test_who_registers_is_logged_in_and_welcomed_once(guest: Person) -> None:
    page = guest.register("Anna")
    assert (page.status_code, "Welcome, Anna!" in page.text) == (200, True)
    page = guest.get("/")
    assert ("Welcome" in page.text, "Log out Anna" in page.text) == (False, True)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"name": "A", "password": PASSWORD, "again": PASSWORD}, "2 to 40 characters"),
        ({"name": "A\x00b", "password": PASSWORD, "again": PASSWORD}, "2 to 40 characters"),
        ({"name": "Anna", "password": "short", "again": "short"}, "at least 8"),
        ({"name": "Anna", "password": PASSWORD, "again": PASSWORD + "!"}, "differ"),
        ({}, "2 to 40 characters"),
    ],
    ids=["short name", "control character", "short password", "passwords differ", "nothing"],
)
def test_a_registration_says_what_is_wrong(
    guest: Person, fields: dict[str, str], says: str
) -> None:
    page = guest.send("/register", **fields)
    assert (page.status_code, says in page.text) == (422, True)


def test_a_name_is_taken_whatever_its_case(anna: Person, guest: Person) -> None:
    page = guest.register("ANNA")
    assert (page.status_code, "is taken" in page.text) == (422, True)


def test_log_out_and_in_again(anna: Person) -> None:
    assert "You are logged out" in anna.log_out().text
    assert "Log in</a>" in anna.get("/").text
    assert "Welcome back, Anna!" in anna.log_in("anna").text


@pytest.mark.parametrize(("name", "password"), [("Anna", "wrong one"), ("Nobody", PASSWORD)])
def test_a_failed_log_in_does_not_tell_which_part_was_wrong(
    anna: Person, guest: Person, name: str, password: str
) -> None:
    page = guest.log_in(name, password)
    assert (page.status_code, "Name or password is wrong." in page.text) == (422, True)


def test_who_has_to_log_in_first_goes_on_where_they_wanted(anna: Person) -> None:
    anna.log_out()
    assert "Log in first" in anna.get("/write").text
    page = anna.log_in("Anna", to="/log-in?next=/write")
    assert page.request.path == "/write"


@pytest.mark.parametrize(
    "target",
    ["//evil.example", "https://evil.example", "/\\evil.example", "/\t/evil.example", "evil", ""],
)
def test_a_log_in_leads_to_no_other_site(anna: Person, target: str) -> None:
    anna.log_out()
    page = anna.log_in("Anna", to="/log-in?next=" + target.replace("\t", "%09"))
    assert (page.status_code, page.request.path) == (200, "/")


def test_an_entry_is_written_read_edited_and_deleted(anna: Person, guest: Person) -> None:
    page = anna.write("First", "One.\r\n\r\nTwo,\r\nthree.")
    assert "Published." in page.text
    assert "<p>One.</p>\n<p>Two,<br>\nthree.</p>" in page.text
    assert "First" in guest.get("/").text
    assert "Edit" not in guest.get("/entries/1").text

    assert 'value="First"' in anna.get("/entries/1/edit").text
    page = anna.send("/entries/1/edit", title="Second", body="New.")
    assert "Saved." in page.text
    assert "· edited" in guest.get("/entries/1").text
    assert "First" not in guest.get("/").text

    page = anna.send("/entries/1/delete", form_on="/entries/1/edit")
    assert "Deleted “Second”." in page.text
    assert guest.get("/entries/1").status_code == 404


def test_what_is_written_is_text_and_not_html(anna: Person) -> None:
    attack = "<script>alert(1)</script>"
    page = anna.write(attack, attack).text
    assert "<script>" not in page + anna.get("/").text
    assert "&lt;script&gt;" in page


@pytest.mark.parametrize(
    ("title", "body", "says"),
    [
        ("", "text", "needs a title and a text"),
        ("title", "  ", "needs a title and a text"),
        ("t" * 121, "text", "at most 120"),
        ("title", "t" * 50_001, "at most 50000"),
    ],
    ids=["no title", "blank", "long title", "long text"],
)
@pytest.mark.parametrize("path", ["/write", "/entries/1/edit"])
def test_an_entry_that_is_not_right_keeps_what_was_typed(
    anna: Person, title: str, body: str, says: str, path: str
) -> None:
    anna.write("Kept")
    page = anna.send(path, title=title, body=body)
    assert (page.status_code, says in page.text) == (422, True)
    assert f'value="{title}"' in page.text
    assert "Kept" in anna.get("/entries/1").text


@pytest.mark.parametrize("path", ["/entries/1/edit", "/entries/1/delete"])
def test_only_its_author_changes_an_entry(anna: Person, ben: Person, path: str) -> None:
    anna.write("Hers")
    page = ben.send(path, form_on="/write", title="Mine", body="now")
    assert (page.status_code, "Only its author" in page.text) == (403, True)
    assert "Hers" in anna.get("/entries/1").text


@pytest.mark.parametrize("path", ["/write", "/entries/1/edit", "/entries/1/delete"])
def test_a_guest_changes_nothing(anna: Person, guest: Person, path: str) -> None:
    anna.write("Hers")
    page = guest.send(path, form_on="/log-in", title="Mine", body="now")
    assert page.request.path == "/log-in"
    assert "Hers" in guest.get("/entries/1").text


@pytest.mark.parametrize("token", [None, "", "guessed", "ü"])
def test_a_form_without_the_token_is_refused(anna: Person, token: str | None) -> None:
    data = {"title": "Forged", "body": "text"} | ({} if token is None else {"csrf_token": token})
    answer = anna.client.post("/write", data=data)
    assert (answer.status_code, "The form has expired" in answer.text) == (400, True)
    assert "Log out Anna" in answer.text
    assert "Forged" not in anna.get("/").text


def test_a_token_ends_with_its_session(anna: Person) -> None:
    anna.get("/write")
    with anna.client.session_transaction() as session:
        old = session["csrf_token"]
    anna.log_out()
    anna.log_in("Anna")
    answer = anna.client.post("/write", data={"csrf_token": old, "title": "a", "body": "b"})
    assert answer.status_code == 400


def test_the_list_comes_in_pages_newest_first(anna: Person) -> None:
    for number in range(1, 13):
        anna.write(f"Entry no. {number:02}")

    def titles(path: str) -> list[str]:
        return re.findall(r"Entry no\. \d\d", anna.get(path).text)

    anna.get("/")  # the flashed messages name no entries, but are gone after this
    assert titles("/") == [f"Entry no. {n:02}" for n in (12, 11, 10, 9, 8)]
    assert titles("/?page=3") == ["Entry no. 02", "Entry no. 01"]
    middle = anna.get("/?page=2").text
    assert 'href="/?page=1"' in middle and 'href="/?page=3"' in middle and "2 of 3" in middle


@pytest.mark.parametrize("page", ["0", "-1", "2", str(10**30)])
def test_a_page_that_is_not_there_is_a_404(guest: Person, page: str) -> None:
    answer = guest.get(f"/?page={page}")
    assert (answer.status_code, "no such page" in answer.text) == (404, True)


@pytest.mark.parametrize("path", ["/entries/1", f"/entries/{10**30}", "/nowhere"])
def test_what_is_not_there_is_a_404_with_the_way_back(guest: Person, path: str) -> None:
    answer = guest.get(path)
    assert (answer.status_code, "All entries" in answer.text) == (404, True)


def test_a_wrong_method_is_a_405_that_names_the_right_ones(guest: Person) -> None:
    answer = guest.client.get("/log-out")
    assert (answer.status_code, set(answer.allow)) == (405, {"OPTIONS", "POST"})


def test_a_body_that_is_too_large_is_a_413(anna: Person) -> None:
    assert anna.client.post("/write", data={"body": "x" * 200_001}).status_code == 413


def test_a_password_is_not_kept(app: Erlen, anna: Person) -> None:
    with sqlite3.connect(app.config["DATABASE"]) as database:
        row = database.execute("SELECT * FROM author").fetchone()
    database.close()
    assert PASSWORD not in str(row)


def test_every_page_may_load_its_own_files_only(guest: Person) -> None:
    for path in ("/", "/log-in", "/register", "/nowhere"):
        answer = guest.get(path)
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'self'")
        assert not re.search(r" style=| on\w+=|<script", answer.text)


def test_init_db_keeps_what_is_there(app: Erlen, anna: Person) -> None:
    anna.write("Kept")
    result = app.test_cli_runner().invoke(args=["init-db"])
    assert (result.exit_code, "The database is ready" in result.output) == (0, True)
    assert "Kept" in anna.get("/").text


def test_the_key_is_made_once_and_readable_for_its_owner_only(
    examples: Path, tmp_path: Path
) -> None:
    from blog import kept_secret

    file = tmp_path / "instance" / "secret_key"
    first, second = kept_secret(file), kept_secret(file)
    assert (len(first), first == second) == (32, True)
    if os.name == "posix":
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_settings_come_from_the_environment(
    examples: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import blog

    monkeypatch.setenv("BLOG_ENTRIES_PER_PAGE", "7")
    assert blog.create_app({"SECRET_KEY": "test"}).config["ENTRIES_PER_PAGE"] == 7
