"""The command line's arguments and help; nothing heavy is imported, so that `--help` answers at once."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

from jaxloc import __version__

MAPS = ("best", "none", "temperature", "temperatures", "quantiles", "local")
PICKERS = ("network", "palm")
RELOCATIONS = ("hierarchical", "double_difference")
ASSOCIATORS = ("bayes", "palm")
MATCHERS = ("stacks", "mess")
KINDS = ("experiments", "models", "posteriors", "locators", "data", "stages", "studies")

EXAMPLES = """\
examples:
  jaxloc run quickstart                              simulate, train, score: some minutes, nothing to download
  jaxloc locate runs/quickstart day.mseed --stations stations.xml --windows events.csv
  jaxloc pick archive/ --stations stations.xml       picks of continuous records
  jaxloc evaluate runs/quickstart labelled_events/   score card on labelled events
  jaxloc evaluate --predictions nonlinloc/ --truth catalogue.csv
  jaxloc calibrate runs/quickstart --events 200      recalibrate predicted uncertainties on fresh events
  jaxloc compare runs/a runs/b                       score cards side by side
  jaxloc list                                        experiments, models, posteriors, locators, studies
  jaxloc COMMAND --help                              examples and file formats of a command
"""

RUN = """\
examples:
  jaxloc run quickstart
  jaxloc run quickstart seed=1 run_dir=runs/another
  jaxloc run telica_arrivals data.folder=/my/earthquakes data.rate_hz=50 data.num_samples=3000
  jaxloc run small_kriegerowski2019 posterior=ensemble posterior.members=5
  jaxloc run -m quickstart seed=0,1,2                one run for each value (Hydra multirun)
  jaxloc run -m quickstart seed=0,1,2 posterior=mean_field,point hydra/launcher=submitit_slurm

A run that was interrupted continues from its last checkpoint when the same command is given again; a finished run
shows its score card. With -m (--multirun), values separated by commas are combined, and each combination is run in
runs/EXPERIMENT_multirun/KEY-VALUE_...; hydra.launcher.KEY=VALUE configures the launcher (extra [cluster]).

