"""What a training run is told: sections, their defaults, and what each part gets of them."""
