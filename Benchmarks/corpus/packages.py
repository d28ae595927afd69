"""Packages of a Debian or Ubuntu system: fetched by apt-get, checked, and unpacked; nothing is installed."""

import contextlib
import dataclasses
import hashlib
import re
import shutil
import subprocess

# What copyright files without short names of licenses say, and the short names.
PHRASES = (
    (r"GNU\s+Free\s+Documentation\s+License", "GFDL"),
    (r"Creative\s+Commons", "CC"),
    (r"public\s+domain|not\s+copyrighted", "public-domain"),
    (r"Python\s+Software\s+Foundation|PSF\s+LICENSE", "PSF-2"),
    (r"GNU\s+(?:General\s+)?Public\s+License|\bGPL\b", "GPL"),
    (r"freely\s+(?:distribut|redistribut|cop)|permission\s+(?:is\s+\w+\s+)?to\s+(?:use|copy)", "permissive"),
    (r"BSD", "BSD"),
)


class CorpusError(Exception):
    """What the user can do something about, in one line."""


@dataclasses.dataclass(frozen=True)
class Package:
    name: str
    version: str
    file: str
    size: int
    sha256: str


def require_tools():
    for tool, of in (("apt-get", "apt"), ("apt-cache", "apt"), ("dpkg-deb", "dpkg")):
        if not shutil.which(tool):
            raise CorpusError(f"{tool}: not found: expected a Debian or Ubuntu system, whose package {of} has it")


def find(names):
    """The first of the packages that is known to apt, or None."""
    for name in names:
        found = subprocess.run(["apt-cache", "show", "--no-all-versions", name], capture_output=True, text=True)
        fields = dict(re.findall(r"^(Package|Version|Filename|Size|SHA256): (.*)$", found.stdout, re.MULTILINE))
        if len(fields) == 5:
            file = fields["Filename"].rpartition("/")[2]
            return Package(fields["Package"], fields["Version"], file, int(fields["Size"]), fields["SHA256"].lower())
    return None


def has_checksum(path, sha256):
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest() == sha256


def fetch(package, folder, say):
    """The package's file in `folder`: one that was fetched before, or a new one, which appears when it is complete."""
    path = folder / package.file
    if path.exists() and has_checksum(path, package.sha256):
        return path
    say(f"fetching {package.name} {package.version}, {package.size / 1e6:.1f} MB")
    partial = folder / "partial"
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    command = ["apt-get", "-q=2", "download", f"{package.name}={package.version}"]
    done = subprocess.run(command, cwd=partial, capture_output=True, text=True)
    files = list(partial.glob("*.deb"))
    if done.returncode or not files:
        errors = [line for line in done.stderr.splitlines() if line.startswith("E:")] or ["it fetched nothing"]
        raise CorpusError(f"{package.name}: apt-get download failed: {errors[0].removeprefix('E: ')}")
    if not has_checksum(files[0], package.sha256):
        raise CorpusError(f"{package.name}: the file that was fetched: expected the SHA-256 {package.sha256}")
    files[0].replace(path)
    shutil.rmtree(partial)
    return path


@contextlib.contextmanager
def unpacked(path, folder):
    """The files of a package in a folder that exists during `with`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        done = subprocess.run(["dpkg-deb", "-x", path, folder], capture_output=True, text=True)
        if done.returncode:
            raise CorpusError(f"{path}: dpkg-deb failed: {done.stderr.strip()}")
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def copyright_text(package, root):
    """The package's copyright file; packages of one source may link to the same."""
    path = root / "usr/share/doc" / package.name / "copyright"
    return path.read_text(encoding="utf-8", errors="replace") if path.is_file() else ""


def license_name(text):
    """The short name of the license that most of a package has, as its copyright file says."""
    short = re.search(r"^License:[ \t]*(\S[^\n]*)$", text, re.MULTILINE)
    if text.startswith("Format") and short and len(short.group(1)) < 60:
        return short.group(1).strip()
    found = [name for phrase, name in PHRASES if re.search(phrase, text, re.IGNORECASE)]
    return found[0] if found else "see its copyright file"
