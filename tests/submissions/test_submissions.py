"""Submissions: what was packed verifies, and every way of cheating or attacking is refused with its reason."""

import hashlib
import json
import os
import pickle
import re
import resource
import struct
import tracemalloc
import zipfile
import zlib

import h5py
import numpy as np
import pytest
from click.testing import CliRunner

from fuxi_plugins.cli.main import main
from fuxi_plugins.core.errors import UserError
from fuxi_plugins.records.parts import Code
from fuxi_plugins.records.record import parse_record, run_digest
from fuxi_plugins.submissions import bundle
from tests.conftest import make_workspace
from tests.submissions.make import write_runs


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A workspace with two finished runs, made up but for the data, the predictions and their metrics."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        workspace = make_workspace(tmp_path_factory.mktemp("world"), monkeypatch)
        write_runs(workspace, "LR", "LR_tiny")
        yield workspace


@pytest.fixture
def packed(world, tmp_path):
    path = tmp_path / "LR.zip"
    bundle.pack("LR_tiny", world, path)
    return path


FILES_OF_A_RUN = ("record.json", "predictions.h5", "run.log")


def call(world, *arguments):
    folders = ["--configs", str(world.configs), "--results", str(world.results)]
    return CliRunner().invoke(main, [*folders, "submit", *map(str, arguments)])


def repack(path, changes, *, honest=True, extra=()):
    """Writes the zip again with files changed or (None) left out; an honest liar mends the digests."""
    with zipfile.ZipFile(path) as archive:
        files = {name: archive.read(name) for name in archive.namelist()}
    for name, change in changes.items():
        files[name] = change(files[name]) if callable(change) else change
    files = {name: content for name, content in files.items() if content is not None}
    if honest and "manifest.json" not in changes:
        digests = {
            name: hashlib.sha256(content).hexdigest() for name, content in files.items() if "manifest" not in name
        }
        files["manifest.json"] = json.dumps({"schema": bundle.SCHEMA, "files": digests}).encode()
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in [*files.items(), *extra]:
            archive.writestr(name, content)


def in_record(digest_stays=False, **changes):
    def change(content):
        fields = parse_record(content).model_dump()
        for key, value in changes.items():
            fields[key] = value(fields[key]) if callable(value) else value
        if not digest_stays:  # a liar who works it out anew
            fields["digest"] = run_digest(fields["dataset"], fields["model"], fields["params"], Code(**fields["code"]))
        return json.dumps(fields).encode()

    return {"seed-1/record.json": change}


def in_predictions(tmp_path, change):
    def rewritten(content):
        path = tmp_path / "p.h5"
        path.write_bytes(content)
        with h5py.File(path, "r+") as file:
            change(file)
        return path.read_bytes()

    return {"seed-1/predictions.h5": rewritten}


def refusal(world, path) -> str:
    with pytest.raises(UserError) as refused:
        bundle.verify(path, world)
    result = call(world, "verify", path)
    assert result.exit_code == 2
    assert "Traceback" not in result.output
    return str(refused.value)


def test_what_was_packed_verifies(world, packed):
    verified = bundle.verify(packed, world)
    assert [one.record.seed for one in verified] == [1, 2]
    with zipfile.ZipFile(packed) as archive:
        assert {"manifest.json", "config.json", "environment.txt", "seed-1/run.log"} <= set(archive.namelist())
    result = call(world, "verify", packed)
    assert result.exit_code == 0, result.output
    assert result.output.count("verified: LR_tiny seed") == 2


def copied_to_seed_2(packed, **changes):
    """The run of seed 1 in the place of seed 2."""
    with zipfile.ZipFile(packed) as archive:
        fields = parse_record(archive.read("seed-1/record.json")).model_dump()
        predictions = archive.read("seed-1/predictions.h5")
    text = json.dumps({**fields, "seed": 2, **changes}).encode()
    repack(packed, {"seed-2/record.json": text, "seed-2/predictions.h5": predictions})


def test_a_copied_seed_is_refused(world, packed):
    copied_to_seed_2(packed)
    assert "must hold a run for each seed, but seeds 1 and 2 are copies of one run" in refusal(world, packed)


