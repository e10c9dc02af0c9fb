"""The server of the page: what it answers, and whom."""

import http.client
import json
import re
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from helpers.app_cases import ORDER, bomb, corrupt, fast_pipeline, flower, running

import skdefocus.app
from skdefocus.io import read_map

pytest.importorskip("starlette")
pytest.importorskip("uvicorn")
pytest.importorskip("matplotlib")
PAGE = Path(skdefocus.app.__file__).parent / "page"


class Client:
    def __init__(self, port):
        self.port, self.desk = port, ""

    def raw(self, method, path, body=None, host=None):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, {"Host": host} if host else {})
            answer = connection.getresponse()
            return answer, answer.read()
        finally:
            connection.close()

    def ask(self, method, path, body=None, **values):
        answer, data = self.raw(method, f"/{self.desk}{path}?{urlencode(values)}", body)
        return answer.status, json.loads(data)

    def open(self):
        self.desk = ""
        _, opened = self.ask("PUT", "desk")
        self.desk = f"desk/{opened['id']}/"
        return opened

    def show(self, **changed):
        return self.ask("PUT", "view", order=json.dumps(ORDER | changed))


@pytest.fixture
def client(tmp_path):
    with running(fast_pipeline(), tmp_path, 1_000_000) as port:
        yield Client(port)


def test_a_photograph_its_view_and_its_files(client, tmp_path):
    opened = client.open()
    assert opened["values"] == {
        "radius": 4, "eps": 3e-4, "context": 0.2, "strength": 2, "amount": 1,
    }  # fmt: skip
    data = flower(tmp_path).read_bytes()
    status, added = client.ask("PUT", "photo", data, name="flüower σ.jpg")
    assert (status, added["photo"]) == (200, 0)
    status, view = client.show()
    assert (status, view["width"], view["height"], view["top"]) == (200, 640, 427, 8)
    assert client.ask("GET", "at", x=639, y=0)[1]["σ"] > 6
    answer, data = client.raw("GET", f"/{client.desk}layer?layer=above&size=100")
    assert answer.headers["Content-Type"] == "image/png"
    ending = view["files"][0]
    query = urlencode({"ending": ending, "name": "flower.jpg"})
    answer, data = client.raw("GET", f"/{client.desk}file?{query}")
    assert 'filename="flower_sigma.tif"' in answer.headers["Content-Disposition"]
    (tmp_path / "got.tif").write_bytes(data)
    assert read_map(tmp_path / "got.tif").shape == (427, 640)
    assert client.ask("GET", "progress")[1]["stage"] == ""


@pytest.mark.parametrize(
    ("make", "why"), [(corrupt, "damaged"), (bomb, "more pixels than max_pixels = 1000000")]
)
def test_a_bad_file_is_refused_and_named(client, tmp_path, make, why):
    client.open()
    status, answer = client.ask("PUT", "photo", make(tmp_path).read_bytes(), name="bad.png")
    assert status == 422
    assert answer["error"].startswith("'bad.png': ")
    assert why in answer["error"]
    assert not list(tmp_path.glob("tmp*/*"))


def test_a_file_of_too_many_bytes_is_refused(tmp_path):
    with running(fast_pipeline(), tmp_path, 10) as port:
        client = Client(port)
        assert client.open()["max_bytes"] == 160
        status, answer = client.ask("PUT", "photo", bytes(1000), name="large.png")
    assert (status, answer["error"]) == (422, "'large.png': the file is too large")


def test_a_wrong_request_is_answered_with_an_error(client, tmp_path):
    client.open()
    assert client.ask("GET", "at", x=1, y=1)[0] == 422
    client.ask("PUT", "photo", flower(tmp_path).read_bytes(), name="flower.jpg")
    assert client.show(view="else")[0] == 422
    assert client.show(photo=3)[0] == 422
    assert client.show(eps=-1)[1]["error"].startswith("eps must be")
    assert client.ask("PUT", "view", order="[")[0] == 422
    assert client.ask("GET", "file", ending="/../x", name="x")[0] == 422
    assert client.ask("PUT", "photo", b"", name="../../x\0.png")[0] == 422


def test_photographs_are_only_for_the_page_that_opened_them(client, tmp_path):
    client.open()
    client.ask("PUT", "photo", flower(tmp_path).read_bytes(), name="flower.jpg")
    before = client.desk
    client.open()
    client.desk = before
    status, answer = client.show()
    assert status == 422
    assert "another tab" in answer["error"]
    assert len(before.split("/")[1]) >= 20  # nobody guesses it


def test_other_sites_get_nothing(client):
    for host in ("example.org", f"rebound.example:{client.port}"):
        answer, data = client.raw("GET", "/", host=host)
        assert answer.status == 400
        assert b"skdefocus" not in data
    answer, _ = client.raw("OPTIONS", "/desk")
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.status == 405


def test_the_page_names_no_other_machine(client):
    answer, _ = client.raw("GET", "/")
    assert "default-src 'self'" in answer.headers["Content-Security-Policy"]
    for name in ("index.html", "page.css", "page.js"):
        answer, sent = client.raw("GET", f"/{quote(name)}")
        assert sent == (PAGE / name).read_bytes()
        assert not re.findall(rb"https?:|//[\w-]+\.", sent)
    assert client.raw("GET", "/../_server.py")[0].status == 404


def test_uploads_are_removed_when_others_are_opened(client, tmp_path):
    client.open()
    client.ask("PUT", "photo", flower(tmp_path).read_bytes(), name="mine.jpg")
    assert len(list(tmp_path.glob("tmp*/*.jpg"))) == 1
    client.open()
    assert not list(tmp_path.glob("tmp*/*.jpg"))
