"""The command ``skdefocus app`` and the function behind it."""

import os
import signal
import socket
import subprocess
import sys
import urllib.request

import pytest
from helpers.cli_cases import run

from skdefocus.app import serve


@pytest.mark.parametrize("name", ["starlette", "uvicorn", "matplotlib"])
def test_without_the_extra_it_is_named(monkeypatch, capsys, name):
    monkeypatch.setattr(
        "skdefocus.app._serve.find_spec", lambda given: None if given == name else object()
    )
    code, _, err = run("app", "--no-browser", capsys=capsys)
    assert code == 2
    assert f"needs {name}" in err
    assert 'pip install "skdefocus[app]"' in err


def test_importing_the_app_imports_no_web_library():
    code = "import sys, skdefocus.app; sys.exit('starlette' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_a_wrong_model_is_an_error_of_usage(tmp_path, capsys):
    (tmp_path / "no.onnx").write_bytes(b"no")
    code, _, err = run("app", "--no-browser", "--model", tmp_path / "no.onnx", capsys=capsys)
    assert code == 2
    assert "no.onnx" in err


def test_a_port_that_is_taken_or_no_port_is_an_error_of_usage(capsys):
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, _, err = run("app", "--no-browser", "--port", port, capsys=capsys)
        assert code == 2
        assert f"--port {port}: Address already in use" in err
    code, _, err = run("app", "--no-browser", "--port", 70_000, capsys=capsys)
    assert code == 2
    assert "port must be" in err


@pytest.mark.skipif(not hasattr(os, "fork"), reason="signals of POSIX")
def test_it_listens_to_this_machine_alone_until_ctrl_c(tmp_path):
    pytest.importorskip("starlette")
    pytest.importorskip("uvicorn")
    with subprocess.Popen(
        [sys.executable, "-m", "skdefocus", "app", "--no-browser"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"TMPDIR": str(tmp_path)},
    ) as process:
        address = process.stdout.readline().split()[0]
        assert address.startswith("http://127.0.0.1:")
        with urllib.request.urlopen(address, timeout=60) as page:
            assert b"<h1>skdefocus</h1>" in page.read()
        assert list(tmp_path.glob("skdefocus-*"))
        with socket.socket() as other, pytest.raises(OSError, match="refused"):
            other.connect(("127.0.0.2", int(address.rstrip("/").rpartition(":")[2])))
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 0
    assert err == ""
    assert not list(tmp_path.glob("skdefocus-*"))


def test_serve_tells_the_extra(monkeypatch):
    monkeypatch.setattr("skdefocus.app._serve.find_spec", lambda name: None)
    with pytest.raises(ImportError, match=r"skdefocus\[app\]"):
        serve()