def test_seeds_that_may_predict_the_same_are_reported(world, tmp_path):
    """As trees without sampling do."""
    write_runs(world, "LightGBM", "Trees_tiny")
    packed = tmp_path / "trees.zip"
    bundle.pack("Trees_tiny", world, packed)
    copied_to_seed_2(packed, seconds={"train": 2.1, "evaluation": 1.0, "total": 4.1, "per_epoch": 2.1})
    said = "seeds 1 and 2 have the same predictions, so they say nothing of the noise between seeds."
    result = call(world, "verify", packed)
    assert (result.exit_code, result.output.count(f"note: Trees_tiny: {said}")) == (0, 1)
    rows = json.loads(call(world, "verify", packed, "--json").output)
    assert [row["remark"] for row in rows] == [said, said]


def test_the_same_runs_pack_to_the_same_bytes(world, packed, tmp_path):
    bundle.pack("LR_tiny", world, tmp_path / "again.zip")
    assert (tmp_path / "again.zip").read_bytes() == packed.read_bytes()


def test_a_log_that_is_packed_names_no_folders(world, tmp_path):
    log = world.run_folder("tiny", "LR_tiny", 1) / "run.log"
    kept = log.read_bytes()
    log.write_bytes(b'Traceback\n  File "/home/ann/my models/net.py", line 3\n\x1b[1mbold\x80\n')
    try:
        bundle.pack("LR_tiny", world, tmp_path / "x.zip")
    finally:
        log.write_bytes(kept)
    with zipfile.ZipFile(tmp_path / "x.zip") as archive:
        packed = archive.read("seed-1/run.log").decode()
    assert packed == 'Traceback\n  File ".../net.py", line 3\n\\x1b[1mbold\ufffd\n'
    bundle.verify(tmp_path / "x.zip", world)


def test_nothing_to_pack(world, tmp_path):
    assert "no finished run of 'DNN_tiny'" in call(world, "pack", "DNN_tiny", "--out", tmp_path / "x.zip").output
    assert not (tmp_path / "x.zip").exists()


def test_a_changed_metric_is_refused_with_the_difference(world, packed):
    def better(metrics):
        return {**metrics, "test": {**metrics["test"], "AUC": metrics["test"]["AUC"] + 0.001}}

    repack(packed, in_record(metrics=better))
    assert "a difference of +0.001000" in refusal(world, packed)


@pytest.mark.parametrize(
    ("metrics", "message"),
    [
        ({"loss": 0.5}, "there is no metric 'loss'; did you mean 'logloss'?"),
        ({"AUC": 5.0}, "AUC must be from 0 to 1, but is 5.0"),
        ({"NDCG(k=300000000)": 2.0}, "must be from 0 to 1"),
        ({"NDCG(k=300000000)": 0.0}, "but its predictions give"),
        ({"field-RCE(price)": 0.5}, "needs the categorical field 'price'"),
    ],
)
def test_metrics_that_cannot_be_are_refused(world, packed, metrics, message):
    repack(packed, in_record(metrics=lambda said: {**said, "test": {**said["test"], **metrics}}))
    assert message in refusal(world, packed)


def test_a_validation_metric_that_cannot_be_is_refused(world, packed):
    repack(packed, in_record(metrics=lambda said: {**said, "valid": {**said["valid"], "AUC": 5.0}}))
    assert "AUC must be from 0 to 1, but is 5.0" in refusal(world, packed)


def test_a_changed_prediction_is_refused(world, packed, tmp_path):
    def change(file):
        scores = file["y_pred"][:]
        scores[0] = 1 - scores[0]
        file["y_pred"][:] = scores

    repack(packed, in_predictions(tmp_path, change))
    assert "but its predictions give" in refusal(world, packed)


def test_a_file_changed_behind_the_manifest_is_refused(world, packed):
    repack(packed, {"seed-2/run.log": b"other"}, honest=False)
    assert "'seed-2/run.log' is not the file that manifest.json was written for" in refusal(world, packed)


def test_missing_rows_are_refused(world, packed, tmp_path):
    def change(file):
        for name in ("row_id", "y_pred"):
            values = file[name][:-1]
            del file[name]
            file[name] = values

    repack(packed, in_predictions(tmp_path, change))
    assert "one value for each of 300 rows, but is (299,)" in refusal(world, packed)


def reverse_rows(file):
    file["row_id"][:] = np.arange(300)[::-1]


def test_rows_in_another_order_are_refused(world, packed, tmp_path):
    repack(packed, in_predictions(tmp_path, reverse_rows))
    assert "row_id must count the test rows" in refusal(world, packed)


