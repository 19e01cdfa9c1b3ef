"""Manifests: validated by the real library where it is installed, and by one that answers as told."""

from __future__ import annotations

import datetime
import io
import json
import struct
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from made_clips import write_clip

import made_files as made
from conftest import EXAMPLES, Run
from spectral_detect.provenance import c2pa_manifest
from spectral_detect.provenance.look import look

FILE = made.png_with_chunk(b"caBX", made.jumbf())
SIGNATURE = {"issuer": "Some Maker", "common_name": "Some \x1b[31mCamera"}
TRAINED = made.SOURCE_TYPE + "trainedAlgorithmicMedia"
ACTIONS = [
    {"action": "c2pa.created", "softwareAgent": {"name": "GPT-4o"}, "digitalSourceType": TRAINED},
    {"action": "c2pa.converted", "softwareAgent": "Some API"},
]


def store(passed: list[str], failed: list[str], actions: list[Any] = ACTIONS) -> dict[str, Any]:
    manifest = {
        "claim_generator_info": [{"name": "ChatGPT"}],
        "assertions": [{"label": "c2pa.actions.v2", "data": {"actions": actions}}],
        "signature_info": SIGNATURE,
    }
    results = {"success": [{"code": code} for code in passed], "failure": [{"code": code} for code in failed]}
    return {"active_manifest": "m", "manifests": {"m": manifest}, "validation_results": {"activeManifest": results}}


