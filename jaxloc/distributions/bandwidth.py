"""The bandwidth of kernel density estimates."""


def silverman(number: int, dimensions: int) -> float:
    """Bandwidth of a Gaussian kernel in standard deviations of the samples (Silverman 1986, eq. 4.14).

    In two dimensions it is Scott's (1992), `number ** (-1 / 6)`.
    """
    return (4 / ((dimensions + 2) * number)) ** (1 / (dimensions + 4))
