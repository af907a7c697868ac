"""The mask of a GeoTIFF lies where the image lies: written by edgeseg, read by rasterio."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
import rasterio
from PIL import Image
from rasterio.control import GroundControlPoint
from rasterio.crs import CRS
from rasterio.transform import Affine

from edgeseg.bundle.store import Bundle
from edgeseg.demo import draw_scene
from edgeseg.files.signature import is_replaceable
from edgeseg.images import read_image, read_mask
from edgeseg.images.georeference import Place, read_georeferenced, write_geotiff
from edgeseg.labels import get_known_labels

UTM = CRS.from_epsg(32633)
# Half a meter a pixel, turned a little, so that no entry is 0.
TRANSFORM = Affine(0.5, 0.1, 400000.0, 0.1, -0.5, 5000000.0)
POINTS = [
    GroundControlPoint(row=0, col=0, x=14.0, y=50.0),
    GroundControlPoint(row=0, col=150, x=14.1, y=50.0),
    GroundControlPoint(row=110, col=0, x=14.0, y=49.9),
]
PLACES = {
    "transform": {"crs": UTM, "transform": TRANSFORM},
    "points": {"crs": CRS.from_epsg(4326), "gcps": POINTS},
}


def _write_geotiff(path: Path, **place: object) -> None:
    image = draw_scene(3, 0, height=110, width=150).image[:, :, ::-1]
    options = {"driver": "GTiff", "height": 110, "width": 150, "count": 3, "dtype": "uint8"}
    with rasterio.open(path, "w", **options, photometric="rgb", **place) as file:
        file.write(np.moveaxis(image, -1, 0))


@pytest.fixture
def survey(tmp_path: Path) -> Path:
    """Two GeoTIFFs, and the pixels of one as a PNG."""
    folder = tmp_path / "survey"
    folder.mkdir()
    for name, place in PLACES.items():
        _write_geotiff(folder / f"{name}.tif", **place)
    pixels = read_image(folder / "transform.tif")[:, :, ::-1]
    Image.fromarray(np.ascontiguousarray(pixels)).save(folder / "plain.png")
    return folder


def test_no_png_is_decoded_for_a_place(survey: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow decodes a PNG to tell its EXIF tags, which takes as long as to read it."""
    opened: list[object] = []
    monkeypatch.setattr("edgeseg.images.storage.open_image", opened.append)
    assert read_georeferenced(survey / "plain.png") is None
    assert read_georeferenced(survey / "transform.tif") is not None
    assert not opened


@pytest.mark.parametrize("tile", [(), ("--tile",)], ids=["whole", "tiled"])
def test_a_mask_has_the_place_of_its_image(
    edgeseg, seeded_bundle: Bundle, survey: Path, tile: tuple[str, ...]
) -> None:
    run = ("run", seeded_bundle.folder, "--source", survey, "--masks", "m", *tile)
    for _ in range(2):  # the second replaces what the first wrote
        outcome = edgeseg(*run)
        assert outcome.status == 0, outcome.err
    names = ["legend.json", "plain.png", "points.tif", "transform.tif"]
    assert sorted(path.name for path in Path("m").iterdir()) == names
    assert "kept in m" not in outcome.err
    expected = np.asarray(Image.open("m/plain.png"))
    with rasterio.open("m/transform.tif") as mask:
        assert (mask.count, mask.dtypes, mask.shape) == (1, ("uint8",), (110, 150))
        assert mask.crs == UTM
        assert mask.transform == TRANSFORM
        np.testing.assert_array_equal(mask.read(1), expected)
        colors = mask.colormap(1)
        palette = get_known_labels("camvid").palette
        assert [colors[own][:3] for own in range(11)] == list(palette)
        assert mask.tags()["TIFFTAG_SOFTWARE"] == "written by edgeseg run"
    with rasterio.open("m/points.tif") as mask:
        points, crs = mask.gcps
        assert crs == CRS.from_epsg(4326)
        assert [(p.row, p.col, p.x, p.y) for p in points] == [
            (p.row, p.col, p.x, p.y) for p in POINTS
        ]
    np.testing.assert_array_equal(read_mask(Path("m/transform.tif")), expected)


def test_painted_masks_and_published_ids_have_it_too(
    edgeseg, seeded_bundle: Bundle, survey: Path
) -> None:
    ids = survey.parent / "ids.json"
    labels = get_known_labels("camvid")
    ids.write_text("{" + ", ".join(f'"{n}": {300 + i}' for i, n in enumerate(labels.classes)) + "}")
    source = ("run", seeded_bundle.folder, "--source", survey / "transform.tif", "--masks")
    for args in (("ids",), ("ids16", "--label-ids", ids), ("painted", "--masks-palette")):
        outcome = edgeseg(*source, *args)
        assert outcome.status == 0, outcome.err
    plain = read_mask(Path("ids/transform.tif"))
    with rasterio.open("ids16/transform.tif") as mask:
        assert (mask.crs, mask.dtypes) == (UTM, ("uint16",))
        np.testing.assert_array_equal(mask.read(1), plain.astype(np.uint16) + 300)
    with rasterio.open("painted/transform.tif") as mask:
        assert (mask.crs, mask.transform) == (UTM, TRANSFORM)
        painted = np.moveaxis(mask.read(), 0, -1)
        np.testing.assert_array_equal(painted, np.array(labels.palette, np.uint8)[plain])