@pytest.fixture
def answer(monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """A library that says what is put into this under "text", and takes down the settings that it is given."""
    said: dict[str, Any] = {}

    class Closing:
        def __init__(self, *_: Any, **__: Any) -> None:
            pass

        def __enter__(self) -> Any:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    class Reader(Closing):
        def json(self) -> str:
            if isinstance(said["text"], Exception):
                raise said["text"]
            return said["text"]

    class Settings:
        @staticmethod
        def from_dict(settings: dict[str, Any]) -> None:
            said["settings"] = settings

    library: Any = ModuleType("c2pa")
    library.Context, library.Reader, library.Settings = Closing, Reader, Settings
    monkeypatch.setattr(c2pa_manifest, "_library", lambda: library)
    yield said


MATCH, MISMATCH = "assertion.dataHash.match", "assertion.dataHash.mismatch"
CHANGED = "TAMPERED WITH: the file or its manifest was changed after signing"
VALID, UNTRUSTED, TRUSTED = "claimSignature.validated", "signingCredential.untrusted", "signingCredential.trusted"


@pytest.mark.parametrize(
    ("passed", "failed", "state"),
    [
        ([VALID, MATCH, TRUSTED], [], "unchanged since it was signed, of a trusted signer"),
        ([VALID, MATCH], [UNTRUSTED], "unchanged since it was signed, of an unknown signer"),
        (
            [VALID, MATCH],
            [UNTRUSTED, "signingCredential.expired", "assertion.action.malformed"],
            "unchanged since it was signed, of an unknown signer, certificate expired since, with faults "
            "(assertion.action.malformed)",
        ),
        ([VALID], [UNTRUSTED, MISMATCH], f"{CHANGED} ({MISMATCH})"),
        ([], ["claimSignature.mismatch"], f"{CHANGED} (claimSignature.mismatch)"),
        ([], ["claimSignature.outsideValidity"], "not valid (claimSignature.outsideValidity)"),
        ([], [], "not valid (its signature was not checked)"),
    ],
)
def test_the_state_is_told_in_words(answer: dict[str, Any], passed: list[str], failed: list[str], state: str) -> None:
    answer["text"] = json.dumps(store(passed, failed))
    said = look(FILE)
    texts = [finding.text for finding in said.findings]
    assert texts[1] == f"C2PA manifest {state}; signed by Some Maker / Some \\x1b[31mCamera, made by ChatGPT"
    assert texts[2] == "C2PA actions: created by GPT-4o, converted by Some API"
    assert said.says_generated == "yes"
    assert "genuine" not in said.line


def test_nothing_is_fetched_from_the_network(answer: dict[str, Any]) -> None:
    answer["text"] = json.dumps(store([VALID], []))
    look(FILE, "some certificates")
    assert answer["settings"]["verify"] == {"remote_manifest_fetch": False, "ocsp_fetch": False}
    assert answer["settings"]["trust"] == {"trust_anchors": "some certificates"}


@pytest.mark.parametrize(
    "text", ["[]", "{}", '{"manifests": 3}', "not JSON", RuntimeError("\x1b[2Jbad"), '{"manifests": {"m": []}}']
)
def test_whatever_the_library_answers_is_survived(answer: dict[str, Any], text: Any) -> None:
    answer["text"] = text
    said = look(FILE)
    assert said.line.isprintable()
    assert any(finding.kind == "C2PA" for finding in said.findings)


def test_a_captured_image_says_no(answer: dict[str, Any]) -> None:
    camera = [{"action": "c2pa.created", "digitalSourceType": made.SOURCE_TYPE + "digitalCapture"}]
    answer["text"] = json.dumps(store([VALID, MATCH], [], camera))
    assert look(FILE).says_generated == "no"


def test_without_the_library_the_manifest_is_named_and_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(c2pa_manifest, "_library", lambda: None)
    (finding,) = (f for f in look(FILE).findings if f.kind == "C2PA")
    assert finding.text.endswith("install the extra that reads it, pip install '.[c2pa]' in the checkout")


def test_boxes_nested_deep_are_not_handed_on(answer: dict[str, Any]) -> None:
    answer["text"] = json.dumps(store([VALID], []))
    box = b""
    for _ in range(2000):
        inside = b"\0\0\0\x1djumd" + bytes(16) + b"\3c2pa\0" + box
        box = struct.pack(">I", len(inside) + 8) + b"jumb" + inside
    (finding,) = look(made.png_with_chunk(b"caBX", box)).findings
    assert finding.text == "holds a C2PA manifest, not validated: nested deeper than 16 boxes"


# ------------------------------------------------------------------------------------------------- the real library


@pytest.fixture(scope="module")
def chain() -> tuple[bytes, bytes, bytes]:
    """The certificate of a signer with that of its authority, the signer's key, and the authority alone; as PEM."""
    pytest.importorskip("c2pa")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

    now = datetime.datetime.now(datetime.timezone.utc)

    def certificate(name: str, key: Any, issuer: str, issuer_key: Any, *, is_authority: bool) -> x509.Certificate:
        def named(common: str) -> x509.Name:
            return x509.Name(
                [
                    x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Some Maker"),
                    x509.NameAttribute(NameOID.COMMON_NAME, common),
                ]
            )

        usage = dict.fromkeys(
            (
                "content_commitment",
                "key_encipherment",
                "data_encipherment",
                "key_agreement",
                "encipher_only",
                "decipher_only",
            ),
            False,
        )
        builder = (
            x509.CertificateBuilder()
            .subject_name(named(name))
            .issuer_name(named(issuer))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=is_authority, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(
                    digital_signature=not is_authority, key_cert_sign=is_authority, crl_sign=is_authority, **usage
                ),
                critical=True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(issuer_key.public_key()), critical=False)
        )
        if not is_authority:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=True
            )
        return builder.sign(issuer_key, hashes.SHA256())

    keys = [ec.generate_private_key(ec.SECP256R1()) for _ in range(2)]
    authority = certificate("authority", keys[0], "authority", keys[0], is_authority=True)
    signer = certificate("signer", keys[1], "authority", keys[0], is_authority=False)
    pems = [c.public_bytes(serialization.Encoding.PEM) for c in (signer, authority)]
    secret = keys[1].private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return pems[0] + pems[1], secret, pems[1]


