from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pesto_stream.errors import ConfigurationError, FetchRefused
from pesto_stream.fetch.policy import Policy, is_public, masked, parse


def allowed(prefix: str, url: str) -> bool:
    try:
        Policy([prefix], allow_private=False).check(url)
    except FetchRefused:
        return False
    return True


@pytest.mark.parametrize(
    "url",
    [
        "https://host.org/data/a.tif",
        "HTTPS://HOST.org:443/data/a.tif",
        "https://host.org./data/x/../a.tif",
        "https://host.org/%64ata/a.tif",
        "https://host.org/data/a.tif?X-Amz-Signature=abc#fragment",
        "https://host.org/other/%2e%2e/data/a.tif",
    ],
)
def test_other_spellings_of_an_allowed_url_are_allowed(url):
    assert allowed("https://host.org/data", url)
    assert Policy(["https://host.org/data/"], allow_private=False).check(url).url.startswith("https://host.org/data/a.tif")


@pytest.mark.parametrize(
    "url",
    [
        "https://host.org/data-secret/a.tif",
        "https://host.org/dat",
        "https://host.org/data/../secret/a.tif",
        "https://host.org/data/%2e%2e/secret/a.tif",
        "https://host.org/data/.%2E/secret/a.tif",
        "https://host.org/data/..%2fsecret/a.tif",
        "https://host.org/data/..%5csecret/a.tif",
        "https://host.org/data/..\\secret/a.tif",
        "https://host.org//data/a.tif",
        "https://host.org/DATA/a.tif",
        "http://host.org/data/a.tif",
        "https://host.org:8443/data/a.tif",
        "https://host.org.evil.com/data/a.tif",
        "https://evil.com/https://host.org/data/a.tif",
        "https://host.org@evil.com/data/a.tif",
        "https://evil.com#@host.org/data/a.tif",
        "https://evil.com\\@host.org/data/a.tif",
        "https://user:word@host.org/data/a.tif",
        "https://host.org\t/data/a.tif",
        "https://host.org /data/a.tif",
        "https:host.org/data/a.tif",
        "//host.org/data/a.tif",
        "https:///data/a.tif",
        "https://host.org:0/data/a.tif",
        "https://host.org:99999/data/a.tif",
        "https://host%2eorg/data/a.tif",
        "https://host.org/data/%zz",
        "https://host.org/data/%00",
        "https://[::1/data/a.tif",
        "https://-host.org/data/a.tif",
        "ftp://host.org/data/a.tif",
        "data:image/png;base64,AAAA",
        "/vsicurl/https://host.org/data/a.tif",
        "",
    ],
)
def test_a_url_outside_of_the_prefix_is_refused(url):
    assert not allowed("https://host.org/data", url)


def test_nothing_is_allowed_by_default():
    with pytest.raises(FetchRefused, match=r"add 'https://host.org/data/' to urls.allow"):
        Policy([], allow_private=True).check("https://host.org/data/a.tif")


def test_a_prefix_without_a_path_allows_the_whole_host():
    assert allowed("https://host.org", "https://host.org/a.tif")
    assert allowed("https://host.org:8443/", "https://host.org:8443/x/a.tif")


def test_a_host_name_in_another_script_is_the_same_as_its_ascii_form():
    assert allowed("https://xn--bcher-kva.example/", "https://BÜCHER.example/a.tif")
    assert not allowed("https://host.org/", "https://hоst.org/a.tif")  # noqa: RUF001 - a Cyrillic o


@pytest.mark.parametrize(
    "host", ["2130706433", "0x7f000001", "0177.0.0.1", "127.1", "0x7f.0.0.1", "127.0.0.01", "1.2.3.4.5", "256.1.1.1"]
)
def test_unusual_spellings_of_addresses_are_refused(host):
    with pytest.raises(FetchRefused, match="not an IPv4 address of four decimal numbers"):
        parse(f"http://{host}/a.tif")