def test_without_rasterio_a_line_says_what_is_missing(
    edgeseg, seeded_bundle: Bundle, survey: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rasterio", None)
    monkeypatch.setattr("edgeseg.runtime.sinks.places.has_rasterio", lambda: False)
    outcome = edgeseg("run", seeded_bundle.folder, "--source", survey, "--masks", "m")
    assert outcome.status == 0
    assert sorted(path.name for path in Path("m").glob("*.*g")) == [
        "plain.png", "points.png", "transform.png",
    ]  # fmt: skip
    told = "points.tif is georeferenced, and its mask is not, because rasterio is not installed"
    assert outcome.err.count("is georeferenced") == outcome.err.count(told) == 1
    assert "run: pip install 'edgeseg[geo]' -c constraints.txt" in outcome.err


def test_an_image_that_is_stored_turned_has_no_place(
    edgeseg, seeded_bundle: Bundle, tmp_path: Path
) -> None:
    """rasterio's transform is of the pixels as they are stored, and the mask is upright."""
    pixels = np.ascontiguousarray(draw_scene(3, 0, height=64, width=80).image)
    tags = {33550: (1.0, 1.0, 0.0), 33922: (0.0, 0.0, 0.0, 4e5, 5e6, 0.0), 274: 6}
    Image.fromarray(pixels).save(tmp_path / "turned.tif", tiffinfo=tags)
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "turned.tif", "--masks", "m")
    assert "turned.tif is georeferenced, and its mask is not, because its pixels" in outcome.err
    assert read_mask(Path("m/turned.png")).shape == (80, 64)


@pytest.mark.parametrize(
    "tags",
    [
        {34735: (1, 1, 0, 1, 1024, 0, 1, 1)},
        {33550: (1.0, 1.0, 0.0)},
        {33922: (0.0, 0.0, 0.0, 4e5, 5e6, 0.0)},
    ],
    ids=["keys", "scale", "point"],
)
def test_tags_that_tie_no_pixel_to_the_map_are_no_georeference(
    edgeseg, seeded_bundle: Bundle, tmp_path: Path, tags: dict[int, tuple[float, ...]]
) -> None:
    pixels = np.ascontiguousarray(draw_scene(3, 0, height=64, width=80).image)
    Image.fromarray(pixels).save(tmp_path / "a.tif", tiffinfo=tags)
    outcome = edgeseg("run", seeded_bundle.folder, "--source", "a.tif", "--masks", "m")
    assert outcome.status == 0
    assert "georeferenced" not in outcome.err
    assert Path("m/a.png").exists()


def test_a_raster_of_somebody_else_is_not_replaced(
    edgeseg, seeded_bundle: Bundle, survey: Path
) -> None:
    Path("m").mkdir()
    _write_geotiff(Path("m/transform.tif"), **PLACES["transform"])
    Image.new("L", (4, 4)).save("m/plain.tif")  # plain.png's mask is a PNG
    before = Path("m/transform.tif").read_bytes()
    outcome = edgeseg("run", seeded_bundle.folder, "--source", survey, "--masks", "m")
    assert outcome.status == 1
    assert "m/transform.tif exists and does not say that edgeseg run wrote it" in outcome.err
    assert Path("m/transform.tif").read_bytes() == before
    Path("m/transform.tif").unlink()
    outcome = edgeseg("run", seeded_bundle.folder, "--source", survey, "--masks", "m")
    assert outcome.status == 0
    assert read_mask(Path("m/plain.tif")).shape == (4, 4)


def test_a_large_mask_is_known_as_edgesegs_own(tmp_path: Path) -> None:
    """Its tags stand behind the offsets of its parts, far from both ends."""
    mask = np.zeros((20, 1_000_000), np.uint8)
    mask[3, ::512] = 5
    place = Place(crs=UTM, transform=TRANSFORM, points=(), point_crs=None, area_or_point="Point")
    path = tmp_path / "wide.tif"
    palette = get_known_labels("camvid").palette
    write_geotiff(
        mask, path, place, palette=palette, painted=False, software="written by edgeseg run"
    )
    assert is_replaceable(path)
    with rasterio.open(path) as written:
        np.testing.assert_array_equal(written.read(1), mask)
        assert written.tags()["AREA_OR_POINT"] == "Point"
        assert (written.crs, written.transform) == (UTM, TRANSFORM)
    assert [one.name for one in tmp_path.iterdir()] == ["wide.tif"]


def test_a_folder_that_takes_no_file_is_an_error_of_the_system(tmp_path: Path) -> None:
    place = Place(crs=UTM, transform=TRANSFORM, points=(), point_crs=None, area_or_point=None)
    with pytest.raises(OSError, match="nowhere"):
        write_geotiff(
            np.zeros((4, 4), np.uint8), tmp_path / "nowhere" / "a.tif", place,
            palette=((0, 0, 0),), painted=False, software="s",
        )  # fmt: skip


def test_scores_have_the_place_of_their_image(edgeseg, seeded_bundle: Bundle, survey: Path) -> None:
    run = ("run", seeded_bundle.folder, "--source", survey, "--masks", "m", "--scores")
    for _ in range(2):  # the second replaces what the first wrote
        outcome = edgeseg(*run)
        assert outcome.status == 0, outcome.err
    names = ["plain.png", "points.tif", "transform.tif"]
    assert sorted(path.name for path in Path("m-scores").iterdir()) == names
    with rasterio.open("m-scores/transform.tif") as scores:
        assert scores.transform == TRANSFORM
        np.testing.assert_array_equal(scores.read(1), np.asarray(Image.open("m-scores/plain.png")))
