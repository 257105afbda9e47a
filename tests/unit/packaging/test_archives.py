import io
import stat
import tarfile
import zipfile

import pytest

from pesto_stream.errors import ProjectError
from pesto_stream.packaging.archives import ArchiveLimits, is_archive, unpack

SMALL = ArchiveLimits(max_bytes=1000, max_files=5)


def a_tar(path, *members, mode="w:gz"):
    """Members are (name, content) or TarInfo."""
    with tarfile.open(path, mode) as tar:
        for member in members:
            if isinstance(member, tarfile.TarInfo):
                tar.addfile(member)
            else:
                info = tarfile.TarInfo(member[0])
                info.size = len(member[1])
                tar.addfile(info, io.BytesIO(member[1]))
    return path


def a_zip(path, *members):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as bundle:
        for name, content in members:
            bundle.writestr(name, content)
    return path


def link(kind, name, target):
    info = tarfile.TarInfo(name)
    info.type, info.linkname = kind, target
    return info


@pytest.mark.parametrize("ending", ["tar.gz", "tgz", "tar.bz2", "tar.xz", "tar"])
def test_tar_archives_are_unpacked(tmp_path, ending):
    mode = {"tar.gz": "w:gz", "tgz": "w:gz", "tar.bz2": "w:bz2", "tar.xz": "w:xz", "tar": "w"}[ending]
    archive = a_tar(tmp_path / f"a.{ending}", ("x/y.txt", b"hello"), mode=mode)

    assert is_archive(archive.name)
    unpack(archive, tmp_path / "out", "a", SMALL)

    assert (tmp_path / "out/x/y.txt").read_bytes() == b"hello"


def test_zip_archives_are_unpacked(tmp_path):
    unpack(a_zip(tmp_path / "a.zip", ("x/y.txt", b"hello"), ("z/", b"")), tmp_path / "out", "a", SMALL)

    assert (tmp_path / "out/x/y.txt").read_bytes() == b"hello"
    assert (tmp_path / "out/z").is_dir()


@pytest.mark.parametrize(
    "member",
    [
        ("../x", b"1"),
        ("a/../../x", b"1"),
        link(tarfile.SYMTYPE, "l", "/etc/passwd"),
        link(tarfile.SYMTYPE, "l", "../../x"),
        link(tarfile.LNKTYPE, "l", "../x"),
        link(tarfile.CHRTYPE, "device", ""),
        link(tarfile.FIFOTYPE, "fifo", ""),
    ],
)
def test_a_tar_cannot_reach_out_of_its_folder(tmp_path, member):
    with pytest.raises(ProjectError, match="cannot unpack 'shown'"):
        unpack(a_tar(tmp_path / "a.tar.gz", member), tmp_path / "out", "shown", SMALL)

    assert not (tmp_path / "x").exists()


@pytest.mark.parametrize("name", ["../x", "/x", "a/../../x", "..\\x", "c:x"])
def test_a_zip_cannot_reach_out_of_its_folder(tmp_path, name):
    with pytest.raises(ProjectError, match="would land outside its folder"):
        unpack(a_zip(tmp_path / "a.zip", (name, b"1")), tmp_path / "out", "shown", SMALL)

    assert not (tmp_path / "x").exists()


def test_a_link_in_a_zip_is_refused(tmp_path):
    member = zipfile.ZipInfo("l")
    member.external_attr = (stat.S_IFLNK | 0o777) << 16

    with pytest.raises(ProjectError, match="'l' is a link"):
        unpack(a_zip(tmp_path / "a.zip", (member, b"/etc/passwd")), tmp_path / "out", "shown", SMALL)


@pytest.mark.parametrize("make", [a_tar, a_zip])
def test_a_bomb_is_stopped_at_the_limit(tmp_path, make):
    archive = make(tmp_path / "a.archive", ("bomb", bytes(100_000)))

    with pytest.raises(ProjectError, match="more than 1000 bytes"):
        unpack(archive, tmp_path / "out", "shown", SMALL)

    assert not (tmp_path / "out/bomb").exists()


@pytest.mark.parametrize("make", [a_tar, a_zip])
def test_too_many_files_are_refused(tmp_path, make):
    archive = make(tmp_path / "a.archive", *((str(number), b"") for number in range(6)))

    with pytest.raises(ProjectError, match="more than 5 files"):
        unpack(archive, tmp_path / "out", "shown", SMALL)


def test_a_damaged_archive_says_what_was_expected(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(b"no archive")

    with pytest.raises(ProjectError, match=r"expected one of \.tar\.gz"):
        unpack(tmp_path / "a.tar.gz", tmp_path / "out", "shown", SMALL)