@pytest.mark.parametrize("value", [1.5, -0.1, np.nan])
def test_what_is_no_probability_is_refused(world, packed, tmp_path, value):
    def change(file):
        file["y_pred"][5] = value

    repack(packed, in_predictions(tmp_path, change))
    assert "probabilities between 0 and 1" in refusal(world, packed)


def test_another_split_is_refused(world, packed):
    repack(packed, in_record(data=lambda card: {**card, "fingerprint": "0" * 64}))
    assert "another split of tiny: its fingerprint is 0000000000000000" in refusal(world, packed)


def test_changed_settings_are_refused(world, packed):
    repack(packed, in_record(digest_stays=True, params={"model": {"learning_rate": 0.02}, "training": {"epochs": 2}}))
    assert "they were changed after the run" in refusal(world, packed)


ELSEWHERE = (
    *(
        "../../x",
        "/etc/x",
        "seed-1/../../x",
        "seed-1\\..\\x",
        "seed-1/model.pkl",
        "run.py",
        "seed-1/x.py",
        "model/x.py",
    ),
    *("seed-1/model/../x.py", "seed-1/model/../../x.py", "seed-1/model//x.py", "seed-1/model/x.pyc"),
)


@pytest.mark.parametrize("name", ELSEWHERE)
def test_a_path_that_escapes_and_a_file_that_does_not_belong_are_refused(world, packed, tmp_path, name):
    before = set(tmp_path.parent.rglob("x"))
    repack(packed, {}, extra=[(name, pickle.dumps(os.getcwd))])
    assert "records, predictions, logs and model source by seed, no more" in refusal(world, packed)
    assert set(tmp_path.parent.rglob("x")) == before


SOURCES = {
    "other": "x = 1\n",
    "broken": "x = (\n",
    "deep": f"x = {'-' * 100_000}1\n",
    "long": f"x = {'1+' * 100_000}1\n",
}


@pytest.mark.parametrize("text", SOURCES.values(), ids=SOURCES)
def test_model_source_that_is_not_the_records_is_refused_unexecuted(world, packed, text):
    """Here the record is of a native model, so no source in a file is its own."""
    repack(packed, {"seed-1/model/mine.py": text.encode()})
    assert "is not the model source that the record names" in refusal(world, packed)


def test_a_pickle_in_place_of_predictions_is_never_loaded(world, packed, tmp_path):
    class Bomb:
        def __reduce__(self):
            return (os.mkdir, (str(tmp_path / "exploded"),))

    repack(packed, {"seed-1/predictions.h5": pickle.dumps(Bomb())})
    assert "cannot be read" in refusal(world, packed)
    assert not (tmp_path / "exploded").exists()


def test_objects_in_hdf5_are_refused(world, packed, tmp_path):
    def change(file):
        del file["y_pred"]
        file.create_dataset("y_pred", data=[b"0.5"] * 300, dtype=h5py.string_dtype())

    repack(packed, in_predictions(tmp_path, change))
    assert "must hold floats" in refusal(world, packed)


def test_predictions_that_lie_in_another_file_are_refused(world, packed, tmp_path):
    def change(file):
        del file["y_pred"]
        file["y_pred"] = h5py.ExternalLink("/etc/passwd", "y_pred")

    repack(packed, in_predictions(tmp_path, change))
    assert "must hold the dataset 'y_pred' itself" in refusal(world, packed)


def test_raw_external_storage_is_refused(world, packed, tmp_path):
    def change(file):
        del file["y_pred"]
        file.create_dataset("y_pred", shape=(300,), dtype="f4", external=[("/etc/passwd", 0, 1200)])

    repack(packed, in_predictions(tmp_path, change))
    assert "points into another" in refusal(world, packed)


def test_hdf5_that_claims_a_huge_size_is_refused_unread(world, packed, tmp_path):
    def change(file):
        del file["y_pred"]
        file.create_dataset("y_pred", shape=(1 << 40,), dtype="f4", chunks=(1 << 16,), compression="gzip")

    repack(packed, in_predictions(tmp_path, change))
    assert "one value for each of 300 rows" in refusal(world, packed)


def in_parts_of(length, **more):
    """Rewrites y_pred so that it could grow, in parts that are longer than its rows."""

    def change(file):
        scores = file["y_pred"][:]
        del file["y_pred"]
        file.create_dataset("y_pred", data=scores, maxshape=(None,), chunks=(length,), **more)

    return change


