"""Make data/emoji32.npz from three npm packages: `python data/build/emoji32.py` (150 MB are fetched, 1 minute).

1. `npm pack NAME@VERSION` fetches each package; its SHA-512 must be the one below. With `--packages FOLDER` the
   packages are read from a folder where they lie already.
2. The list `emoji.json` of the Google package gives order, names and the nine Unicode groups. The group "Component" is
   left out, and skin-tone variants, which are entries inside entries, are too.
3. Each drawing is laid over white, padded to a square, and scaled to 32 x 32 with Lanczos' filter.
4. The arrays are written without pickle and with fixed dates, so equal arrays (and an equal zlib) give equal bytes.

Arrays: x (5664, 32, 32, 3) uint8; y, vendor (5664,) uint8; name (5664,) bytes; classes (9,); vendors (3,).
"""

import argparse
import base64
import hashlib
import io
import json
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from otprior_lite import data
from otprior_lite.atomic import write_bytes
from otprior_lite.data.pixels import on_white
from otprior_lite.errors import expect

SIZE = 32
CLASSES = (
    "Smileys & Emotion", "People & Body", "Animals & Nature", "Food & Drink", "Travel & Places",
    "Activities", "Objects", "Symbols", "Flags",
)  # fmt: skip


@dataclass(frozen=True)
class Package:
    """An npm package of drawings, one file an emoji. sha512: its integrity, in base64, as the lock file of npm has it."""

    vendor: str
    name: str
    version: str
    picture: str
    sha512: str

    @property
    def archive(self) -> str:
        """The file name that `npm pack` gives it."""
        return f"{self.name.lstrip('@').replace('/', '-')}-{self.version}.tgz"


PACKAGES = (
    Package(
        "fluent3d (MIT)", "@lobehub/fluent-emoji-3d", "1.1.0", "package/assets/{}.webp",
        "Wlq2lVStTnr8BDpIJ0pEnTKO4LuDxxqTEhTvRtD1DLRF0me7ogeRQjKoehDHXuVJ2Qaecgl5wRBv60lUAG3h7g==",
    ),
    Package(
        "noto (Apache-2.0)", "emoji-datasource-google", "16.0.0", "package/img/google/64/{}.png",
        "ZRexfzs7MVoLnmzZmNsO4TKhnAJp5D++Vm6PpUpH/jEQQlemp3l88CjZ+DoZ2faM9R4QxZkOPJCoT8DlPhfQ3A==",
    ),
    Package(
        "twemoji (CC-BY-4.0)", "emoji-datasource-twitter", "16.0.0", "package/img/twitter/64/{}.png",
        "7F+uCuHH+7Qnrc15P5tnbvKkg9E6tlzi4MnT2uW1RlN4pLYTza6cP/dstIfSDMtpjFLWuZewWg8jBbuL2eyELQ==",
    ),
)  # fmt: skip


def fetch(package: Package, folder: Path) -> None:
    """Put the package into the folder, with the npm of this machine and the registry it is set up for."""
    words = ["npm", "pack", f"{package.name}@{package.version}", "--pack-destination", str(folder), "--silent"]
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def files(package: Package, folder: Path) -> dict[str, bytes]:
    """The drawings and the list of a package, by path, after its integrity was checked."""
    content = (folder / package.archive).read_bytes()
    came = base64.b64encode(hashlib.sha512(content).digest()).decode()
    expect(came == package.sha512, package.archive, f"SHA-512 {package.sha512}", came)
    start = package.picture.split("{}")[0]
    with tarfile.open(fileobj=io.BytesIO(content)) as tar:
        wanted = [m for m in tar if m.isreg() and (m.name.startswith(start) or m.name == "package/emoji.json")]
        return {member.name: tar.extractfile(member).read() for member in wanted}


def picture(content: bytes) -> np.ndarray:
    """A drawing as (32, 32, 3) unsigned bytes: on white, a square, scaled."""
    image = on_white(Image.open(io.BytesIO(content)))
    square = ImageOps.pad(image, (max(image.size),) * 2, color="white")
    return np.asarray(square.resize((SIZE, SIZE), Image.Resampling.LANCZOS))


def arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays of emoji32.npz from the three packages in the folder: vendors one after the other, emoji in the list's order."""
    stores = [files(package, folder) for package in PACKAGES]
    emoji = [entry for entry in json.loads(stores[1]["package/emoji.json"]) if entry["category"] in CLASSES]
    drawn = [
        (vendor, entry, store[file])
        for vendor, (package, store) in enumerate(zip(PACKAGES, stores))
        for entry in emoji
        if (file := package.picture.format(entry["image"].removesuffix(".png"))) in store
    ]
    return {
        "x": np.stack([picture(content) for _, _, content in drawn]),
        "y": np.array([CLASSES.index(entry["category"]) for _, entry, _ in drawn], dtype=np.uint8),
        "vendor": np.array([vendor for vendor, _, _ in drawn], dtype=np.uint8),
        "name": np.array([entry["short_name"].encode() for _, entry, _ in drawn]),
        "classes": np.array(CLASSES),
        "vendors": np.array([package.vendor for package in PACKAGES]),
    }


def archive(content: dict[str, np.ndarray]) -> bytes:
    """The .npz of these arrays; NumPy dates its members 1980, so the bytes follow from the arrays."""
    stream = io.BytesIO()
    np.savez_compressed(stream, **content)
    return stream.getvalue()


def main() -> None:
    """Fetch, check, draw, write, enter into the manifest."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--packages", type=Path, help="a folder that holds the three .tgz files already")
    parser.add_argument("--out", type=Path, help="write there, and leave data/ as it is")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if options.packages is None:
            for package in PACKAGES:
                fetch(package, Path(scratch))
        made = archive(arrays(options.packages or Path(scratch)))
    file = options.out or data.root() / "emoji32.npz"
    write_bytes(file, made)
    if options.out is None:
        data.register(
            "emoji32",
            file,
            script="python data/build/emoji32.py",
            source="; ".join(f"{package.name} {package.version}" for package in PACKAGES),
            licence="Fluent Emoji MIT, Noto Emoji Apache-2.0, Twemoji CC BY 4.0: see NOTICE",
        )
    print(f"{file}  {hashlib.sha256(made).hexdigest()}")


if __name__ == "__main__":
    main()
