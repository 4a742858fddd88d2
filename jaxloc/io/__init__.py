"""File formats: waveforms, stations, velocity models, catalogues and located events; the only place that reads them."""
