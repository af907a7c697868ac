"""Groups classes of a published data set as models of fewer classes are trained on it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from edgeseg.data_rules import Member
from edgeseg.labels import Labels, get_known_labels, normalize_name

__all__ = ["find_known_groups"]

# How SegNet made 11 classes of CamVid's 32, as MathWorks' example of it lists them, without Void.
_CAMVID: Final[Mapping[str, tuple[Member, ...]]] = {
    "Sky": ("Sky",),
    "Building": ("Building", "Bridge", "Wall", "Tunnel", "Archway"),
    "Pole": ("Column_Pole", "TrafficCone"),
    "Road": ("Road", "LaneMkgsDriv", "LaneMkgsNonDriv"),
    "Pavement": ("Sidewalk", "ParkingBlock", "RoadShoulder"),
    "Tree": ("Tree", "VegetationMisc"),
    "SignSymbol": ("SignSymbol", "Misc_Text", "TrafficLight"),
    "Fence": ("Fence",),
    "Car": ("Car", "SUVPickupTruck", "Truck_Bus", "Train", "OtherMoving"),
    "Pedestrian": ("Pedestrian", "Child", "CartLuggagePram", "Animal"),
    "Bicyclist": ("Bicyclist", "MotorcycleScooter"),
}
_VOID: Final = "void"


def find_known_groups(theirs: Labels, ours: Labels) -> Mapping[str, tuple[Member, ...]] | None:
    """Find how a data set's classes are grouped as a model's: CamVid's 32 as the usual 11.

    The names on both sides must be those, all of them; None if they are not.
    """
    every = _fold(name for members in _CAMVID.values() for name in members)
    whole = _fold(theirs.classes) - {_VOID} == every
    if not whole or _fold(ours.classes) != _fold(get_known_labels("camvid").classes):
        return None
    names = {normalize_name(name): name for name in theirs.classes}
    return {
        group: tuple(names[normalize_name(str(member))] for member in members)
        for group, members in _CAMVID.items()
    }


def _fold(names: Iterable[object]) -> set[str]:
    return {normalize_name(str(name)) for name in names}