def test_ipv6_addresses_have_one_spelling():
    assert allowed("http://[2001:db8::1]/", "http://[2001:0DB8:0:0::1]/a.tif")
    assert parse("http://[2001:0DB8:0:0::1]:80/a").url == "http://[2001:db8::1]/a"
    with pytest.raises(FetchRefused, match="not an IPv6 address"):
        parse("http://[fe80::1%25eth0]/a.tif")


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "100.100.100.200", "0.0.0.0",
        "224.0.0.1", "239.1.1.1", "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "168.63.129.16",
        "::1", "::", "fe80::1", "fc00::1", "fd00:ec2::254", "ff02::1", "2001:db8::1", "fe80::1%eth0",
        "::ffff:127.0.0.1", "::ffff:10.0.0.1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "::7f00:1",
        "2001:0:4136:e378:8000:63bf:f5ff:fffe",
    ],
)  # fmt: skip
def test_private_local_and_reserved_addresses_are_not_public(address):
    assert not is_public(address)
    with pytest.raises(FetchRefused, match=r"private, local or reserved; set urls.allow_private"):
        Policy([], allow_private=False).check_address("host.org", address)
    Policy([], allow_private=True).check_address("host.org", address)


@pytest.mark.parametrize("address", ["8.8.8.8", "93.184.216.34", "2606:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"])
def test_addresses_of_the_open_internet_are_public(address):
    assert is_public(address)


@pytest.mark.parametrize(
    ("prefix", "url", "expected"),
    [
        ("s3://bucket/tiles", "s3://bucket/tiles/a.tif", True),
        ("s3://bucket", "s3://bucket/a b+c%20.tif".replace(" ", "_"), True),
        ("s3://bucket/tiles", "s3://bucket/tiles-secret/a.tif", False),
        ("s3://bucket/tiles", "s3://bucket/tiles/../secret/a.tif", False),
        ("s3://bucket/", "s3://other/a.tif", False),
        ("s3://bucket/", "gs://bucket/a.tif", False),
        ("gs://bucket/", "gs://bucket/a.tif", True),
        ("s3://bucket/", "s3://key:word@bucket/a.tif", False),
        ("s3://bucket/", "s3:///a.tif", False),
        ("s3://bucket/", "s3://bucket//a.tif", False),
    ],
)
def test_buckets_and_keys_are_allowed_by_prefix(prefix, url, expected):
    assert allowed(prefix, url) is expected


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("file:///allowed/a.tif", True),
        ("file://localhost/allowed/a.tif", True),
        ("FILE:///allowed//sub/./a%20b.tif", True),
        ("file:///allowed/../etc/passwd", False),
        ("file:///allowed/%2e%2e/etc/passwd", False),
        ("file:///allowed-not/a.tif", False),
        ("file://host/allowed/a.tif", False),
        ("file:/allowed/a.tif", False),
        ("file:///allowed/a.tif?x=1", False),
        ("file:///allowed/%00", False),
        ("/allowed/a.tif", False),
    ],
)
def test_files_are_allowed_by_folder(url, expected):
    assert allowed("file:///allowed/", url) is expected


@pytest.mark.parametrize("entry", ["host.org/data", "https://", "ftp://host/", "https://user@host/", "https://host/?a=1", "*"])
def test_an_allow_list_entry_that_is_no_prefix_is_a_configuration_error(entry):
    with pytest.raises(ConfigurationError, match=r"urls.allow holds"):
        Policy([entry], allow_private=False)


def test_secrets_of_a_url_are_masked():
    shown = masked("https://user:5ecret@host.org/a.tif?X-Amz-Credential=5ecret&X-Amz-Signature=5ecret#5ecret")
    assert shown == "https://***@host.org/a.tif?X-Amz-Credential=***&X-Amz-Signature=***"


@pytest.mark.parametrize(
    "url", ["https://u:5ecret@host.org/a?sig=5ecret", "https://u:5ecret@[/?t=5ecret", "x5://5ecret@h?5ecret=1"]
)
def test_no_refusal_shows_a_secret(url):
    with pytest.raises(FetchRefused) as caught:
        Policy([], allow_private=False).check(url)
    assert "u:5ecret" not in str(caught.value)
    assert "=5ecret" not in str(caught.value)


def test_a_refusal_of_a_long_url_is_short():
    with pytest.raises(FetchRefused) as caught:
        parse("https://host.org/" + "a" * 100_000)
    assert len(str(caught.value)) < 600


@given(st.text(max_size=60))
def test_any_text_is_a_target_or_refused_and_a_target_is_in_its_one_form(text):
    for url in (text, "https://host.org/" + text, "file:///" + text, "http://" + text):
        try:
            target = parse(url)
        except FetchRefused:
            continue
        if target.scheme in ("http", "https"):
            assert parse(target.url) == parse(target.url)
            assert parse(target.url).url == target.url
            assert "/../" not in target.path
