"""`innervate bench native`: our times beside the peer's of the same run."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from edge.errors import InnervateError
from innervate.bench_native import Row, rows
from innervate.cli import app
from tests.random_graphs import random_lstm


def test_ratios() -> None:
    assert Row("net", 1.0, 4.0, 3.0, 2.0).ratios == {"run": 0.25, "invoke": 1.5}


def test_times_of_both(anchors: Path) -> None:
    result = CliRunner().invoke(app, ["bench", "native", str(anchors / "eegnet.tflite"), "--json"])
    assert result.exit_code == 0, result.output
    document = json.loads(result.stdout)
    assert document["measured"] == "host"
    (row,) = document["rows"]
    assert row["model"] == "eegnet"
    assert all(row[name] > 0 for name in ("run_us", "peer_run_us", "invoke_us", "peer_invoke_us"))
    assert row["ratios"]["run"] == row["run_us"] / row["peer_run_us"]


def test_what_is_no_model(tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(random_lstm(0))
    with pytest.raises(InnervateError, match="Neither a bundle nor a model"):
        rows([file])
