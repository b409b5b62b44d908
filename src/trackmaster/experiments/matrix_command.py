"""``trackmaster experiment run``: the matrix of an experiment, two trainings at a time, and its table."""

import shlex
from pathlib import Path

from trackmaster.errors import InterruptedRunError, TrackmasterError
from trackmaster.experiments.core_pool import CorePool, Failure, choose_cores, refuse_other_settings
from trackmaster.experiments.matrix import Matrix, lay_out
from trackmaster.experiments.matrix_report import markdown
from trackmaster.experiments.matrix_results import read_results
from trackmaster.experiments.plan import ExperimentPlan
from trackmaster.experiments.plan_config import ExperimentConfig
from trackmaster.files import atomic_write_text
from trackmaster.replays.locks import RunLock

STAGES = ("frames", "encoders", "trainings")


def run_experiment(config: ExperimentConfig) -> int:
    """Run what is not finished yet and write the table of what is; 1 if a run failed.

    Raises:
        ConfigError: the plan or a configuration made of it is refused; nothing was begun.
        InterruptedRunError: Ctrl+C; finished runs are kept, the others begin anew with the next call.
        TrackmasterError: another call is at work on this experiment.
    """
    plan = ExperimentPlan.read(config.plan)
    folder = config.output_dir / plan.name
    if config.minutes is not None:
        plan = plan.model_copy(update={"minutes": config.minutes})
        folder = config.output_dir / f"{plan.name}-{config.minutes:g}min"
    cores = choose_cores(config.parallel)
    with RunLock(folder / ".experiment.lock", purpose=f"running {plan.name}", busy=lambda who: _busy(folder, who)):
        matrix = lay_out(plan, folder, config.frames_dir or plan.frames_dir)
        refuse_other_settings(job for jobs in matrix.stages for job in jobs)
        print(_announcement(matrix, len(cores)), flush=True)
        pool = CorePool(cores, folder / "running.json", say=_say, use_tqdm=config.use_tqdm)
        failures: list[Failure] = []
        try:
            for name, jobs in zip(STAGES, matrix.stages, strict=True):
                failures += pool.run(jobs, desc=name)
                if failures:
                    break
        except KeyboardInterrupt:
            raise InterruptedRunError(
                f"stopped; finished runs are kept in {folder}, the others begin anew with: {command_line(config)}"
            ) from None
        report = config.report or folder / "report.md"
        results = read_results(matrix)
        if results.outcomes:
            atomic_write_text(report, markdown(results, command_line(config)))
            print(f"Table: {report}")
    if failures:
        names = ", ".join(failure.job.name for failure in failures)
        raise TrackmasterError(
            f"{names} failed; what they said stands in {folder / 'logs'}. The same command does them anew."
        )
    return 0


def command_line(config: ExperimentConfig) -> str:
    """Return the command that does the same again."""
    words = ["trackmaster", "experiment", "run", config.plan.as_posix()]
    for name in ("output_dir", "frames_dir", "report", "minutes", "parallel"):
        value = getattr(config, name)
        if value != ExperimentConfig.model_fields[name].default:
            words += [f"--{name.replace('_', '-')}", value.as_posix() if isinstance(value, Path) else f"{value:g}"]
    return shlex.join(words)


def _announcement(matrix: Matrix, parallel: int) -> str:
    plan = matrix.plan
    rounds = -(-len(matrix.runs) // parallel)
    return (
        f"{plan.name}: {len(plan.arms)} arms, {len(plan.seeds)} seeds, {len(matrix.runs)} trainings of "
        f"{plan.minutes:g} minutes, {parallel} at a time: about {rounds * plan.minutes:g} minutes"
        + (f" after {len(matrix.encoders)} encoders." if matrix.encoders else ".")
    )


def _busy(folder: Path, holder: str) -> str:
    return f"{folder}: another call is running this experiment ({holder}). Let it finish, or stop it."


def _say(line: str) -> None:
    print(line, flush=True)
