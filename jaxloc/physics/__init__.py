"""Travel times and their errors, and the likelihood of arrivals given a hypocentre."""