The run folder has config.json (resolved configuration), log.jsonl and log.txt, checkpoints, scores.json,
events.csv, events.xml (QuakeML) and pictures. `jaxloc list experiments` lists the experiments.
"""

LOCATE = """\
examples:
  jaxloc locate waveforms/*.mseed --stations stations.xml --velocity model.csv   no run is needed
  jaxloc locate runs/mine new_events/ --output located --pictures
  jaxloc locate runs/mine waveforms/*.mseed --stations stations.xml --windows origins.csv
  jaxloc locate runs/mine day.mseed --stations other.csv --velocity other_model.csv
  jaxloc locate picks.csv --locator grid_search --stations stations.xml --velocity model.csv
  jaxloc locate picks.xml --locator grid_search --stations stations.csv --velocity model.csv --set model_share=0.02
  jaxloc locate picks.csv --locator octree --stations stations.csv --travel-times time/
  jaxloc locate picks.csv --locator geiger --stations stations.csv --velocity model/crust.P.mod.hdr
  jaxloc locate labelled/ --locator climatology --catalogue earlier.csv

formats:
  INPUT        a SeisBench folder (metadata.csv, waveforms.hdf5), or waveform files that ObsPy reads
  PICKS        with --locator: CSV with event_id, station (NET.STA), phase, time (UTC, or seconds of the event's own
               zero), sigma_s, one row a pick; QuakeML with picks; any format with picks of events that
               `jaxloc convert --list` has; or a SeisBench folder with picks
  --stations   StationXML, or CSV with code (or network, station), latitude, longitude, elevation_m; or any format with
               stations that `jaxloc convert --list` has
  --windows    CSV with start (UTC time of the first sample) or origin_time, one row an event;
               optional columns id, latitude_deg, longitude_deg, depth_km, magnitude
  --velocity   CSV with depth_km, vp_km_s, vs_km_s: top of each layer and its velocities, or with --velocity-form
               gradient velocities at depths, linear between them; a column form (layers, gradient) says it by row; or
               any format with a velocity model that `jaxloc convert --list` has. For picks also of three dimensions:
               NonLinLoc's ROOT.P.mod.hdr, CSV or NPZ with longitude_deg, latitude_deg, depth_km, vp_km_s, vs_km_s;
               travel times are solved once for each station and kept on disk
  --output     events.csv (hypocentre, uncertainties, covariance), events.xml (QuakeML), picks.csv, magnitudes.csv (of
               stations, or why a station has none), and log.txt (a line at least every 30 s); Ctrl-C keeps the events
               located so far, of many events the finished batches
"""

RELOCATE = """\
examples:
  jaxloc relocate picks.csv --stations stations.xml --velocity model.csv
  jaxloc relocate picks.csv --stations stations.csv --velocity model.csv --method double_difference --set neighbours=30
  jaxloc relocate phase.dat --stations station.dat --velocity model.csv --method double_difference \\
      --start event.dat --differences dt.cc
  jaxloc relocate picks.csv --stations stations.csv --travel-times time/ --topography ground.grd

All events are located as one problem, so that errors that near events share cancel in their separation. hierarchical
(the default) has station terms, path terms and outliers in one model of all picks, up to 2,500 events;
double_difference is hypoDD's. --start has locations to start from by event id (default: Geiger's method).

  --output     events.csv, events.xml (QuakeML), picks.csv, separations.csv (each event from its nearest ones, with the
               errors of the difference), map.png with --pictures, and log.txt
"""

PICK = """\
examples:
  jaxloc pick archive/ --stations stations.xml --output picks.csv
  jaxloc pick archive/ --stations stations.csv --method palm
  jaxloc pick archive/ --stations stations.csv --start 2019-07-04T12:00 --end 2019-07-05 --workers 4

Records are read in chunks of an hour; finished ones are kept in a folder beside the output, and the same command
continues with the others. Every arrival of P and S is picked, any number of them, with its standard deviation and the
probability that it is one; PAL gives pairs of P and S, of a fixed standard deviation and probability 1.

formats:
  ARCHIVE      an SDS archive (YEAR/NET/STA/CHAN.D), or a folder with files that ObsPy reads
  --stations   StationXML, or CSV with code (or network, station), latitude, longitude, elevation_m; or any format with
               stations that `jaxloc convert --list` has
  --output     CSV with event_id (empty), station, phase, time, sigma_s, probability, amplitude: the largest value from
               2 to 15 Hz within 2 s, in m/s where StationXML has the sensitivity, else in counts (of PAL the
               displacement of S, in this unit times s)
"""

CATALOGUE = """\
examples:
  jaxloc catalogue archive/ --stations stations.xml --velocity model.csv --output out
  jaxloc catalogue archive/ --stations stations.xml --velocity model.csv --match --relocate --pages
  jaxloc catalogue archive/ --stations stations.xml --method palm --start 2019-07-04 --end 2019-07-05 --workers 4

Picks are kept chunk by chunk in the output folder: the same command continues after an interruption, and gives the
same catalogue. The stages alone are `jaxloc pick`, `jaxloc associate`, `jaxloc locate`, `jaxloc match` and `jaxloc
relocate`. With --match and --relocate, QuakeML has all origins of an event, and says which is preferred and why.

formats:
  ARCHIVE      an SDS archive (YEAR/NET/STA/CHAN.D), or a folder with files that ObsPy reads
  --output     events.xml (QuakeML: origins with uncertainty, picks with errors, magnitudes, and the probability that an
               event is real), events.csv, picks.csv (each pick with its event or the reason why it has none),
               report.html (one page with its pictures), events/ (--pages), matched/ (--match), log.txt
"""

MATCH = """\
examples:
  jaxloc match archive/ --events events.xml --stations stations.xml --output matched
  jaxloc match archive/ --events events.xml --stations stations.csv --band 2 12 --false-alarms 0.1 --workers 4
  jaxloc match archive/ --events events.xml --stations stations.csv --mad 8
  jaxloc relocate matched/events.xml --stations stations.csv --velocity model.csv --method double_difference \\
      --start matched/events.xml --differences matched/dt.cc

Windows of the records of known events about their picks, P on the vertical component and S on the horizontal ones, are
searched for in all records; --method mess correlates 10 s about P instead, with fixed thresholds. The threshold is that
of a rate of false alarms, which templates reversed in time and with scrambled moveouts give, or a multiple of the
median absolute value. Chunks that are scanned are kept in OUTPUT/chunks, and the same command continues with the
others.

formats:
  ARCHIVE      an SDS archive (YEAR/NET/STA/CHAN.D), or a folder with files that ObsPy reads
  --events     located events with picks: QuakeML, or any format of `jaxloc convert --list` with both
  --stations   StationXML, or CSV with code (or network, station), latitude, longitude, elevation_m; or any format with
               stations that `jaxloc convert --list` has
  --output     events.csv, events.xml (one event a family, at the place of its best template), picks.csv (its arrivals
               by the lags), families.csv (every detection), dt.cc (HypoDD), lost.csv (events that make no template, and
               why), log.txt
"""

ASSOCIATE = """\
examples:
  jaxloc associate picks.csv --stations stations.xml --velocity model.csv --output out
  jaxloc associate gamma_picks.csv --stations stations.csv --region 32.5 33.5 -116 -115 --depth-range 0 25
  jaxloc associate 2019-07-04.pick --stations stations.csv --method palm

A pick belongs to one event at most. The output folder has events.csv and events.xml (QuakeML), with the covariance of
each hypocentre and the natural logarithm of the odds that the event is real (log_odds), and picks.csv: each pick with
its event, or the reason why it has none. Events may be as close in time as they are: there is no least interval.
What follows from the network (region, smallest boxes, radii of detection) is printed. `jaxloc locate` and `jaxloc
relocate` read picks.csv and events.xml. --method palm has the rules of PAL (Zhou and others 2022): pairs of P and S at
4 stations, straight rays, no covariance and no odds; a depth every 3 km from TOP to BOTTOM.
"""

EVALUATE = """\
examples:
  jaxloc evaluate runs/mine labelled_events/ --split dev
  jaxloc evaluate --predictions others.csv --output scored
  jaxloc evaluate --predictions nonlinloc/ --truth catalogue.csv
  jaxloc evaluate --catalogue out/events.csv --truth reference.xml --output judged

--catalogue A --truth B judges a whole catalogue, of any format that `jaxloc convert --list` has with events: events are
matched one to one by origin time and epicentre, whatever their ids are, within 1 s and 5 km, 3 s and 20 km, 10 s and
75 km. --output gets scores.md, scores.json and pictures.

Where a model reads arrivals each window of known origin time is searched for up to four events, and judged by the one
whose origin time is the nearest to the label's; scores of the events located first are given too.

formats:
  DATASET        a SeisBench folder with source_latitude_deg, source_longitude_deg, ... of each event
  --predictions  CSV with id, latitude_deg, longitude_deg, truth_latitude_deg, truth_longitude_deg and epicentre_sd_km
                 (or east_sd_km, north_sd_km); optional depth_km, depth_sd_km, truth_depth_km, origin_s, origin_sd_s,
                 truth_origin_s; or QuakeML; or NonLinLoc .hyp (file, folder or quoted glob)
  --truth        QuakeML, or CSV with id, latitude_deg, longitude_deg, depth_km, origin_time
"""

ADAPT = """\
examples:
  jaxloc adapt labelled_events/ --velocity model.csv --output adapted
  jaxloc adapt labelled_events/ --velocity model.csv --weights --output adapted
  jaxloc locate adapted new_events/

What the events teach is physics: speeds and station terms. With --weights the network is fine-tuned too, by analysts'
picks and by the arrivals that physics predicts from the catalogue; blocks of events in space and time are held out to
choose by, and stopped training continues by the same command. EVENTS is a SeisBench folder with source_latitude_deg,
source_longitude_deg, source_depth_km of events, picked or not.
"""

CALIBRATE = """\
examples:
  jaxloc calibrate runs/mine labelled_events/ --split calibration --by gap
  jaxloc calibrate runs/quickstart --events 200

The calibration set must be held out from training and model selection. The recalibration is kept in the run folder
and used by locate and evaluate, unless --raw is given.
"""

STUDY = """\
examples:
  jaxloc study uncertainty workers=2 'only.networks=[kriegerowski2019]'
  jaxloc study networks shorter=20 evaluation.events=100 evaluation.calibration=100

Finished runs of a study are kept: the same command continues it. `jaxloc list studies` lists the studies.
"""

CROSSVALIDATE = """\
examples:
  jaxloc crossvalidate oklahoma_arrivals workers=2
  jaxloc crossvalidate iceland_arrivals evaluation.space_km=2 evaluation.time_folds=3 evaluation.network_folds=0
  jaxloc crossvalidate small_arrivals data.num_train=200 workers=tcp://host:8786

Each fold is trained without the events that it is scored on: at random, in space (cells of evaluation.space_km, or
evaluation.space_blocks=clusters of at least that distance), in time (on earlier events alone) and by network. A table
has errors, scores and coverage by scheme and by distance to the nearest training event, beside climatology and grid
search. Finished folds are kept in RUN_DIR/crossvalidation: the same command continues.
"""

COMPARE = """\
examples:
  jaxloc compare runs/quickstart runs/another --output compare.png
  jaxloc compare runs/quickstart runs/quickstart_at_iceland --reliability reliability.png   # under shift too
"""

CONVERT = """\
examples:
  jaxloc convert pal_assoc.pha events.xml                        QuakeML with locations and picks
  jaxloc convert gamma_events.csv gamma_picks.csv events.xml     files that belong together
  jaxloc convert 2019-07-04.pick picks.csv --to gamma_picks
  jaxloc convert events.xml evlist.txt --to growclust_events
  jaxloc convert stations.xml stlist.txt --to growclust_stations
  jaxloc convert --list                                          all formats

The format of INPUT is recognised by its content, that of OUTPUT by the end of its name (.csv: jaxloc's own tables). The
output is read again before it is put in place: each line "lost: ..." is what it lacks or has rounded.
"""

LINT = """\
examples:
  jaxloc lint events.xml
  jaxloc lint loc/*.hyp
  jaxloc lint theirs.xml --fix corrected.xml

Errors, ellipse and ellipsoid of each origin are compared with one another: units, confidence levels, axes, rotations;
depths must be possible and above the floor of the search grid, covariances positive. Each line says what is wrong and
what would be right; the exit status is 1 where something is wrong.
"""


def parse(arguments: Sequence[str] | None = None) -> argparse.Namespace:
    """Parse the command line; inputs of `locate` may stand before and after its options."""
    whole = parser()
    parsed, rest = whole.parse_known_args(arguments)
    if rest and (parsed.command != "locate" or any(word.startswith("-") for word in rest)):
        whole.error(f"unrecognized arguments: {' '.join(rest)}")
    if rest:
        parsed.input = [*parsed.input, *map(Path, rest)]
    return parsed


def parser() -> argparse.ArgumentParser:
    """The command line; the namespace's `command` is the name of the command."""
    whole = argparse.ArgumentParser(
        prog="jaxloc",
        description="Bayesian neural earthquake location, with uncertainties that are tested.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    whole.add_argument("--version", action="version", version=__version__)
    commands = whole.add_subparsers(required=True, metavar="COMMAND", dest="command")
    for name, (text, epilog, add) in _COMMANDS.items():
        raw = argparse.RawDescriptionHelpFormatter
        command = commands.add_parser(name, help=text, description=text, epilog=epilog, formatter_class=raw)
        add(command)
    return whole


def _run(command: argparse.ArgumentParser) -> None:
    command.add_argument("-m", "--multirun", action="store_true", help="a run for each combination of values a,b,c")
    command.add_argument("experiment", help="name of an experiment (see `jaxloc list experiments`)")
    command.add_argument("overrides", nargs="*", metavar="key=value", help="change any value of its configuration")


def _locate(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "run",
        type=Path,
        metavar="[RUN]",
        help="run folder or file of weights; by default the model that comes with jaxloc; with --locator: PICKS",
    )
    command.add_argument(
        "input", nargs="*", type=Path, metavar="INPUT", help="SeisBench folder, or waveform files that ObsPy reads"
    )
    command.add_argument("--locator", metavar="NAME", help="locate PICKS without a network (`jaxloc list locators`)")
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="setting of --locator (may be repeated)"
    )
    command.add_argument("--catalogue", type=Path, help="earlier events, QuakeML or CSV (for --locator)")
    _add_grids(command)
    add_region(command)
    command.add_argument("--stations", type=Path, help="StationXML or station CSV (for waveform files and picks)")
    command.add_argument("--windows", type=Path, help="CSV of window starts or origin times (default: see --slide)")
    command.add_argument(
        "--slide",
        type=float,
        metavar="OVERLAP",
        help="without --windows, records longer than the network's window are searched in windows that overlap by this "
        "share of their length (default: 0.5); the same event in several windows is written once",
    )
    command.add_argument("--split", help="events of this split only (SeisBench folder)")
    _add_events(command)
    _add_velocity(command)
    _add_learn_velocities(command)
    command.add_argument(
        "--output", type=Path, default=Path("located"), help="folder for the results (default: located)"
    )
    command.add_argument(
        "--magnitude",
        metavar="CURVE",
        help="local magnitudes of waveform files by this distance correction (iaspei, hutton_boore, ...; docs, "
        "Magnitudes) or one of your own in a CSV; moment: moment magnitudes; none: no magnitudes (default: iaspei for "
        "events without a magnitude, "
        "where StationXML has responses)",
    )
    command.add_argument("--pictures", action="store_true", help="a picture of each event's posterior")
    command.add_argument(
        "--all", action="store_true", help="write a location for records without an event too, with the reason as flag"
    )
    command.add_argument(
        "--batch",
        type=int,
        default=256,
        metavar="EVENTS",
        help="more events are located in batches of so many; finished ones are kept, and the same command continues "
        "(default: 256)",
    )
    command.add_argument(
        "--workers", default="1", help="batches at a time, in so many processes, or the address of a Dask scheduler"
    )
    _add_raw(command)


def _relocate(command: argparse.ArgumentParser) -> None:
    command.add_argument("picks", type=Path, metavar="PICKS", help="picks of events, as for locate --locator")
    command.add_argument("--method", choices=RELOCATIONS, default="hierarchical", help="(default: hierarchical)")
    command.add_argument(
        "--start", type=Path, help="locations to start from, by event id: any format of `jaxloc convert --list`"
    )
    command.add_argument(
        "--differences", type=Path, help="cross-correlation times (dt.cc), for double_difference with --start"
    )
    command.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="setting of the method (may be repeated)"
    )
    command.add_argument("--stations", type=Path, help="StationXML or station CSV (for files of picks)")
    command.add_argument("--split", help="events of this split only (SeisBench folder)")
    add_region(command)
    _add_grids(command)
    command.add_argument("--velocity", type=Path, help="velocity model, CSV: depth_km,vp_km_s,vs_km_s")
    command.add_argument("--velocity-form", choices=("layers", "gradient"), help="its rows, as for locate")
    command.add_argument(
        "--output", type=Path, default=Path("relocated"), help="folder for the results (default: relocated)"
    )
    command.add_argument("--pictures", action="store_true", help="a map of the events before and after")


def _pick(command: argparse.ArgumentParser) -> None:
    _add_archive(command)
    command.add_argument(
        "--method",
        choices=PICKERS,
        default="network",
        help="the network that comes with jaxloc (default), or the published rules of PAL (Zhou and others 2022)",
    )
    command.add_argument(
        "--chunk", type=float, default=3600.0, metavar="S", help="length of a chunk in s (default: 3600)"
    )
    command.add_argument("--output", type=Path, default=Path("picks.csv"), help="table of picks (default: picks.csv)")


def _catalogue(command: argparse.ArgumentParser) -> None:
    _add_archive(command)
    command.add_argument("--velocity", type=Path, help="velocity model, CSV: depth_km,vp_km_s,vs_km_s (default: ak135)")
    command.add_argument("--velocity-form", choices=("layers", "gradient"), help="its rows, as for locate")
    command.add_argument("--method", choices=("bayes", "palm"), default="bayes", help="(default: bayes)")
    command.add_argument("--depth-km", type=float, nargs=2, metavar=("MIN", "MAX"), help="depths that are searched")
    command.add_argument(
        "--least-probability",
        type=float,
        metavar="P",
        help="of being real, of events that are kept (default: 0.9; 0 for all that association finds)",
    )
    command.add_argument(
        "--chunk",
        type=float,
        default=3600.0,
        metavar="S",
        dest="chunk_s",
        help="length of a chunk in s (default: 3600)",
    )
    command.add_argument(
        "--magnitude",
        metavar="CURVE",
        help="local magnitudes, as for locate, or moment (default: iaspei where StationXML has responses; none: none)",
    )
    command.add_argument(
        "--match",
        action="store_true",
        help="search the records by the waveforms of the events found, and add what is new (--method palm: MESS)",
    )
    command.add_argument(
        "--relocate",
        action="store_true",
        help="relocate all events by double differences, with --match of waveforms too",
    )
    command.add_argument(
        "--pages", action="store_true", help="a page for each event (records, map, residuals), linked from report.html"
    )
    command.add_argument("--output", type=Path, default=Path("catalogue"), help="folder (default: catalogue)")


def _match(command: argparse.ArgumentParser) -> None:
    _add_archive(command)
    command.add_argument("--events", type=Path, required=True, help="located events with picks, the templates")
    command.add_argument(
        "--method",
        choices=MATCHERS,
        default="stacks",
        help="stacks with a rate of false alarms (default), or the published rules of MESS (Zhou and others 2022), "
        "whose settings are fixed",
    )
    command.add_argument("--chunk", type=float, default=3600.0, metavar="S", help="length of a chunk (default: 3600)")
    command.add_argument("--rate", type=float, default=50.0, metavar="HZ", help="sampling rate (default: 50)")
    command.add_argument(
        "--band", nargs=2, type=float, default=(2.0, 12.0), metavar=("LOW", "HIGH"), help="in Hz (default: 2 12)"
    )
    command.add_argument(
        "--before",
        nargs=2,
        type=float,
        default=(0.3, 0.3),
        metavar=("P", "S"),
        help="of windows, in s (default: 0.3 0.3)",
    )
    command.add_argument(
        "--after",
        nargs=2,
        type=float,
        default=(2.2, 3.2),
        metavar=("P", "S"),
        help="of windows, in s (default: 2.2 3.2)",
    )
    command.add_argument("--snr", type=float, default=3.0, metavar="RATIO", help="that a window must have (default: 3)")
    command.add_argument(
        "--fewest-stations", type=int, default=3, metavar="N", help="of templates and detections (default: 3)"
    )
    threshold = command.add_mutually_exclusive_group()
    threshold.add_argument(
        "--false-alarms",
        type=float,
        default=1.0,
        metavar="PER_DAY",
        help="of all templates together, at the threshold (default: 1)",
    )
    threshold.add_argument("--mad", type=float, metavar="MULTIPLE", help="threshold by the median absolute value")
    command.add_argument(
        "--output", type=Path, default=Path("matched"), help="folder for the results (default: matched)"
    )


def _associate(command: argparse.ArgumentParser) -> None:
    command.add_argument("picks", type=Path, metavar="PICKS", help="picks: any format of `jaxloc convert --list`")
    command.add_argument("--stations", type=Path, required=True, help="StationXML or station CSV")
    command.add_argument("--velocity", type=Path, help="velocity model (default: iasp91)")
    command.add_argument("--velocity-form", choices=("layers", "gradient"), help="its rows, as for locate")
    command.add_argument("--method", choices=ASSOCIATORS, default="bayes", help="(default: bayes)")
    command.add_argument(
        "--region", type=float, nargs=4, metavar=("SOUTH", "NORTH", "WEST", "EAST"), dest="region_deg",
        help="where events may be, in degrees (default: the network and half its width)",
    )  # fmt: skip
    command.add_argument("--depth-range", type=float, nargs=2, metavar=("TOP", "BOTTOM"), dest="depth_km", help="in km")
    command.add_argument("--sigma", type=float, default=0.2, dest="sigma_s", help="of picks without uncertainty, in s")
    command.add_argument("--least-picks", type=int, help="of an event (default: 4)")
    command.add_argument("--least-stations", type=int, help="of an event (default: 3)")
    command.add_argument(
        "--least-log-odds", type=float, default=0.0, help="of events that are kept, natural logarithm (default: 0)"
    )
    command.add_argument(
        "--output", type=Path, default=Path("associated"), help="folder for the results (default: associated)"
    )


def _evaluate(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", type=Path, nargs="?", help="run folder")
    command.add_argument("dataset", type=Path, nargs="?", help="SeisBench folder")
    command.add_argument(
        "--predictions",
        type=Path,
        metavar="FILE",
        help="score these locations with reported uncertainties instead: CSV, QuakeML, or NonLinLoc .hyp "
        "(file, folder or quoted glob; .scat files next to it are used)",
    )
    command.add_argument(
        "--truth",
        type=Path,
        metavar="FILE",
        help="true hypocentres of QuakeML (matched by id) or NonLinLoc (by origin time, within 3 s) predictions: "
        "QuakeML or CSV; or the catalogue by which --catalogue is judged",
    )
    command.add_argument(
        "--catalogue",
        type=Path,
        metavar="FILE",
        help="judge this catalogue by that of --truth: files of any format with events, or folders with events.csv",
    )
    command.add_argument(
        "--exact-truth",
        action="store_true",
        help="with --catalogue: the truth has no errors and lacks no event, so that coverage and reliability of odds "
        "are given (the default where it says which of its events are locatable)",
    )
    command.add_argument("--split", help="events of this split only")
    _add_events(command)
    _add_velocity(command)
    command.add_argument(
        "--output", type=Path, help="folder for the results (default: RUN/evaluate_DATASET_SPLIT, or the name of FILE)"
    )
    _add_raw(command)


def _adapt(command: argparse.ArgumentParser) -> None:
    command.add_argument("events", type=Path, metavar="EVENTS", help="SeisBench folder of labelled events")
    command.add_argument(
        "--model", type=Path, default=Path("anywhere"), help="name or file of weights (default: anywhere)"
    )
    command.add_argument("--split", help="events of this split only")
    _add_velocity(command)
    command.add_argument("--weights", action="store_true", help="fine-tune the network's weights too")
    command.add_argument(
        "--steps", type=int, metavar="N", help="of fine-tuning, for more or less than its default; implies --weights"
    )
    command.add_argument("--output", type=Path, default=Path("adapted"), help="folder of the model (default: adapted)")


def _calibrate(command: argparse.ArgumentParser) -> None:
    command.add_argument("run", type=Path, help="run folder; its calibration is kept there")
    command.add_argument("dataset", type=Path, nargs="?", help="SeisBench folder (none: fresh simulated events)")
    command.add_argument("--split", help="events of this split only")
    command.add_argument("--events", type=int, default=200, help="number of fresh simulated events (default: 200)")
    command.add_argument(
        "--map", choices=MAPS, default="best", help="recalibration (default: chosen by cross-validated likelihood)"
    )
    command.add_argument(
        "--by",
        choices=("gap", "distance", "local"),
        default="",
        help="conformal levels by groups of azimuthal gap or station distance, or from similar events",
    )
    _add_velocity(command)


def _study(command: argparse.ArgumentParser) -> None:
    command.add_argument("study", help="name of a study (see `jaxloc list studies`)")
    command.add_argument("overrides", nargs="*", metavar="key=value", help="change any value of its configuration")


def _crossvalidate(command: argparse.ArgumentParser) -> None:
    command.add_argument("experiment", help="name of an experiment (see `jaxloc list experiments`)")
    command.add_argument(
        "overrides",
        nargs="*",
        metavar="key=value",
        help="change any value of its configuration; workers=N folds at a time (or the address of a Dask scheduler)",
    )


def _compare(command: argparse.ArgumentParser) -> None:
    command.add_argument("runs", nargs="+", type=Path, help="run folders, or folders that `evaluate` wrote")
    command.add_argument("--output", type=Path, default=Path("compare.png"), help="picture (default: compare.png)")
    command.add_argument(
        "--reliability", type=Path, metavar="PICTURE", help="also draw coverage over probability, a line for each run"
    )


def _convert(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "files", nargs="*", type=Path, metavar="FILE", help="INPUT (one, or several that belong together), then OUTPUT"
    )
    command.add_argument("--from", dest="source", metavar="FORMAT", help="format of INPUT (default: recognised)")
    command.add_argument("--to", dest="target", metavar="FORMAT", help="format of OUTPUT (default: by its name)")
    command.add_argument("--stations", type=Path, help="stations, to complete network codes of picks")
    command.add_argument("--list", action="store_true", help="list the formats and end")


def _lint(command: argparse.ArgumentParser) -> None:
    command.add_argument("files", nargs="+", type=Path, metavar="FILE", help="QuakeML, or NonLinLoc .hyp")
    command.add_argument("--fix", type=Path, metavar="OUTPUT", help="write FILE with what is clear corrected")


def _list(command: argparse.ArgumentParser) -> None:
    command.add_argument("kind", nargs="?", choices=KINDS, help="only these (default: all)")


def _add_archive(command: argparse.ArgumentParser) -> None:
    """The continuous records that a command works on, chunk by chunk."""
    command.add_argument("archive", type=Path, metavar="ARCHIVE", help="SDS archive, or folder of waveform files")
    command.add_argument("--stations", type=Path, required=True, help="StationXML or station CSV")
    command.add_argument("--start", metavar="TIME", help="UTC, as 2019-07-04T12:00 (default: of the archive)")
    command.add_argument("--end", metavar="TIME", help="not within (default: of the archive)")
    command.add_argument(
        "--workers", default="1", help="chunks at a time, in so many processes, or the address of a Dask scheduler"
    )


def add_region(command: argparse.ArgumentParser) -> None:
    """Options of the search region, which `jaxloc.runs.search_region` reads."""
    command.add_argument(
        "--region",
        metavar="W/E/S/N",
        help="search region in degrees, west/east/south/north (default: of training, or around other stations)",
    )
    command.add_argument(
        "--depth-km", nargs=2, type=float, metavar=("SHALLOWEST", "DEEPEST"), help="searched depths below sea level"
    )


def _add_grids(command: argparse.ArgumentParser) -> None:
    """Options of gridded travel times, which `jaxloc.runs.pick_setup` reads."""
    command.add_argument(
        "--travel-times",
        type=Path,
        metavar="FOLDER",
        help="in place of --velocity, NonLinLoc's grids: FOLDER/layer.P.STATION.time.hdr and .buf (for picks)",
    )
    command.add_argument(
        "--grid-spacing",
        type=float,
        metavar="KM",
        help="of the travel times of a --velocity of three dimensions (default: 1)",
    )
    command.add_argument("--vp-vs", type=float, metavar="RATIO", help="of grids that have P alone")
    command.add_argument(
        "--topography",
        type=Path,
        metavar="GRID",
        help="elevation of the ground, which no hypocentre is above: ESRI ASCII (.asc) or NetCDF (.grd, .nc), in m at "
        "degrees (for picks)",
    )


def _add_velocity(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--velocity", type=Path, help="velocity model of another region, CSV: depth_km,vp_km_s,vs_km_s"
    )
    command.add_argument(
        "--velocity-error", type=float, metavar="SHARE", help="its uncertainty, as a share of speeds (default: 0.05)"
    )
    command.add_argument("--vp-vs-error", type=float, metavar="SD", help="its uncertainty of Vp/Vs (default: 0.05)")
    command.add_argument(
        "--velocity-form",
        choices=("layers", "gradient"),
        help="its rows: layers of constant speed, or a linear gradient from each to the next (default: what its column "
        "form says, layers without one)",
    )


def _add_learn_velocities(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--learn-velocities",
        action="store_true",
        help="speeds, station terms and errors of picks from all events together, before each is located "
        "(--locator octree or grid_search)",
    )


def _add_events(command: argparse.ArgumentParser) -> None:
    as_list = lambda text: tuple(filter(None, text.split(",")))
    command.add_argument(
        "--events",
        dest="only_events",
        type=as_list,
        default=(),
        metavar="ID,ID,...",
        help="these events only, and their stations (SeisBench folder)",
    )


def _add_raw(command: argparse.ArgumentParser) -> None:
    command.add_argument("--raw", action="store_true", help="without the run's recalibration")


_COMMANDS: dict[str, tuple[str, str, Callable[[argparse.ArgumentParser], None]]] = {
    "run": ("train and score a model by an experiment, in a run folder", RUN, _run),
    "catalogue": ("find, locate and report the earthquakes of continuous records", CATALOGUE, _catalogue),
    "pick": ("pick arrivals in continuous records", PICK, _pick),
    "locate": ("locate new events with a trained run", LOCATE, _locate),
    "relocate": ("locate many events as one problem: sharp relative locations", RELOCATE, _relocate),
    "match": ("find events like known ones in continuous records", MATCH, _match),
    "associate": ("events from picks that belong to none yet, with the odds that each is real", ASSOCIATE, _associate),
    "evaluate": ("score card of a trained run, or of any locator's results", EVALUATE, _evaluate),
    "adapt": ("fit a model that comes with jaxloc to a region by its events", ADAPT, _adapt),
    "calibrate": ("recalibrate a run's predicted uncertainties on held-out events", CALIBRATE, _calibrate),
    "study": ("many runs, evaluated alike, in one table and figures", STUDY, _study),
    "crossvalidate": ("an experiment scored on left-out blocks in space and time", CROSSVALIDATE, _crossvalidate),
    "compare": ("score cards of several runs side by side", COMPARE, _compare),
    "convert": ("picks, events, stations, velocity models from one file format to another", CONVERT, _convert),
    "lint": ("check the uncertainties in a QuakeML or NonLinLoc file", LINT, _lint),
    "list": ("what there is: experiments, models, posteriors, locators, data, stages, studies", "", _list),
}
