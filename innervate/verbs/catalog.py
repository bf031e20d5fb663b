"""`innervate tasks | datasets | models | boards`: what there is. The registries read the folders."""

from innervate.output import Json, emit_json, emit_table


def tasks(json: Json = False) -> None:
    """List the tasks: what can be decided, and from which data sets."""
    from train import readers, task

    rows = []
    for name in task.names():
        entry = task.load(name)
        usable = [d for d in readers.names() if d in entry.datasets]
        rows.append(
            {
                "task": name,
                "title": entry.title,
                "labels": entry.labels,
                "datasets": usable,
                "protocol": entry.protocol,
            }
        )
    if json:
        emit_json(rows)
        return
    emit_table(
        ("task", "decides", "labels", "data sets", "split"),
        (
            (r["task"], r["title"], ", ".join(r["labels"]), ", ".join(r["datasets"]), r["protocol"])
            for r in rows
        ),
    )


def datasets(json: Json = False) -> None:
    """List the data sets that can be read in their original files, and the simulators."""
    from train import readers

    found = [readers.get(name) for name in readers.names()]
    if json:
        emit_json(
            [
                {
                    "dataset": r.NAME,
                    "description": r.DESCRIPTION,
                    "fs_hz": r.FS_HZ,
                    "channels": r.CHANNELS,
                    "labels": r.LABELS,
                }
                for r in found
            ]
        )
        return
    emit_table(
        ("data set", "what", "Hz", "channels", "labels"),
        ((r.NAME, r.DESCRIPTION, r.FS_HZ, len(r.CHANNELS), len(r.LABELS)) for r in found),
    )


def models(json: Json = False) -> None:
    """List the networks that can be trained."""
    from train import models as registry

    rows = [(name, registry.describe(name)) for name in registry.names()]
    if json:
        emit_json([{"model": name, "description": text} for name, text in rows])
        return
    emit_table(("model", "what"), rows)


def boards(json: Json = False) -> None:
    """List the boards that firmware can be built for, and how each is reached."""
    from edge.firmware.boards import board_names, load_board

    rows = []
    for name in board_names():
        board = load_board(name)
        url = f"qemu:{name}" if board.emulator else f"{name}:" if name == "host" else "its serial port"
        rows.append(
            {
                "board": name,
                "description": board.description,
                "url": url,
                "flash_bytes": board.flash_bytes,
                "ram_bytes": board.ram_bytes,
            }
        )
    if json:
        emit_json(rows)
        return
    emit_table(("board", "what", "device URL"), ((r["board"], r["description"], r["url"]) for r in rows))