def test_hdf5_in_parts_of_a_gigabyte_is_refused_unread(world, packed, tmp_path):
    repack(packed, in_predictions(tmp_path, in_parts_of(1 << 20, compression="gzip")))
    tracemalloc.start()
    assert "must be stored in parts of at most 300 rows, but has parts of 1048576" in refusal(world, packed)
    assert tracemalloc.get_traced_memory()[1] < 30 << 20
    tracemalloc.stop()


def test_parts_that_unpack_beyond_their_size_are_refused_in_little_memory(world, packed, tmp_path):
    def change(file):
        in_parts_of(300, compression="gzip")(file)
        file["y_pred"].id.write_direct_chunk((0,), zlib.compress(bytes(200 << 20), 9))

    repack(packed, in_predictions(tmp_path, change))
    before = peak_memory()
    assert "the part from row 0 on must have 1200 bytes" in refusal(world, packed)
    assert peak_memory() - before < 100 << 20  # HDF5 itself would unpack all of it


def peak_memory() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


@pytest.mark.parametrize(
    "more", [{"compression": "lzf"}, {"scaleoffset": 4}, {"compression": "gzip", "fletcher32": True}]
)
def test_other_compressions_are_refused(world, packed, tmp_path, more):
    repack(packed, in_predictions(tmp_path, in_parts_of(300, **more)))
    assert "must be stored plainly or compressed by gzip" in refusal(world, packed)


@pytest.mark.parametrize(
    "more", [{}, {"compression": "gzip"}, {"shuffle": True}, {"compression": "gzip", "shuffle": True}]
)
@pytest.mark.parametrize("length", [7, 300, 1000])
def test_every_usual_way_to_store_predictions_is_read(world, packed, tmp_path, more, length):
    repack(packed, in_predictions(tmp_path, in_parts_of(length, **more)))
    assert [one.record.seed for one in bundle.verify(packed, world)] == [1, 2]


def with_metrics(**changes):
    return in_record(metrics=lambda metrics: {split: {**values, **changes} for split, values in metrics.items()})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (with_metrics(F1=0.5), "there is no metric 'F1'"),
        (in_record(metrics=lambda m: {**m, "valid": {"AUC": 5.0}}), "AUC must be from 0 to 1, but is 5.0"),
        (with_metrics(logloss=-0.1), "logloss must be from 0 to 36.0437, but is -0.1"),
        (with_metrics(**{f"NDCG(k={k})": 0.5 for k in range(1, 30)}), "at most 20 metrics"),
        (in_record(parameters={"dense": -1, "embedding": 0}), "parameters.dense"),
        (in_record(data=lambda card: {**card, "rows": {**card["rows"], "train": 10**9}}), "the data's rows is"),
        (in_record(data=lambda card: {**card, "rows": {**card["rows"], "train": -1}}), "data.rows.train"),
        (in_record(data=lambda card: {**card, "positive_rate": {**card["positive_rate"], "test": 0.9}}),
         "the data's positive_rate is"),
        (in_record(data=lambda card: {**card, "valid_is_test": True}), "the data's valid_is_test is True"),
        ({"seed-1/record.json": lambda record: record.replace(b'"epochs":', b'"x": ' + b"9" * 5000 + b', "epochs":')},
         "is not a record"),
        ({"seed-1/record.json": b'{"params":' + b"[" * 100_000}, "recursion limit"),
        ({"manifest.json": b"[" * 100_000}, "manifest.json must name the schema"),
        ({"manifest.json": b'{"schema": ' + b" " * (5 << 20) + b"1}"}, "would unpack to 5,242,"),
    ],
)  # fmt: skip
def test_a_record_of_what_cannot_be_is_refused(world, packed, change, message):
    repack(packed, change)
    assert message in refusal(world, packed)


def test_a_rank_metric_of_any_depth_takes_no_more_memory_than_the_data(world, packed):
    repack(packed, with_metrics(**{"NDCG(k=300000000)": 0.5}))
    tracemalloc.start()
    assert re.search(r"test NDCG\(k=300000000\) 0.500000, but its predictions give", refusal(world, packed))
    assert tracemalloc.get_traced_memory()[1] < 30 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_other_compressions_of_a_zip_are_refused(world, packed, method):
    with zipfile.ZipFile(packed, "a", method) as archive:
        archive.writestr("seed-3/run.log", "log")
    assert "must be stored plainly or by deflate" in refusal(world, packed)


