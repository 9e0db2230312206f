"""Makes tests/golden/event_file.events with the protocol buffers and the record writer of PyPI's tensorboard.

    python -m venv venv && venv/bin/pip install tensorboard==2.21.0
    venv/bin/python tests/golden/event_file.py

tests/test_tensorboard.c writes the same events and compares the bytes. With a run folder as its argument the script
instead reads that run's scalars as TensorBoard does and prints how many of each there are.
"""
import pathlib
import sys

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, tensor_shape_pb2, types_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

SECONDS = 1234567890.125
PATH = pathlib.Path(__file__).with_name("event_file.events")


def scalar(tag, step, number):
    value = summary_pb2.Summary.Value(tag=tag, simple_value=number)
    return event_pb2.Event(wall_time=SECONDS, step=step, summary=summary_pb2.Summary(value=[value]))


def text(tag, step, words):
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[words.encode()],
                                    tensor_shape=tensor_shape_pb2.TensorShapeProto(dim=[tensor_shape_pb2.TensorShapeProto.Dim(size=1)]))
    metadata = summary_pb2.SummaryMetadata(plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="text"))
    value = summary_pb2.Summary.Value(tag=tag, tensor=tensor, metadata=metadata)
    return event_pb2.Event(wall_time=SECONDS, step=step, summary=summary_pb2.Summary(value=[value]))


def make():
    start = event_pb2.SessionLog(status=event_pb2.SessionLog.START)
    events = [
        event_pb2.Event(wall_time=SECONDS, file_version="brain.Event:2"),
        event_pb2.Event(wall_time=SECONDS, step=301, session_log=start),
        text("config", 0, "{\"seed\": \"7\"}\n" * 20),
        scalar("train/loss", 310, 0.25),
        scalar("train/loss", 320, -1.5e-7),
        scalar("train/loss", 5_000_000_000, float("nan")),
    ]
    with open(PATH, "wb") as file:
        writer = RecordWriter(file)
        for event in events:
            writer.write(event.SerializeToString())
        writer.flush()


def read(folder):
    events = EventAccumulator(folder, size_guidance={"scalars": 0})
    events.Reload()
    for tag in events.Tags()["scalars"]:
        points = events.Scalars(tag)
        print(f"{tag}: {len(points)} points, steps {points[0].step} to {points[-1].step}, last {points[-1].value:.6g}")


if __name__ == "__main__":
    read(sys.argv[1]) if len(sys.argv) > 1 else make()
