import pytest

from kagglekit.fingerprint import fingerprint


@pytest.mark.parametrize("size", [1, 1000, 4 << 20, (4 << 20) + 1, 50_000_000])
def test_a_change_of_a_tenth_is_seen_wherever_it_is(tmp_path, size):
    path = tmp_path / "a"
    prints = []
    for tenth in range(10):
        first = tenth * size // 10
        content = bytearray(size)
        content[first : first + size // 10 + 1] = b"\1" * len(
            content[first : first + size // 10 + 1]
        )
        path.write_bytes(content)
        prints.append(fingerprint(path))
    assert len(set(prints)) == min(size, 10)


def test_a_byte_more_is_another_file(tmp_path):
    (tmp_path / "a").write_bytes(bytes(100))
    (tmp_path / "b").write_bytes(bytes(101))
    assert fingerprint(tmp_path / "a") != fingerprint(tmp_path / "b")


def test_the_same_twice(tmp_path):
    (tmp_path / "a").write_bytes(bytes(range(256)) * 40_000)
    assert fingerprint(tmp_path / "a") == fingerprint(tmp_path / "a")
    size, digest = fingerprint(tmp_path / "a").split()
    assert size == "10240000"
    assert len(digest) == 64