def claim_size(path, name, size):
    """Writes another uncompressed size into the zip's central directory."""
    content = bytearray(path.read_bytes())
    place = content.rfind(name.encode()) - 46  # of the entry's header in the central directory
    assert content[place : place + 4] == b"PK\x01\x02"
    struct.pack_into("<I", content, place + 24, size)
    path.write_bytes(bytes(content))


def test_a_bomb_of_ten_gigabytes_is_refused_unread(world, packed):
    with zipfile.ZipFile(packed, "a", zipfile.ZIP_DEFLATED) as archive:
        for seed in range(3, 8):
            archive.writestr(f"seed-{seed}/predictions.h5", bytes(1 << 20))
    assert packed.stat().st_size < 100_000
    for seed in range(3, 8):
        claim_size(packed, f"seed-{seed}/predictions.h5", 2 << 30)
    assert "would unpack to 10,7" in refusal(world, packed)


def test_a_log_that_swells_is_refused_unread(world, packed):
    claim_size(packed, "seed-1/run.log", 200 << 20)
    assert "'seed-1/run.log' would unpack to 209,715,200 bytes" in refusal(world, packed)


def test_a_size_that_is_a_lie_is_refused(world, packed):
    claim_size(packed, "seed-1/run.log", 3)
    assert "sound zip file" in refusal(world, packed)


@pytest.mark.parametrize("field", ["experiment", "display_name", "model", "dataset"])
@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "../../x", "", "a\nb", "x" * 300])
def test_a_script_in_a_name_is_refused(world, packed, field, name):
    repack(packed, in_record(**{field: name}))
    assert re.search("cannot be (the name of|a folder's name)", refusal(world, packed))


def test_a_dataset_that_is_not_known_here_is_refused(world, packed):
    repack(packed, in_record(dataset="tinny") | {f"seed-2/{name}": None for name in FILES_OF_A_RUN})
    assert "there is no dataset 'tinny'" in refusal(world, packed)


def test_a_record_of_another_schema_is_refused(world, packed):
    repack(packed, {"seed-1/record.json": b'{"schema_version": 1}'})
    assert "is a record of schema 1" in refusal(world, packed)
    repack(packed, {"seed-1/record.json": b'{"schema_version": 3}'})
    assert "is not a record of schema 2" in refusal(world, packed)


def test_a_record_of_another_seed_is_refused(world, packed):
    repack(packed, in_record(seed=7))
    assert "the record in it is of seed 7" in refusal(world, packed)


def test_a_failed_run_is_refused(world, packed):
    repack(packed, in_record(status="failed"))
    assert "must be finished" in refusal(world, packed)


def test_a_run_without_predictions_is_refused(world, packed):
    repack(packed, {"seed-1/predictions.h5": None})
    assert "seed-1 lacks predictions.h5" in refusal(world, packed)


def test_a_file_twice_is_refused(world, packed):
    with pytest.warns(UserWarning, match="Duplicate name"):
        repack(packed, {}, extra=[("seed-1/run.log", b"again")])
    assert "holds a file twice" in refusal(world, packed)


def test_a_link_is_refused(world, packed):
    entry = zipfile.ZipInfo("seed-3/run.log")
    entry.external_attr = 0o120777 << 16
    repack(packed, {}, extra=[(entry, b"/etc/passwd")])
    assert "is a link" in refusal(world, packed)


@pytest.mark.parametrize("content", [b"", b"no zip at all", b"PK\x03\x04 broken"])
def test_what_is_no_zip_is_refused(world, tmp_path, content):
    path = tmp_path / "x.zip"
    path.write_bytes(content)
    assert "sound zip file" in refusal(world, path)


@pytest.mark.parametrize("manifest", [b"{}", b"[]", b"nonsense", b'{"schema": "other", "files": {}}'])
def test_a_manifest_of_another_kind_is_refused(world, packed, manifest):
    repack(packed, {"manifest.json": manifest})
    assert "schema" in refusal(world, packed)


def test_a_submission_without_a_manifest_is_refused(world, packed):
    repack(packed, {"manifest.json": None})
    assert "must hold manifest.json" in refusal(world, packed)
