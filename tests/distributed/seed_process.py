"""One role of the seed as a process of its own: ``python seed_process.py server|worker|trainer FOLDER PORT NAME``."""

import functools
import json
import os
import sys
import threading
import time
from pathlib import Path

PASSWORD = "a pass phrase for the toys"
PACE_S = 0.002
"""Of a step, so that driving takes as long as being killed does."""


def serve(folder: Path, port: int, name: str) -> None:
    from trackmaster.tmrl.networking import Server

    server = Server(password=PASSWORD, port=port, durable=folder / "journal", keys_dir=folder / "keys")
    write(folder / f"{name}.json", {"port": server.port})
    server.run()


def drive(folder: Path, port: int, name: str) -> None:
    import toy_control

    from trackmaster.tmrl.networking import RolloutWorker

    class Paced(toy_control.Follow):
        def step(self, action):
            time.sleep(PACE_S)
            return super().step(action)

    seed = int.from_bytes(name.encode(), "big") % 1000
    worker = RolloutWorker(
        functools.partial(Paced, seed), toy_control.Actor, server_ip="127.0.0.1", server_port=port, password=PASSWORD
    )
    while not (folder / "stop").exists():
        worker.run(test_episode_interval=1, nb_episodes=1, verbose=False)
        write(folder / f"{name}.json", {"steps": worker.env_steps, "models": worker.models_received})
    worker.close()
    write(folder / f"{name}.json", {"steps": worker.env_steps, "models": worker.models_received, "closed": True})


def learn(folder: Path, port: int, name: str) -> None:
    import toy_control

    from trackmaster.tmrl.memory import GenericTorchMemory
    from trackmaster.tmrl.networking import Trainer
    from trackmaster.tmrl.training_offline import TorchTrainingOffline
    from trackmaster.tmrl.util import partial

    training_cls = partial(
        TorchTrainingOffline, env_cls=toy_control.Follow, training_agent_cls=toy_control.ToySAC,
        memory_cls=partial(GenericTorchMemory, memory_size=50_000, batch_size=32, seed=0), epochs=100_000, rounds=1,
        steps=50, update_buffer_interval=10, update_model_interval=20, max_training_steps_per_env_step=1.0,
        start_training=100, device="cpu", sleep_between_buffer_retrieval_attempts=0.1,
    )  # fmt: skip
    trainer = Trainer(
        training_cls, "127.0.0.1", port, PASSWORD, model_path=folder / "toy_t.tmod", checkpoint_path=checkpoint(folder),
        logs_path=folder / "logs",
    )  # fmt: skip

    def report() -> None:
        while True:
            write(folder / f"{name}.json", {"samples": trainer.training.total_samples})
            time.sleep(0.1)

    threading.Thread(target=report, daemon=True).start()
    try:
        trainer.run()
    except KeyboardInterrupt:
        trainer.close()


def checkpoint(folder: Path) -> Path:
    return folder / "checkpoints" / "toy_t.tcpt"


def write(path: Path, content: object) -> None:
    temporary = path.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(content))
    temporary.replace(path)


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    role, where, at, called = sys.argv[1:]
    {"server": serve, "worker": drive, "trainer": learn}[role](Path(where), int(at), called)
