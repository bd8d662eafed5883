import pytest

from kagglekit.errors import BundleCheckError
from kagglekit.offline import dataset


def test_metadata() -> None:
    assert dataset.metadata("someone", "kagglekit-offline") == {
        "title": "kagglekit offline",
        "id": "someone/kagglekit-offline",
        "licenses": [{"name": "other"}],
    }


def test_every_reason_of_a_refusal() -> None:
    with pytest.raises(BundleCheckError) as caught:
        dataset.metadata("some one", "My_B")
    assert str(caught.value) == (
        "Kaggle would refuse a dataset called `some one/My_B`\n"
        "  - title `My_B` has 4 characters; Kaggle wants 6 to 50\n"
        "  - slug `My_B` has 4 characters; Kaggle wants 6 to 50\n"
        "  - slug `My_B` may hold lower-case letters, digits and single hyphens only\n"
        "  - owner `some one` is not a Kaggle user name\n"
        "hint: the folder's name becomes the dataset's: choose another with --out"
    )


@pytest.mark.parametrize(("length", "fine"), [(5, False), (6, True), (50, True), (51, False)])
def test_the_length_of_a_slug(length: int, fine: bool) -> None:
    content = {"title": "a title", "id": "me/" + "a" * length, "licenses": [{"name": "other"}]}
    assert (dataset.metadata_problems(content) == []) is fine


def test_file_names() -> None:
    fine = ["a-1.0-py3-none-any.whl", "requirements.lock", "kagglekit-bundle.json"]
    assert dataset.file_name_problems(fine) == []
    for name in ["@PaxHeader", "a&b", "torch-2.10.0+cu128-cp312-cp312-linux_x86_64.whl", "a b", ""]:
        assert len(dataset.file_name_problems([name])) == 1
