import gzip
import hashlib

import pytest

from fuxi_plugins.core.errors import UserError
from fuxi_plugins.datasets.catalogue import load_dataset_spec, load_dataset_specs
from fuxi_plugins.datasets.prepare import prepare_dataset
from fuxi_plugins.datasets.sources.acquire import is_available, source_folder
from fuxi_plugins.datasets.sources.install import import_files
from tests.conftest import TINY_DATASET, write, write_tiny_csv


@pytest.fixture
def checked(workspace, tmp_path):
    """``tiny`` as a dataset to be imported, its files checked by md5."""
    files = {}
    for seed, split in enumerate(("train", "valid", "test")):
        path = write_tiny_csv(tmp_path / "download" / f"{split}.csv", rows=200, seed=seed)
        files[path.name] = hashlib.md5(path.read_bytes()).hexdigest()
    text = TINY_DATASET.replace(
        "        data_root: {folder}\n", f"        files: {files}\n".replace("{", "{{").replace("}", "}}")
    )
    write(workspace.configs / "dataset_config" / "tiny.yaml", text.format())
    return load_dataset_spec(workspace.configs, "tiny")


def test_import_then_prepare(checked, workspace, tmp_path):
    assert not is_available(checked, workspace)
    import_files(checked, tmp_path / "download", workspace)
    assert is_available(checked, workspace)
    assert prepare_dataset(checked, workspace).card.rows == {"train": 200, "valid": 200, "test": 200}


def test_packed_files_are_unpacked(checked, workspace, tmp_path):
    train = tmp_path / "download" / "train.csv"
    content = train.read_bytes()
    (tmp_path / "download" / "train.csv.gz").write_bytes(gzip.compress(content))
    train.unlink()
    folder = import_files(checked, tmp_path / "download", workspace)
    assert (folder / "train.csv").read_bytes() == content


def test_a_cut_archive_is_refused(checked, workspace, tmp_path):
    train = tmp_path / "download" / "train.csv"
    (tmp_path / "download" / "train.csv.gz").write_bytes(gzip.compress(train.read_bytes())[:-20])
    train.unlink()
    with pytest.raises(UserError, match="not a complete gzip file"):
        import_files(checked, tmp_path / "download", workspace)


def test_one_changed_byte_is_found_and_nothing_is_installed(checked, workspace, tmp_path):
    test = tmp_path / "download" / "test.csv"
    test.write_bytes(test.read_bytes()[:-2] + b"9\n")
    with pytest.raises(UserError, match=r"needs test.csv with md5 .* but the one in .* has md5"):
        import_files(checked, tmp_path / "download", workspace)
    assert not source_folder(checked, workspace).exists()
    assert not workspace.dataset_folder("tiny").exists()


def test_a_file_of_another_dataset_is_recognised(checked, workspace, tmp_path):
    train = tmp_path / "download" / "train.csv"
    train.write_text(train.read_text() + "1,3,s2,0.5,s1\n")
    files = {**checked.files, "train.csv": hashlib.md5(train.read_bytes()).hexdigest()}
    other = checked.model_copy(update={"dataset_id": "tiny_r", "files": files})
    with pytest.raises(UserError, match=r"belongs to the dataset 'tiny_r', which may be imported instead"):
        import_files(checked, tmp_path / "download", workspace, [checked, other])


def test_a_bad_second_import_keeps_the_first(checked, workspace, tmp_path):
    folder = import_files(checked, tmp_path / "download", workspace)
    kept = (folder / "test.csv").read_bytes()
    (tmp_path / "download" / "test.csv").write_text("label\n")
    with pytest.raises(UserError):
        import_files(checked, tmp_path / "download", workspace)
    assert (folder / "test.csv").read_bytes() == kept
    assert [path.name for path in workspace.dataset_folder("tiny").iterdir()] == ["source"]


def test_a_missing_file_and_a_missing_folder_are_named(checked, workspace, tmp_path):
    (tmp_path / "download" / "valid.csv").unlink()
    with pytest.raises(UserError, match=r"must hold valid.csv or valid.csv.gz"):
        import_files(checked, tmp_path / "download", workspace)
    with pytest.raises(UserError, match="nowhere is neither"):
        import_files(checked, tmp_path / "nowhere", workspace)


def test_data_that_were_never_imported_say_how(checked, workspace):
    with pytest.raises(UserError, match="fuxibench data import tiny --from FOLDER"):
        prepare_dataset(checked, workspace)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("label_col:", "label_cols:", "no setting 'label_cols'; did you mean 'label_col'"),
        ("type: numeric", "type: number", "must be one of 'numeric', 'categorical', 'sequence'"),
        ("train_data: train.csv", "train_data: ../train.csv", "lies inside it"),
        ("share_embedding: shop", "share_embedding: shoe", "shares the embedding of 'shoe'"),
        (
            "layers.MaskedAveragePooling()",
            "__import__('os').system('ls')",
            "must be one of layers.MaskedAveragePooling",
        ),
        ("copy_from(user)", "eval(user)", "preprocess"),
        ("group_id: group", "group_id: groups", "group_id names 'groups'"),
        ("min_categr_count: 1", "min_categr_count: one", "min_categr_count must be a whole number"),
    ],
)
def test_a_wrong_dataset_config_is_one_clear_error(workspace, old, new, message):
    path = workspace.configs / "dataset_config" / "tiny.yaml"
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))
    with pytest.raises(UserError, match=message.replace("(", r"\(").replace(")", r"\)")):
        load_dataset_specs(workspace.configs)
