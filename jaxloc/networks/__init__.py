"""Networks: one published network a file, by name. `__all__` is the registry that experiments pick from.

Every module offers `Model`, a Flax module that sees the observations of one event and returns raw outputs,
and `network(size, **settings)`, the same bound to pure functions, `size` being what a head wants.
"""

from jaxloc.networks import arrivals as arrivals
from jaxloc.networks import kriegerowski2019 as kriegerowski2019
from jaxloc.networks import picks as picks
from jaxloc.networks import preseis as preseis
from jaxloc.networks import zhang2020 as zhang2020

__all__ = ["arrivals", "kriegerowski2019", "picks", "preseis", "zhang2020"]