def signed(chain: tuple[bytes, bytes, bytes], image_format: str, content: bytes | None = None) -> bytes:
    """A small image in this format with a manifest, or content of a kind that is named in full."""
    import c2pa

    definition = {
        "claim_generator_info": [{"name": "some program", "version": "1"}],
        "assertions": [{"label": "c2pa.actions", "data": {"actions": ACTIONS[:1]}}],
    }
    info = c2pa.C2paSignerInfo(b"es256", chain[0], chain[1], None)
    target = io.BytesIO()
    with c2pa.Signer.from_info(info) as signer, c2pa.Builder(definition) as builder:
        if content is None:
            builder.sign(signer, f"image/{image_format.lower()}", io.BytesIO(made.saved(image_format)), target)
        else:
            builder.sign(signer, image_format, io.BytesIO(content), target)
    return target.getvalue()


@pytest.mark.parametrize("image_format", ["JPEG", "PNG", "WEBP", "AVIF", "TIFF"])
def test_a_signed_file_is_validated(chain: tuple[bytes, bytes, bytes], image_format: str) -> None:
    content = signed(chain, image_format)
    unknown = look(content)
    assert unknown.says_generated == "yes"
    assert "C2PA manifest unchanged since it was signed, of an unknown signer; signed by Some Maker" in unknown.line
    assert "made by some program" in unknown.line
    assert "created by GPT-4o" in unknown.line
    trusted = look(content, chain[2].decode())
    assert "unchanged since it was signed, of a trusted signer" in trusted.line


def test_a_signed_video_is_validated_in_its_record(run: Run, tmp_path: Path, chain: tuple[bytes, bytes, bytes]) -> None:
    write_clip(
        tmp_path / "plain.mp4", sorted((EXAMPLES / "real").glob("*.png"))[:3], "libx264", "yuv420p", comment="hello"
    )
    (tmp_path / "signed.mp4").write_bytes(signed(chain, "video/mp4", (tmp_path / "plain.mp4").read_bytes()))
    result = run("video", tmp_path / "signed.mp4", tmp_path / "plain.mp4", "--jobs", 0, "--format", "jsonl")
    with_manifest, without = map(json.loads, result.stdout.splitlines())
    assert "C2PA manifest unchanged since it was signed, of an unknown signer" in with_manifest["provenance"]
    assert with_manifest["says_generated"] == "yes"
    assert without["provenance"].startswith("software Lavf")
    assert "container, 'encoder'" in without["provenance"]
    assert without["says_generated"] is None
    (tmp_path / "anchors.pem").write_bytes(chain[2])
    trusting = ("--trust-anchors", tmp_path / "anchors.pem", "--jobs", 0)
    assert "of a trusted signer" in run("provenance", tmp_path / "signed.mp4", *trusting).stdout


def test_a_changed_file_is_tampered_with(chain: tuple[bytes, bytes, bytes]) -> None:
    content = bytearray(signed(chain, "JPEG"))
    content[-20] ^= 0x55
    assert "TAMPERED WITH" in look(bytes(content)).line


def test_trust_is_given_on_the_command_line(run: Run, tmp_path: Path, chain: tuple[bytes, bytes, bytes]) -> None:
    (tmp_path / "signed.png").write_bytes(signed(chain, "PNG"))
    (tmp_path / "anchors.pem").write_bytes(chain[2])
    options = ("--depth", "header", "--jobs", 0, "--trust-anchors", tmp_path / "anchors.pem")
    assert "of a trusted signer" in run("provenance", tmp_path / "signed.png", *options).stdout


def test_a_file_without_certificates_is_refused(run: Run, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(FILE)
    (tmp_path / "anchors.pem").write_bytes(b"\xff\xfe not PEM")
    result = run("provenance", tmp_path / "a.png", "--jobs", 0, "--trust-anchors", tmp_path / "anchors.pem")
    assert result.exit_code == 2
    assert "no certificate in PEM form" in result.stderr
