"""What several augmentations ask of their options."""


def check_probability(routine: str, **probabilities: float) -> None:
    """Raises ValueError for a probability outside of [0, 1]."""
    for name, probability in probabilities.items():
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"{routine}: {name} must be in [0, 1], got {probability}")


def check_channels(routine: str, num_channels: int, **strengths: float) -> None:
    """Raises ValueError where a strength above 0 needs the three channels of colour."""
    for name, strength in strengths.items():
        if strength > 0 and num_channels != 3:
            raise ValueError(
                f"{routine}: {name}={strength} needs images of 3 channels, got "
                f"{num_channels}; set it to 0 for these"
            )
