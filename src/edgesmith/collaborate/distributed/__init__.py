"""One net over several devices or sensors: parts that encode, and a fusion that can do without some of them."""

from edgesmith.collaborate.distributed.cloud_fog import cloud_fog
from edgesmith.collaborate.distributed.ed_vit import ed_vit
from edgesmith.collaborate.distributed.mmedge import mmedge
from edgesmith.collaborate.distributed.plan import Device, Part, Plan

__all__ = ["METHODS", "Device", "Part", "Plan", "cloud_fog", "ed_vit", "mmedge"]

METHODS = (cloud_fog, ed_vit, mmedge)
