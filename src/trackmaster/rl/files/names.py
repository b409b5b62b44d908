"""Names of the files that a learner writes into a run's folder; the first two as Linesight has them."""

ONLINE_FILE, TARGET_FILE, OPTIMIZER_FILE, SCALER_FILE = (
    "weights1.torch", "weights2.torch", "optimizer1.torch", "scaler.torch",
)  # fmt: skip
