"""Any Flax module with any NumPyro likelihood, fitted by any of the weight posteriors; outside location too."""

from jaxloc.regression.fit import Fit as Fit
from jaxloc.regression.fit import diagnose as diagnose
from jaxloc.regression.fit import fit as fit
from jaxloc.regression.fit import log_density as log_density
from jaxloc.regression.fit import predict as predict

__all__ = ["Fit", "diagnose", "fit", "log_density", "predict"]
