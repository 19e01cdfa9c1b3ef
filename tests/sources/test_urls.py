"""What of a URL is shown: never a parameter that gives access."""

from __future__ import annotations

import pytest

from spectral_detect.sources.urls import scrubbed, without_credentials

# parameters that give access, or tell how one that does was made, by the store that takes them
SECRET = (
    "X-Amz-Signature X-Amz-Credential X-Amz-Security-Token AWSAccessKeyId Signature Expires Key-Pair-Id Policy "  # S3
    "X-Goog-Signature X-Goog-Credential GoogleAccessId sig token access_token auth api_key apikey password passwd pwd "
    "secret jwt x-oss-signature x-oss-security-token OSSAccessKeyId X-Obs-Signature q-ak q-signature q-sign-time hdnea "
    "hdnts __token__ authToken client_secret x_api_key"
).split()
OF_AZURE = "sv ss srt sr sp st se spr sip ses skoid sktid skt ske sks skv saoid suoid scid sdd".split()


@pytest.mark.parametrize("name", SECRET)
def test_a_parameter_that_gives_access_is_not_shown(name: str) -> None:
    url = f"https://host/a.png?version=3&{name}=hidden%2Fvalue&page=1"
    assert without_credentials(url) == "https://host/a.png?version=3&page=1"
    said = scrubbed(f"cannot fetch {url}: hidden%2Fvalue, that is hidden/value, was refused", url)
    assert "hidden" not in said
    assert "version=3&page=1" in said


@pytest.mark.parametrize("name", ["key", "id", "version", "file", "q", "design", "signed_by", "tokens_of_love"])
def test_what_names_a_file_stays(name: str) -> None:
    assert without_credentials(f"https://host/get?{name}=a.png") == f"https://host/get?{name}=a.png"


@pytest.mark.parametrize("name", OF_AZURE)
def test_what_azure_signs_goes_with_its_signature(name: str) -> None:
    assert without_credentials(f"https://host/a.png?{name}=x") == f"https://host/a.png?{name}=x"
    assert without_credentials(f"https://host/a.png?{name}=x&sig=y&page=1") == "https://host/a.png?page=1"


def test_the_password_is_not_shown_and_over_http_neither_is_the_user() -> None:
    assert without_credentials("https://bob:hunter2@host/a.png") == "https://host/a.png"
    assert without_credentials("sftp://bob:hunter2@host/a.png") == "sftp://bob@host/a.png"
    assert without_credentials("github://org:repository@main/a.png") == "github://org:repository@main/a.png"
