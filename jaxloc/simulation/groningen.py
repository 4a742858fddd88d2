"""Earthquakes like those of the Groningen gas field: small, at 3 km depth, under salt and soft sediments.

Most events are at reservoir depth, about 3 km, some in the anhydrite above it (Spetzler & Dost 2017, GJI 209); the
North Sea Supergroup ends at some 800 m, with S velocities of a few hundred m/s near the surface (Kruiver and others
2017, Bull. Earthquake Eng. 15); seismometers are in boreholes of 200 m or at the surface. The other values are rounded
and chosen
here: a training region, not a model of the field.
"""

from jaxloc.data.dataset import Station
from jaxloc.physics.layered import VelocityModel, layered
from jaxloc.simulation.propagation import Path
from jaxloc.simulation.recording import Noise, Recording
from jaxloc.simulation.seismograms import Simulation
from jaxloc.simulation.sources import Source, box

HALF_KM = (15.0, 20.0)  # of the field, east and north
BOREHOLE_M = 200.0


def ground(speed_factor: float = 1.0) -> VelocityModel:
    """Soft sediments, chalk, Triassic, rock salt of 800 m (fast), sandstone of the reservoir (slow), Carboniferous.

    `speed_factor` multiplies all speeds, for a velocity model other than that of training.
    """
    top_km = [0.0, 0.35, 0.8, 1.6, 2.0, 2.8, 3.1]
    vp_km_s, vs_km_s = [1.8, 2.1, 3.2, 3.6, 4.4, 3.9, 4.5], [0.5, 0.8, 1.7, 1.9, 2.5, 2.3, 2.65]
    return layered(top_km, [speed_factor * v for v in vp_km_s], [speed_factor * v for v in vs_km_s])


def groningen(depth_km: tuple[float, float], speed_factor: float = 1.0) -> Simulation:
    """Events of magnitude 0.5 to 3.5 anywhere in the field, within depths in km."""
    east, north = HALF_KM
    return Simulation(
        box((-east, -north, depth_km[0]), (east, north, depth_km[1])),
        ground(speed_factor),
        Source((0.5, 3.5), 1.0, stress_drop_mpa=2.0, smear=0.3),
        Path(
            q_s=60.0,
            q_power=0.3,
            kappa_s=0.03,
            surface_speed_km_s=(1.8 * speed_factor, 0.45 * speed_factor),
            free_time_s=10.0,
            conversion=0.4,
            conversion_s=0.3,
            delay_sd_s=0.06,
            slowness_scale_km=15.0,
            jitter_sd_s=(0.02, 0.04),
        ),
        Noise(2e-8, cultural=1.0),
        Recording(),
    )


def buried(stations: tuple[Station, ...]) -> tuple[Station, ...]:
    """The same stations on flat ground, every third at the surface and the others at the bottom of boreholes."""
    depths_m = (0.0 if i % 3 == 0 else BOREHOLE_M for i in range(len(stations)))
    return tuple(s._replace(elevation_m=-depth) for s, depth in zip(stations, depths_m, strict=True))
